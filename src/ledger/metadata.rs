//! Metadata: a caller's own JSON, read strictly, since what is read is what is kept.
//!
//! Of two values under one name, one would be lost; an integer beyond 64 bits would become the
//! nearest float. Both are refused, wherever the text comes from.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const BYTES_MAX: usize = 16 * 1024;
/// JSON readers stop at some depth; the event holds the metadata one level down.
const DEPTH_MAX: usize = 32;

/// A caller's own JSON object, stored with the transaction: at most 16 KiB and 32 levels deep, each
/// name once, integers of 64 bits, no U+0000, which PostgreSQL can't store.
///
/// It is kept in canonical form: keys sorted, no white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(String);

impl Metadata {
    /// The canonical JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Metadata {
    type Err = String;

    fn from_str(json: &str) -> Result<Self, String> {
        let raw = serde_json::from_str(json).map_err(|error| no_json(&error))?;
        let value = read(raw, DEPTH_MAX)?;
        if !value.is_object() {
            return Err("is not a JSON object: write {\"name\": value}".to_owned());
        }
        let mut canonical = String::new();
        write_canonical(&value, &mut canonical);
        if canonical.len() > BYTES_MAX {
            return Err(format!(
                "has {} bytes as JSON: write at most {BYTES_MAX}",
                canonical.len()
            ));
        }
        if canonical.contains("\\u0000") && holds_nul(&value) {
            return Err("holds the character U+0000: leave it out".to_owned());
        }
        Ok(Self(canonical))
    }
}

fn no_json(error: &serde_json::Error) -> String {
    format!("is not JSON that can be kept ({error}): write an object of plain values")
}

/// Reads a value that may have so many levels.
fn read(raw: &RawValue, levels: usize) -> Result<Value, String> {
    let within = || {
        levels
            .checked_sub(1)
            .ok_or_else(|| format!("is nested more than {DEPTH_MAX} levels deep: write it flatter"))
    };
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'{') => {
            let within = within()?;
            let Fields(fields) = parsed(json)?;
            let mut read_fields = Map::new();
            for (name, raw) in fields {
                if read_fields.contains_key(&name) {
                    let name = shown(&name);
                    return Err(format!("holds the name {name:?} twice: write it once"));
                }
                read_fields.insert(name, read(raw, within)?);
            }
            Ok(Value::Object(read_fields))
        }
        Some(b'[') => {
            let within = within()?;
            let items: Vec<&RawValue> = parsed(json)?;
            let items = items.into_iter().map(|raw| read(raw, within));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        Some(b'-' | b'0'..=b'9') if !is_kept(json) => Err(format!(
            "holds the number {}, which is beyond 64 bits: write it as a string",
            shown(json)
        )),
        _ => parsed(json),
    }
}

fn parsed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| no_json(&error))
}

/// Whether a number is kept as it is written: an integer of 64 bits, or one that is none.
fn is_kept(number: &str) -> bool {
    number.contains(['.', 'e', 'E'])
        || number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
}

/// The beginning of what a caller wrote.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The fields of an object in their order, also those that stand twice.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Writes JSON with sorted keys, whatever order the map type keeps.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (n, (name, value)) in sorted.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn kept(json: &str) -> String {
        json.parse::<Metadata>().unwrap().as_str().to_owned()
    }

    fn problem(json: &str) -> String {
        json.parse::<Metadata>().unwrap_err()
    }

    #[test]
    fn nothing_is_lost_of_what_is_written() {
        for json in [r#"{"a": 1, "a": 2}"#, r#"{"b": [{"a": 1, "\u0061": 1}]}"#] {
            assert_eq!(problem(json), r#"holds the name "a" twice: write it once"#);
        }
        for number in [
            "18446744073709551616",
            "-9223372036854775809",
            "100000000000000000000000",
        ] {
            let problem = problem(&format!(r#"{{"order": [{number}]}}"#));
            assert!(problem.contains(number), "{problem}");
            assert!(problem.ends_with("write it as a string"), "{problem}");
        }
        for json in [
            r#"{"a":-9223372036854775808}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"a":{"b":1},"b":[true,null,"5",0.5,{}]}"#,
        ] {
            assert_eq!(kept(json), json);
        }
    }

    #[test]
    fn white_space_and_order_are_not_kept() {
        let json = " {\"b\" : [ 1,\n{\"y\":1, \"x\" : 2} ], \"a\":1 }\n";
        assert_eq!(kept(json), r#"{"a":1,"b":[1,{"x":2,"y":1}]}"#);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(nested(DEPTH_MAX).parse::<Metadata>().is_ok());
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(BYTES_MAX));
        for (json, expected) in [
            (nested(DEPTH_MAX + 1), "levels deep"),
            (nested(200_000), "levels deep"),
            (large, "write at most 16384"),
            (r#"{"a": ["\u0000"]}"#.to_owned(), "U+0000"),
            (r#"{"\u0000": 1}"#.to_owned(), "U+0000"),
            (r#"{"a": "\ud800"}"#.to_owned(), "is not JSON"),
            (r#"{"a": 1e999}"#.to_owned(), "is not JSON"),
            ("{".to_owned(), "is not JSON"),
            ("{} {}".to_owned(), "is not JSON"),
            (String::new(), "is not JSON"),
            ("[1]".to_owned(), "is not a JSON object"),
            ("null".to_owned(), "is not a JSON object"),
        ] {
            let problem = problem(&json);
            assert!(problem.contains(expected), "{problem}");
        }
        assert_eq!(kept(r#"{"a":"\\u0000"}"#), r#"{"a":"\\u0000"}"#);
    }
}
