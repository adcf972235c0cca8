//! What a request for a payment may say, checked where it is read.

use std::fmt;
use std::str::FromStr;

use crate::psp::paystack::payment_reference_problem;

const EMAIL_CHARS_MAX: usize = 254;
const URL_CHARS_MAX: usize = 2_000;

/// Text that was checked when it was read.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text! {
    /// The caller's name for a payment, which the PSP knows it by: 1 to 100 letters, digits,
    /// hyphens, dots and equals signs.
    PaymentReference
}

checked_text! {
    /// A customer's address. Whether it exists only sending shows; here it has one `@` between two
    /// parts, and nothing that no address has.
    Email
}

checked_text! {
    /// Where a customer goes after paying.
    CallbackUrl
}

impl FromStr for PaymentReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match payment_reference_problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(_) => Err(
                "is no payment's reference: write 1 to 100 letters, digits, hyphens, dots and \
                 equals signs, such as order-1001"
                    .to_owned(),
            ),
        }
    }
}

impl FromStr for Email {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;:\"()[]\\".contains(c);
        let fits = match text.split_once('@') {
            Some((name, host)) => {
                !name.is_empty()
                    && !host.is_empty()
                    && !host.contains('@')
                    && text.chars().count() <= EMAIL_CHARS_MAX
                    && !text.contains(odd)
            }
            None => false,
        };
        match fits {
            true => Ok(Self(text.to_owned())),
            false => Err("is no address: write such as ada@example.com".to_owned()),
        }
    }
}

impl FromStr for CallbackUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let fits = text.len() <= URL_CHARS_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        match has_host && fits {
            true => Ok(Self(text.to_owned())),
            false => Err(
                "is no address of a page: write such as https://shop.example.com/back".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_two_parts_and_nothing_odd() {
        for right in ["ada@example.com", "a.b+c@x", "ä@ö.example"] {
            assert!(right.parse::<Email>().is_ok(), "{right}");
        }
        let long = format!("{}@x", "a".repeat(253));
        for wrong in [
            "", "@", "ada", "ada@", "@x", "a@b@c", "a b@c", "a\n@b", "<a@b>", &long,
        ] {
            assert!(wrong.parse::<Email>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_callback_is_a_page_with_a_host() {
        assert!(
            "https://shop.example.com/back"
                .parse::<CallbackUrl>()
                .is_ok()
        );
        for wrong in [
            "",
            "shop.example.com",
            "https://",
            "https:///x",
            "ftp://x",
            "http://a b",
        ] {
            assert!(wrong.parse::<CallbackUrl>().is_err(), "{wrong}");
        }
    }
}
