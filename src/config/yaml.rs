//! The only place that knows `serde_yaml`, which is no longer maintained: text in, plain
//! nodes out. Another parser would replace this file and nothing else.

use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_yaml::Value;

use super::given::Given;

/// One entry of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Counted from 1.
    pub(super) line: Option<usize>,
    pub(super) node: Node,
}

/// A value, or a mapping in the file's order.
#[derive(Debug)]
pub(super) enum Node {
    Value(Given),
    Section(Vec<Entry>),
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) line: Option<usize>,
    pub(super) detail: String,
}

/// Reads one document. A text of comments only is an empty value.
pub(super) fn parse(text: &str) -> Result<Node, Syntax> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| Syntax {
        line: error.location().map(|location| location.line()),
        detail: error.to_string(),
    })?;
    node(text, &mut Vec::new(), value)
}

fn node(text: &str, path: &mut Vec<String>, value: Value) -> Result<Node, Syntax> {
    Ok(Node::Value(match value {
        Value::Null => Given::Empty,
        Value::Bool(value) => Given::Boolean(value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => Given::Integer(value.into()),
            (None, Some(value)) => Given::Integer(value.into()),
            (None, None) => Given::Decimal(number.to_string()),
        },
        Value::String(value) => Given::text(value),
        Value::Sequence(_) => Given::List,
        Value::Tagged(_) => Given::Tagged,
        Value::Mapping(mapping) => {
            let mut entries = Vec::with_capacity(mapping.len());
            for (key, value) in mapping {
                let Value::String(key) = key else {
                    return Err(Syntax {
                        line: line_of(text, path),
                        detail: "a key is not a text".to_owned(),
                    });
                };
                path.push(key.clone());
                let line = line_of(text, path);
                let node = node(text, path, value)?;
                path.pop();
                entries.push(Entry { key, line, node });
            }
            return Ok(Node::Section(entries));
        }
    }))
}

/// The line of a key. `serde_yaml` keeps no positions beside its values, but an error
/// carries one: reads the text again and fails on purpose at the key.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let seek = Seek { path };
    let error = seek
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    Some(error.location()?.line())
}

/// Walks down to the key that `path` names.
struct Seek<'a> {
    path: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((name, below)) = self.path.split_first() else {
            return Ok(());
        };
        let seed = SeekKey {
            name,
            last: below.is_empty(),
        };
        while let Some(found) = map.next_key_seed(&seed)? {
            if found {
                return map.next_value_seed(Seek { path: below });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Compares one key; the last one of the path fails.
struct SeekKey<'a> {
    name: &'a str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for &SeekKey<'_> {
    type Value = bool;

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for &SeekKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.name {
            true if self.last => Err(E::custom("found")),
            same => Ok(same),
        }
    }
}
