//! The API's description of itself as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{cell, hold};
use crate::common::TestDatabase;
use crate::support::daemon::Settings;

const HEAD: &str = "\
# HTTP

Generated from `/openapi.json`, which `aegisd` generates from its code and serves, with a page to read at
`/docs`; `make docs` writes it anew.

Amounts are integers in minor units, times UTC as of RFC 3339. What writes carries an `Idempotency-Key`;
a repeat is answered as the request was, with `Idempotent-Replayed: true`. Lists page: `limit` (1 to
1,000, 100 unless said) and `after`, the `next` of the page before. `X-Correlation-Id` and `traceparent`
are taken up or made, answered, logged and sent on.

Errors are `application/problem+json` (RFC 9457) with a stable `code`: [Problem](#problem). 429 and 503
carry `Retry-After` in seconds; a 503 or 504 leaves open whether the request took effect, and the same
key tells.
";

/// Parameters that the head of the page tells of.
const COMMON: [&str; 6] = [
    "CorrelationId",
    "Traceparent",
    "Ledger",
    "Limit",
    "After",
    "IdempotencyKey",
];

#[tokio::test]
async fn the_apis_reference_is_what_the_code_says() {
    let database = TestDatabase::create().await;
    let aegisd = Settings::new(database.url()).start().await;
    let url = format!("http://{}/openapi.json", aegisd.address);
    let document: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let mut page = HEAD.to_owned();
    for tag in document["tags"].as_array().unwrap() {
        let (name, about) = (text(&tag["name"]), text(&tag["description"]));
        writeln!(page, "\n## {name}\n\n{}", cell(about)).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if operation["tags"][0] == tag["name"] {
                    tell(&mut page, &document, path, method, operation);
                }
            }
        }
    }
    page.push_str("\n# Shapes\n\nFields that may be absent are marked with `?`.\n");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        shape(&mut page, name, schema);
    }
    hold("docs/http.md", &page);
    aegisd.stop().await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn tell(page: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    writeln!(page, "\n### {} {path}\n", method.to_uppercase()).unwrap();
    let words = [&operation["summary"], &operation["description"]].map(text);
    let words = words.iter().filter(|words| !words.is_empty());
    let words: Vec<String> = words
        .map(|words| cell(words.trim_end_matches('.')))
        .collect();
    writeln!(page, "{}.\n", words.join(". ")).unwrap();
    parameters(page, document, operation);
    let media = operation["requestBody"]["content"].as_object();
    for (kind, media) in media.into_iter().flatten() {
        let shape = type_of(&media["schema"]);
        let kind = match kind.as_str() {
            "application/json" => String::new(),
            kind => format!(" as `{kind}`"),
        };
        writeln!(page, "Body: {shape}{kind}\n").unwrap();
    }
    let mut refusals = Vec::new();
    for (status, answer) in operation["responses"].as_object().unwrap() {
        let about = cell(text(&answer["description"]));
        if status.starts_with('4') || status.starts_with('5') {
            refusals.push(format!("{status} {about}"));
            continue;
        }
        let content = answer["content"].as_object();
        let shapes: Vec<String> = content
            .into_iter()
            .flatten()
            .map(|(_, media)| type_of(&media["schema"]))
            .filter(|shape| !shape.is_empty())
            .collect();
        writeln!(page, "**{status}** {about} {}\n", shapes.join(", ")).unwrap();
    }
    if !refusals.is_empty() {
        writeln!(page, "Errors: {}", refusals.join(" · ")).unwrap();
    }
}

fn parameters(page: &mut String, document: &Value, operation: &Value) {
    let mut rows = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let reference = text(&parameter["$ref"])
            .rsplit('/')
            .next()
            .unwrap_or_default();
        if COMMON.contains(&reference) {
            continue;
        }
        let parameter = match reference {
            "" => parameter,
            name => &document["components"]["parameters"][name],
        };
        let optional = if parameter["required"] == true {
            ""
        } else {
            "?"
        };
        rows.push(format!(
            "| `{}`{optional} | {} | {} | {} |",
            text(&parameter["name"]),
            text(&parameter["in"]),
            type_of(&parameter["schema"]),
            cell(text(&parameter["description"])),
        ));
    }
    if !rows.is_empty() {
        writeln!(
            page,
            "| | in | | |\n|---|---|---|---|\n{}\n",
            rows.join("\n")
        )
        .unwrap();
    }
}

fn shape(page: &mut String, name: &str, schema: &Value) {
    writeln!(
        page,
        "\n## {name}\n\n{}",
        cell(text(&schema["description"]))
    )
    .unwrap();
    let fields = fields(schema);
    if fields.is_empty() {
        return writeln!(page, "\n{}", type_of(schema)).unwrap();
    }
    page.push_str("\n| field | | |\n|---|---|---|\n");
    for (field, (schema, needed)) in fields {
        let about = cell(text(&schema["description"]));
        let kind = type_of(schema);
        match schema["$ref"]
            .as_str()
            .is_some_and(|part| part.ends_with(&format!("/{field}")))
        {
            true => writeln!(page, "| all of {kind} | | {about} |").unwrap(),
            false if needed => writeln!(page, "| `{field}` | {kind} | {about} |").unwrap(),
            false => writeln!(page, "| `{field}`? | {kind} | {about} |").unwrap(),
        }
    }
}

/// The fields of an object, also of one that is put together of others, and whether each is needed.
fn fields(schema: &Value) -> BTreeMap<&str, (&Value, bool)> {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let mut found: BTreeMap<&str, (&Value, bool)> = parts.flat_map(fields).collect();
    let needed = |field: &str| {
        let needed = schema["required"].as_array().into_iter().flatten();
        needed.into_iter().any(|name| name == field)
    };
    for (field, of) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(field, (of, needed(field)));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        // A field's shape stands elsewhere, but it is named where it is.
        if let Some(name) = text(&part["$ref"])
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
        {
            found.insert(name, (part, true));
        }
    }
    found
}

/// A type in words.
fn type_of(schema: &Value) -> String {
    if let Some(name) = text(&schema["$ref"])
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
    {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(types) = schema[several].as_array() {
            let types: Vec<String> = types.iter().map(type_of).collect();
            return types.join(" or ");
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values
            .iter()
            .map(|value| format!("`{}`", text(value)))
            .collect();
        return values.join(", ");
    }
    let mut names: Vec<&str> = match &schema["type"] {
        Value::Array(names) => names.iter().map(text).collect(),
        name => vec![text(name)],
    };
    names.retain(|name| !name.is_empty());
    let named = names
        .iter()
        .map(|name| match (*name, text(&schema["format"])) {
            ("array", _) => format!("array of {}", type_of(&schema["items"])),
            ("string", "date-time") => "time".to_owned(),
            ("string", "uuid") => "UUID".to_owned(),
            (name, _) => name.to_owned(),
        });
    named.collect::<Vec<_>>().join(" or ")
}
