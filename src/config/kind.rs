//! What a key takes, and where in [`Config`] the value goes.

use std::time::Duration;

use super::Config;
use super::choice::Choice;
use super::given::Given;
use super::nearest;
use super::rule::{TextRule, UrlRule};
use super::secret::{Secret, SecretUrl};

/// What a key takes. `at` finds the value's field.
pub(super) enum Kind {
    /// One of a few words.
    Choice(fn(&mut Config) -> &mut dyn ChoiceField),
    /// An integer, both ends included.
    Integer {
        min: u64,
        max: u64,
        /// Empty where it is a mere number.
        unit: &'static str,
        at: fn(&mut Config) -> &mut dyn IntegerField,
    },
    Text(&'static TextRule, fn(&mut Config) -> &mut String),
    /// Never shown; empty means none.
    Secret(fn(&mut Config) -> &mut Option<Secret>),
    /// Shown with its password masked; empty means none.
    Url(&'static UrlRule, fn(&mut Config) -> &mut Option<SecretUrl>),
}

/// Why a value was refused: `key` is `got`, it takes `wanted`.
pub(super) struct Refused {
    pub(super) got: String,
    pub(super) wanted: String,
}

impl Kind {
    /// Checks a value and puts it where it belongs.
    pub(super) fn set(&self, config: &mut Config, given: &Given) -> Result<(), Refused> {
        let refuse = |got: String, wanted: String| Err(Refused { got, wanted });
        match (self, given) {
            (Self::Choice(at), Given::Text(word)) => {
                let field = at(config);
                if field.choose(word) {
                    return Ok(());
                }
                let wanted = format!("one of {}", field.words().join(", "));
                let nearest = nearest::of(word, &field.words());
                refuse(
                    given.in_words(),
                    format!("{wanted}; the nearest is `{nearest}`"),
                )
            }
            (Self::Integer { min, max, at, .. }, Given::Integer(integer)) => {
                let in_range = u64::try_from(*integer).is_ok_and(|integer| {
                    (*min..=*max).contains(&integer) && at(config).put(integer)
                });
                match in_range {
                    true => Ok(()),
                    false => refuse(given.in_words(), self.wanted()),
                }
            }
            (Self::Text(rule, at), Given::Text(text)) if (rule.accepts)(text) => {
                at(config).clone_from(text);
                Ok(())
            }
            (Self::Secret(at), Given::Text(text)) => {
                *at(config) = Some(Secret::new(text.as_str()));
                Ok(())
            }
            (Self::Url(rule, at), Given::Text(text)) => match (rule.parse)(text) {
                Ok(url) => {
                    *at(config) = Some(url);
                    Ok(())
                }
                Err(why) => refuse(format!("refused, because {why}"), rule.wanted.to_owned()),
            },
            (Self::Secret(at), Given::Empty) => {
                *at(config) = None;
                Ok(())
            }
            (Self::Url(_, at), Given::Empty) => {
                *at(config) = None;
                Ok(())
            }
            (
                Self::Text(..) | Self::Secret(_),
                Given::Integer(_) | Given::Boolean(_) | Given::Decimal(_),
            ) => {
                let got = match self {
                    Self::Secret(_) => "not a text".to_owned(),
                    _ => given.in_words(),
                };
                refuse(got, format!("{}; put it in quotes", self.wanted()))
            }
            _ => refuse(given.in_words(), self.wanted()),
        }
    }

    /// The value as a person may see it; none where there is none.
    pub(super) fn show(&self, config: &mut Config) -> Option<String> {
        match self {
            Self::Choice(at) => Some(at(config).word().to_owned()),
            Self::Integer { at, .. } => Some(at(config).text()),
            Self::Text(_, at) => Some(at(config).clone()),
            Self::Secret(at) => at(config).as_ref().map(ToString::to_string),
            Self::Url(_, at) => at(config).as_ref().map(ToString::to_string),
        }
    }

    /// What the key takes, in words that follow "it takes".
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Choice(at) => format!("one of {}", at(&mut Config::default()).words().join(", ")),
            Self::Integer { min, max, unit, .. } => {
                let unit = match unit.is_empty() {
                    true => String::new(),
                    false => format!(" ({unit})"),
                };
                format!("an integer from {min} to {max}{unit}")
            }
            Self::Text(rule, _) => rule.wanted.to_owned(),
            Self::Secret(_) => "a text".to_owned(),
            Self::Url(rule, _) => rule.wanted.to_owned(),
        }
    }

    pub(super) fn takes_integer(&self) -> bool {
        matches!(self, Self::Integer { .. })
    }
}

/// A field that holds a [`Choice`].
pub(super) trait ChoiceField {
    fn words(&self) -> Vec<&'static str>;
    fn word(&self) -> &'static str;
    /// False where no choice has this name.
    fn choose(&mut self, word: &str) -> bool;
}

impl<T: Choice> ChoiceField for T {
    fn words(&self) -> Vec<&'static str> {
        T::ALL.iter().map(|choice| choice.name()).collect()
    }

    fn word(&self) -> &'static str {
        self.name()
    }

    fn choose(&mut self, word: &str) -> bool {
        match T::ALL.iter().find(|choice| choice.name() == word) {
            Some(choice) => {
                *self = *choice;
                true
            }
            None => false,
        }
    }
}

/// A field that holds an integer.
pub(super) trait IntegerField {
    /// False where it does not fit.
    fn put(&mut self, integer: u64) -> bool;
    fn text(&self) -> String;
}

macro_rules! integer_field {
    ($($integer:ty),*) => {$(
        impl IntegerField for $integer {
            fn put(&mut self, integer: u64) -> bool {
                match <$integer>::try_from(integer) {
                    Ok(fits) => {
                        *self = fits;
                        true
                    }
                    Err(_) => false,
                }
            }

            fn text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

integer_field!(u16, u32, u64, usize);

/// In milliseconds.
impl IntegerField for Duration {
    fn put(&mut self, integer: u64) -> bool {
        *self = Self::from_millis(integer);
        true
    }

    fn text(&self) -> String {
        self.as_millis().to_string()
    }
}
