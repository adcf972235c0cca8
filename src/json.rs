//! What is wrong with a JSON text, said without quoting any of it: what others send may hold what no
//! log may hold.

use serde::de::DeserializeOwned;

/// What is wrong, where, and what was expected.
#[must_use]
pub fn problem(error: &serde_json::Error) -> String {
    let told = error.to_string();
    // The names are those of the program.
    if told.starts_with("missing field") || told.starts_with("duplicate field") {
        return told;
    }
    let what = match error.is_data() {
        true => "a value of another type",
        false => "no JSON",
    };
    let at = format!("{what} at line {} column {}", error.line(), error.column());
    match expected(&told) {
        Some(expected) if error.is_data() => format!("{at}: expected {expected}"),
        _ => at,
    }
}

/// Reads a value.
///
/// # Errors
/// As [`problem`], behind the field that it is about. Of a type that is read into maps, their keys
/// would be quoted.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| match field::<T>(json, &error) {
        Some(field) => format!("{field}: {}", problem(&error)),
        None => problem(&error),
    })
}

/// The end of serde's message, which comes behind the value, whatever the value is.
fn expected(told: &str) -> Option<&str> {
    let quotes = ["invalid type: ", "invalid value: ", "invalid length "];
    if !quotes.iter().any(|begin| told.starts_with(begin)) {
        return None;
    }
    let (told, _) = told.rsplit_once(" at line ")?;
    let (_, expected) = told.rsplit_once(", expected ")?;
    Some(expected)
}

/// Where a value of another type stands. Reads anew: it is asked for where reading failed.
fn field<T: DeserializeOwned>(json: &[u8], error: &serde_json::Error) -> Option<String> {
    if !error.is_data() {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let failed = serde_path_to_error::deserialize::<_, T>(&mut reader).err()?;
    let path = failed.path().to_string();
    // A dot is the whole.
    (path != ".").then_some(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    const SECRET: &str = "card 4242, expected nothing at line 9";

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is read, and what it holds is not looked at")]
    struct Asked {
        amount: i64,
        legs: Vec<Leg>,
        metadata: Option<Box<RawValue>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "as above")]
    struct Leg {
        wallet: String,
    }

    fn told(json: &str) -> String {
        read::<Asked>(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_field_the_place_and_what_was_expected_are_told_and_the_value_is_not() {
        let amount = format!(r#"{{"amount": "{SECRET}", "legs": []}}"#);
        assert_eq!(
            told(&amount),
            "amount: a value of another type at line 1 column 50: expected i64"
        );
        let leg = format!(r#"{{"amount": 1, "legs": [{{"wallet": ["{SECRET}"]}}]}}"#);
        assert_eq!(
            told(&leg),
            "legs[0].wallet: a value of another type at line 1 column 34: expected a string"
        );
        for json in [
            amount,
            leg,
            format!(r#"{{"{SECRET}"#),
            format!("\"{SECRET}\""),
        ] {
            let told = told(&json);
            assert!(
                !told.contains("4242") && !told.contains("nothing"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let told = told(r#"{"amount": 1}"#);
        assert!(told.starts_with("missing field `legs`"), "{told}");
    }

    #[test]
    fn what_is_right_is_read() {
        let json = br#"{"amount": 1, "legs": [], "metadata": {"a":  1}}"#;
        let read: Asked = read(json).unwrap();
        assert_eq!(read.metadata.unwrap().get(), r#"{"a":  1}"#);
    }
}
