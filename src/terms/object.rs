//! Takes a JSON object apart, member by member, and names every problem on the way.
//!
//! Values stay slices of the text until a member is asked for, so that an integer is told from a
//! float by how it is written and one wrong value costs the others nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ledger::InvalidField;

/// The most members of an object that are looked at; none that is known has half as many.
const MEMBERS_MAX: usize = 32;
const SHOWN_CHARS_MAX: usize = 64;

/// A value that a member can hold.
pub(super) trait Value<'a>: Sized {
    /// What to write, as the end of a sentence.
    const FORM: &'static str;

    fn read(raw: &'a RawValue) -> Result<Self, String>;
}

/// A JSON object whose members are taken out one by one.
pub(super) struct Object<'a> {
    place: String,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    known: Vec<&'static str>,
    problems: Vec<InvalidField>,
}

impl<'a> Object<'a> {
    /// Reads an object's text. Its members are named after its place, where that isn't empty.
    pub(super) fn of(place: &str, json: &'a str) -> Result<Self, String> {
        let raw: Members<'a> = serde_json::from_str(json).map_err(|error| {
            if error.is_data() {
                format!("is {}: write an object", kind_of(json))
            } else {
                format!("is not JSON: {error}")
            }
        })?;
        let mut object = Self {
            place: place.to_owned(),
            members: raw.members,
            known: Vec::new(),
            problems: Vec::new(),
        };
        for name in raw.repeated {
            object.wrong(&shown(&name), "stands twice: write it once");
        }
        if raw.too_many {
            object.wrong("*", format!("are more than {MEMBERS_MAX} members"));
        }
        Ok(object)
    }

    /// Says what is wrong with a member.
    pub(super) fn wrong(&mut self, name: &str, problem: impl Into<String>) {
        let field = match self.place.as_str() {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        self.problems.push(InvalidField::new(field, problem));
    }

    fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        let found = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(found).1)
    }

    /// A member that may be absent; null says the same.
    pub(super) fn optional<T: Value<'a>>(&mut self, name: &'static str) -> Option<T> {
        let raw = self.take(name).filter(|raw| raw.get() != "null")?;
        let read = T::read(raw).map_err(|problem| self.wrong(name, problem));
        read.ok()
    }

    /// A member that has to be there.
    pub(super) fn required<T: Value<'a>>(&mut self, name: &'static str) -> Option<T> {
        let Some(raw) = self.take(name) else {
            self.wrong(name, format!("is missing: write {}", T::FORM));
            return None;
        };
        let read = T::read(raw).map_err(|problem| self.wrong(name, problem));
        read.ok()
    }

    /// A list that may be absent, without the items that can't be read or stand twice.
    pub(super) fn list<T: Value<'a>>(&mut self, name: &'static str) -> Option<Vec<T>> {
        let raw = self.take(name).filter(|raw| raw.get() != "null")?;
        let Items(raw) = match Items::read(raw) {
            Ok(items) => items,
            Err(problem) => {
                self.wrong(name, problem);
                Items(Vec::new())
            }
        };
        let mut items = Vec::with_capacity(raw.len());
        let mut before = BTreeSet::new();
        for (n, raw) in raw.into_iter().enumerate() {
            match T::read(raw) {
                Ok(_) if !before.insert(raw.get()) => {
                    self.wrong(&format!("{name}[{n}]"), "stands twice: write it once");
                }
                Ok(item) => items.push(item),
                Err(problem) => self.wrong(&format!("{name}[{n}]"), problem),
            }
        }
        Some(items)
    }

    /// An object within this one that may be absent.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Object<'a>) -> Option<T>,
    ) -> Option<T> {
        let Section(json) = self.optional(name)?;
        self.within(name, json, read)
    }

    /// An object within this one that has to be there.
    pub(super) fn required_section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Object<'a>) -> Option<T>,
    ) -> Option<T> {
        let Section(json) = self.required(name)?;
        self.within(name, json, read)
    }

    fn within<T>(
        &mut self,
        name: &str,
        json: &'a str,
        read: impl FnOnce(&mut Object<'a>) -> Option<T>,
    ) -> Option<T> {
        let place = match self.place.as_str() {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        match Object::of(&place, json) {
            Ok(mut object) => {
                let value = read(&mut object);
                self.problems.extend(object.finish());
                value
            }
            Err(problem) => {
                self.wrong(name, problem);
                None
            }
        }
    }

    /// The value, or else its problems noted.
    pub(super) fn checked<T>(&mut self, checked: Result<T, Vec<InvalidField>>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(problems) => {
                for InvalidField { field, problem } in problems {
                    self.wrong(&field, problem);
                }
                None
            }
        }
    }

    /// All problems, those members among them that nobody asked for.
    pub(super) fn finish(mut self) -> Vec<InvalidField> {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.members) {
            let problem = format!("is not a field here: leave it out, the fields are {known}");
            self.wrong(&shown(&name), problem);
        }
        self.problems
    }
}

/// The members of an object as slices of its text.
struct Members<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    repeated: Vec<Cow<'a, str>>,
    too_many: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let (mut repeated, mut too_many) = (Vec::new(), false);
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    // Bounded, since each name is compared with all before it.
                    if members.len().saturating_add(repeated.len()) >= MEMBERS_MAX {
                        map.next_value::<IgnoredAny>()?;
                        too_many = true;
                        continue;
                    }
                    let value = map.next_value()?;
                    if members.iter().any(|(before, _)| *before == name) {
                        repeated.push(name);
                    } else {
                        members.push((name, value));
                    }
                }
                Ok(Members {
                    members,
                    repeated,
                    too_many,
                })
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

/// Text that is borrowed unless it holds escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Items<'a>(Vec<&'a RawValue>);

impl<'a> Value<'a> for Items<'a> {
    const FORM: &'static str = "an array";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        serde_json::from_str(raw.get())
            .map(Self)
            .map_err(|_| of_another_kind::<Self>(raw))
    }
}

struct Section<'a>(&'a str);

impl<'a> Value<'a> for Section<'a> {
    const FORM: &'static str = "an object";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        Ok(Self(raw.get()))
    }
}

/// The characters of a string.
pub(super) fn text<'a, T: Value<'a>>(raw: &'a RawValue) -> Result<Cow<'a, str>, String> {
    if !raw.get().starts_with('"') {
        return Err(of_another_kind::<T>(raw));
    }
    let text = serde_json::from_str::<Text<'a>>(raw.get());
    text.map(|Text(text)| text)
        .map_err(|_| "holds an escape that is no character: write it plainly".to_owned())
}

/// Says what stands there instead, and what to write.
pub(super) fn of_another_kind<'a, T: Value<'a>>(raw: &RawValue) -> String {
    format!("is {}: write {}", kind_of(raw.get()), T::FORM)
}

/// The beginning of what was written.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// What kind of JSON it is.
fn kind_of(json: &str) -> &'static str {
    match json.trim_ascii_start().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
