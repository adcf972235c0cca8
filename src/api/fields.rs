//! Reads the fields of a JSON object and gathers every problem before it answers.
//!
//! An object's values are kept as slices of the body until a field asks for one, so that a field
//! of the wrong type costs the others nothing, an integer is told from a float by its text, and
//! numbers beyond `i64` are seen as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::kinds::{self, Kind};
use super::problem::Problem;
use super::schema::FieldProblem;
use super::values::Field;
use crate::ledger::{InvalidField, RejectionCode};

/// The most problems that one answer names.
const PROBLEMS_MAX: usize = 100;
/// The most fields of an object that are looked at; none that is known here has half as many.
const FIELDS_MAX: usize = 32;
/// The most fields that one object may be asked for.
const KNOWN_MAX: usize = 16;

/// Why a value is not taken.
pub(super) struct Wrong {
    problem: Cow<'static, str>,
    kind: Kind,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            problem: problem.into(),
            kind: kinds::FIELDS_INVALID,
        }
    }

    /// A problem that has a code of its own among the rejections.
    pub(super) fn with_code(code: RejectionCode, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            problem: problem.into(),
            kind: Kind::of_rejection(code),
        }
    }
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems {
    errors: Vec<FieldProblem>,
    unnamed: usize,
    kind: Option<Kind>,
}

impl Problems {
    pub(super) fn add(&mut self, field: impl Into<String>, wrong: Wrong) {
        self.kind = match self.kind {
            None => Some(wrong.kind),
            // A code of its own says what all of it is about, or nothing.
            Some(kind) if kind == wrong.kind => Some(kind),
            Some(_) => Some(kinds::FIELDS_INVALID),
        };
        if self.errors.len() < PROBLEMS_MAX {
            self.errors.push(FieldProblem {
                field: field.into(),
                problem: wrong.problem,
            });
        } else {
            self.unnamed = self.unnamed.saturating_add(1);
        }
    }

    /// The answer, where anything was wrong.
    pub(super) fn into_problem(self) -> Option<Problem> {
        let first = self.errors.first()?;
        let more = self
            .errors
            .len()
            .saturating_add(self.unnamed)
            .saturating_sub(1);
        let mut detail = format!("{} {}", first.field, first.problem);
        if more > 0 {
            detail.push_str(&format!("; and {more} more"));
        }
        if self.unnamed > 0 {
            detail.push_str(&format!(", of which {} are not named", self.unnamed));
        }
        let kind = self.kind.unwrap_or(kinds::FIELDS_INVALID);
        Some(Problem::new(kind, detail).with_errors(self.errors))
    }
}

/// Where an object stands in the body.
#[derive(Clone, Copy)]
enum Place {
    Body,
    Item(&'static str, usize),
}

impl Place {
    fn field(self, name: &str) -> String {
        match self {
            Self::Body => name.to_owned(),
            Self::Item(list, n) => format!("{list}[{n}].{name}"),
        }
    }
}

/// A JSON object whose fields are taken out one by one.
pub(super) struct Object<'a, 'p> {
    place: Place,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    known: [&'static str; KNOWN_MAX],
    asked: usize,
    problems: &'p mut Problems,
}

impl<'a, 'p> Object<'a, 'p> {
    /// Reads the text of a whole body.
    pub(super) fn of_body(
        text: &'a str,
        problems: &'p mut Problems,
    ) -> Result<Option<Self>, Problem> {
        match serde_json::from_str::<RawFields<'a>>(text) {
            Ok(raw) => Ok(Some(Self::new(Place::Body, raw, problems))),
            Err(error) if error.is_data() => {
                problems.add(
                    "body",
                    Wrong::new("is not a JSON object: send {\"name\": value, …}"),
                );
                Ok(None)
            }
            Err(_) if text.trim_ascii().is_empty() => Err(Problem::new(
                kinds::JSON_INVALID,
                "The body is empty: send a JSON object.",
            )),
            Err(error) => Err(Problem::new(
                kinds::JSON_INVALID,
                format!("The body is not JSON: {error}."),
            )),
        }
    }

