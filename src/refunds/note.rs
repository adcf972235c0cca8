//! What a customer is told with a refund.

use std::str::FromStr;

/// 1 to 255 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerNote(String);

impl CustomerNote {
    /// The most characters.
    pub const CHARS_MAX: usize = 255;

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CustomerNote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty: write what the customer is told, or leave it out".to_owned());
        }
        if text.chars().count() > Self::CHARS_MAX {
            return Err(format!("is longer than {} characters", Self::CHARS_MAX));
        }
        if text.contains(char::is_control) {
            return Err("holds a control character, such as a line break".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}
