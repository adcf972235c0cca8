#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn of_body(body: &str) -> Option<String> {
    digest("POST", "/v1/ledgers", body.as_bytes())
}

#[test]
fn neither_white_space_nor_the_order_of_keys_counts() {
    let plain = of_body(r#"{"a":[1,{"x":"é","y":null}],"b":true}"#).unwrap();
    for same in [
        "{ \"b\" : true ,\r\n\t\"a\" : [ 1 , { \"y\" : null , \"x\" : \"é\" } ] }  ",
        r#"{"\u0062":true,"a":[1,{"x":"\u00e9","y":null}]}"#,
    ] {
        assert_eq!(of_body(same).unwrap(), plain, "{same}");
    }
}

#[test]
fn anything_else_counts() {
    let bodies = [
        r#"{"a":1}"#,
        r#"{"a":1.0}"#,
        r#"{"a":10e-1}"#,
        r#"{"a":"1"}"#,
        r#"{"a":[1]}"#,
        r#"{"A":1}"#,
        r#"{"a":1,"b":null}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":2,"a":1}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[2,1]}"#,
        r#"{"a":"x y"}"#,
        r#"{"a":"xy"}"#,
        r#"{"a":{"b":1},"c":1}"#,
        r#"{"a":{"b":1,"c":1}}"#,
        "[]",
        "{}",
        "{\"a\":99999999999999999999}",
        "{\"a\":99999999999999999998}",
    ];
    let mut digests: Vec<_> = bodies.iter().map(|body| of_body(body).unwrap()).collect();
    digests.push(digest("PUT", "/v1/ledgers", b"{}").unwrap());
    digests.push(digest("POST", "/v1/ledgers/", b"{}").unwrap());
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all);
}

#[test]
fn what_is_no_json_has_no_fingerprint() {
    for body in [
        "",
        " ",
        "{",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "[1 2]",
        "[1]]",
        "nul",
        "01",
        "\"\\x\"",
        "{'a':1}",
    ] {
        assert_eq!(of_body(body), None, "{body}");
    }
    assert_eq!(digest("POST", "/", b"\"\xff\""), None);
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(of_body(&deep(DEPTH_MAX)).is_some());
    assert_eq!(of_body(&deep(DEPTH_MAX + 1)), None);
    assert_eq!(
        of_body(&deep(1_000_000)),
        None,
        "nor does it use up the stack"
    );
}

#[tokio::test]
async fn a_long_body_has_the_fingerprint_that_a_short_one_would() {
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(2 * AT_ONCE_BYTES_MAX));
    let long = of(&Method::POST, "/v1/ledgers", Bytes::from(body.clone())).await;
    assert_eq!(long, of_body(&body));
    assert!(long.is_some());
}

/// JSON with the text of its numbers.
#[derive(Clone, Debug)]
enum Json {
    Word(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?".prop_map(Json::Word),
        "true|false|null".prop_map(Json::Word),
        any::<String>().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Json::Array),
            vec((".{0,3}", inner), 0..5).prop_map(|mut members| {
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                members.dedup_by(|(a, _), (b, _)| a == b);
                Json::Object(members)
            }),
        ]
    })
}

/// Writes it in one of the many ways in which it can be written.
fn write(json: &Json, style: &mut impl Iterator<Item = u8>, out: &mut String) {
    let mut next = || style.next().unwrap();
    let space = [" ", "", "\n\t", "\r\n", ""][usize::from(next() % 5)];
    out.push_str(space);
    match json {
        Json::Word(word) => out.push_str(word),
        Json::Text(text) => string(text, next().is_multiple_of(2), out),
        Json::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                write(item, style, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if !members.is_empty() {
                let by = usize::from(next()) % members.len();
                members.rotate_left(by);
            }
            out.push('{');
            for (n, (key, value)) in members.into_iter().enumerate() {
                out.push_str(if n > 0 { " ," } else { "" });
                string(key, style.next().unwrap().is_multiple_of(2), out);
                out.push_str(space);
                out.push(':');
                write(value, style, out);
            }
            out.push('}');
        }
    }
    out.push_str(space);
}

fn string(text: &str, escaped: bool, out: &mut String) {
    if !escaped {
        out.push_str(&serde_json::to_string(text).unwrap());
        return;
    }
    out.push('"');
    for unit in text.encode_utf16() {
        write!(out, "\\u{unit:04X}").unwrap();
    }
    out.push('"');
}

fn written(json: &Json, style: &[u8]) -> String {
    let mut out = String::new();
    write(json, &mut style.iter().copied().cycle(), &mut out);
    out
}

proptest! {
    #[test]
    fn however_it_is_written_it_is_the_same_request(
        json in json(),
        one in vec(any::<u8>(), 1..50),
        other in vec(any::<u8>(), 1..50),
    ) {
        let (one, other) = (written(&json, &one), written(&json, &other));
        let fingerprint = of_body(&one);
        prop_assert!(fingerprint.is_some(), "{one}");
        prop_assert_eq!(fingerprint, of_body(&other), "{} and {}", one, other);
    }

    #[test]
    fn the_canonical_form_says_the_same_and_is_its_own(
        json in json(),
        style in vec(any::<u8>(), 1..50),
    ) {
        let text = written(&json, &style);
        let form = canonical(text.as_bytes()).unwrap();
        prop_assert_eq!(canonical(&form).unwrap(), form.clone());
        // Numbers beyond a double can't be compared this way.
        if let Ok(said) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(serde_json::from_slice::<Value>(&form).unwrap(), said);
        }
    }

    #[test]
    fn different_requests_have_different_fingerprints(one in json(), other in json()) {
        let (one, other) = (written(&one, &[1]), written(&other, &[1]));
        let same = canonical(one.as_bytes()).unwrap() == canonical(other.as_bytes()).unwrap();
        prop_assert_eq!(of_body(&one) == of_body(&other), same);
        prop_assert_eq!(same, one == other, "{} and {}", one, other);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        let is_json = std::str::from_utf8(&bytes).is_ok()
            && serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        prop_assert_eq!(digest("POST", "/", &bytes).is_some(), is_json);
    }
}