    /// Reads the object that stands at a place of a list.
    pub(super) fn item(
        &mut self,
        list: &'static str,
        n: usize,
        raw: &'a RawValue,
    ) -> Option<Object<'a, '_>> {
        match serde_json::from_str::<RawFields<'a>>(raw.get()) {
            Ok(fields) => Some(Object::new(Place::Item(list, n), fields, self.problems)),
            Err(_) => {
                let problem = format!("is {}: write an object", kind_of(raw));
                self.problems
                    .add(format!("{list}[{n}]"), Wrong::new(problem));
                None
            }
        }
    }

    fn new(place: Place, raw: RawFields<'a>, problems: &'p mut Problems) -> Self {
        for name in raw.repeated {
            problems.add(
                place.field(&shown(&name)),
                Wrong::new("stands twice: write it once"),
            );
        }
        if raw.too_many {
            let problem = format!("has more than {FIELDS_MAX} fields");
            problems.add(place.field("*"), Wrong::new(problem));
        }
        Self {
            place,
            fields: raw.fields,
            known: [""; KNOWN_MAX],
            asked: 0,
            problems,
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        if let Some(slot) = self.known.get_mut(self.asked) {
            *slot = name;
            self.asked = self.asked.saturating_add(1);
        }
        let place = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.swap_remove(place).1)
    }

    fn read<T: Field<'a>>(&mut self, name: &str, raw: &'a RawValue) -> Option<T> {
        match T::read(raw) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problems.add(self.place.field(name), wrong);
                None
            }
        }
    }

    /// A field that has to be there.
    pub(super) fn required<T: Field<'a>>(&mut self, name: &'static str) -> Option<T> {
        match self.take(name) {
            Some(raw) => self.read(name, raw),
            None => {
                self.wrong(name, format!("is missing: write {}", T::FORM));
                None
            }
        }
    }

    /// A field that may be absent; null says the same.
    pub(super) fn optional<T: Field<'a>>(&mut self, name: &'static str) -> Option<T> {
        self.nullable(name).flatten()
    }

    /// A field for which null has a meaning of its own: `None` where it is absent.
    pub(super) fn nullable<T: Field<'a>>(&mut self, name: &'static str) -> Option<Option<T>> {
        let raw = self.take(name)?;
        if raw.get() == "null" {
            return Some(None);
        }
        self.read(name, raw).map(Some)
    }

    /// Says what is wrong with a field that was read.
    pub(super) fn wrong(&mut self, name: &str, problem: impl Into<Cow<'static, str>>) {
        self.problems
            .add(self.place.field(name), Wrong::new(problem));
    }

    /// The value, or else its default with the problem noted.
    pub(super) fn checked<T: Default>(&mut self, checked: Result<T, InvalidField>) -> T {
        checked.unwrap_or_else(|invalid| {
            self.wrong(&invalid.field, invalid.problem);
            T::default()
        })
    }

    /// Names the fields that nobody asked for.
    pub(super) fn finish(self) {
        for (name, _) in &self.fields {
            let known = self.known.get(..self.asked).unwrap_or_default().join(", ");
            let problem = format!("is not a field here: leave it out, the fields are {known}");
            self.problems
                .add(self.place.field(&shown(name)), Wrong::new(problem));
        }
    }
}

/// The fields of an object as slices of its text.
struct RawFields<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    repeated: Vec<Cow<'a, str>>,
    too_many: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
                let (mut repeated, mut too_many) = (Vec::new(), false);
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    // Bounded, since each name is compared with all before it.
                    if fields.len().saturating_add(repeated.len()) >= FIELDS_MAX {
                        map.next_value::<IgnoredAny>()?;
                        too_many = true;
                        continue;
                    }
                    let value = map.next_value()?;
                    if fields.iter().any(|(before, _)| *before == name) {
                        repeated.push(name);
                    } else {
                        fields.push((name, value));
                    }
                }
                Ok(RawFields {
                    fields,
                    repeated,
                    too_many,
                })
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Text that is borrowed from the body unless it holds escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The beginning of what a caller wrote.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What kind of JSON it is.
pub(super) fn kind_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
