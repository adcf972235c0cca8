//! The API's description as a page to read, which needs no other host.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::openapi::{DOCUMENT, all_kinds};

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #1b1f24; }
h2 { margin-top: 3rem; border-bottom: 1px solid #d0d7de; }
h3 { margin-top: 2.5rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f6f8fa; }
code { padding: 0 .25em; }
pre { padding: .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #d0d7de; padding: .25rem .5rem; text-align: left; vertical-align: top; }
.method { font-weight: 700; }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3; }
  code, pre { background: #161b22; }
  a { color: #58a6ff; }
}
";

static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut page = String::new();
    // Writing to a string can't fail.
    write_page(&mut page, &DOCUMENT).unwrap_or_default();
    Bytes::from(page)
});

/// The page.
pub(super) async fn page() -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
        ),
    ];
    (headers, PAGE.clone()).into_response()
}

type Written = Result<(), std::fmt::Error>;

fn write_page(out: &mut String, document: &Value) -> Written {
    let (title, about) = (
        text(&document["info"]["title"]),
        text(&document["info"]["description"]),
    );
    write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><title>{title} API</title>\
         <style>{STYLE}</style><h1>{title} API {}</h1><p>{about} \
         <a href=/openapi.json>openapi.json</a>",
        text(&document["info"]["version"])
    )?;
    write_contents(out, document)?;
    for tag in items(&document["tags"]) {
        let name = text(&tag["name"]);
        write!(
            out,
            "<h2 id={name}>{name}</h2><p>{}",
            prose(&tag["description"])
        )?;
        for (path, method, operation) in operations(document) {
            if operation["tags"][0] == tag["name"] {
                write_operation(out, document, path, method, operation)?;
            }
        }
    }
    write_schemas(out, document)?;
    write_codes(out)
}

fn write_contents(out: &mut String, document: &Value) -> Written {
    out.push_str("<table>");
    for (path, method, operation) in operations(document) {
        write!(
            out,
            "<tr><td><a href=#{}><code>{} {}</code></a><td>{}",
            anchor(method, path),
            method.to_uppercase(),
            escape(path),
            text(&operation["summary"])
        )?;
    }
    out.push_str("</table><p><a href=#schemas>Shapes</a> · <a href=#codes>Codes of errors</a>");
    Ok(())
}

fn write_operation(
    out: &mut String,
    document: &Value,
    path: &str,
    method: &str,
    operation: &Value,
) -> Written {
    write!(
        out,
        "<h3 id={}>{}</h3><p><code><span class=method>{}</span> {}</code><p>{}",
        anchor(method, path),
        text(&operation["summary"]),
        method.to_uppercase(),
        escape(path),
        prose(&operation["description"])
    )?;
    let parameters: Vec<&Value> = items(&operation["parameters"])
        .map(|parameter| resolved(document, parameter))
        .collect();
    write_parameters(out, &parameters)?;
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if body.is_object() {
        write!(out, "<p>Body: {}", type_of(body))?;
    }
    write_example(out, document, path, method, &parameters, body)?;
    write_answers(out, document, operation)
}

fn write_parameters(out: &mut String, parameters: &[&Value]) -> Written {
    if parameters.is_empty() {
        return Ok(());
    }
    out.push_str("<table><tr><th>Parameter<th>In<th>");
    for parameter in parameters {
        let needed = if parameter["required"] == true {
            ""
        } else {
            ", optional"
        };
        write!(
            out,
            "<tr><td><code>{}</code><td>{}{needed}<td>{}",
            text(&parameter["name"]),
            text(&parameter["in"]),
            prose(&parameter["description"])
        )?;
    }
    out.push_str("</table>");
    Ok(())
}

fn write_answers(out: &mut String, document: &Value, operation: &Value) -> Written {
    out.push_str("<table><tr><th>Answer<th><th>");
    for (status, response) in fields(&operation["responses"]) {
        let response = resolved(document, response);
        let content = fields(&response["content"]).next();
        write!(
            out,
            "<tr><td>{status}<td>{}<td>{}",
            prose(&response["description"]),
            content.map_or(String::new(), |(_, content)| type_of(&content["schema"]))
        )?;
    }
    out.push_str("</table>");
    Ok(())
}

fn write_example(
    out: &mut String,
    document: &Value,
    path: &str,
    method: &str,
    parameters: &[&Value],
    body: &Value,
) -> Written {
    let mut path = path.to_owned();
    for parameter in parameters
        .iter()
        .filter(|parameter| parameter["in"] == "path")
    {
        let (name, example) = (parameter["name"].as_str(), parameter["example"].as_str());
        if let (Some(name), Some(example)) = (name, example) {
            path = path.replace(&format!("{{{name}}}"), example);
        }
    }
    let needed = parameters
        .iter()
        .find(|parameter| parameter["in"] == "query" && parameter["example"].is_string());
    if let Some(parameter) = needed {
        let (name, example) = (parameter["name"].as_str(), parameter["example"].as_str());
        write!(
            path,
            "?{}={}",
            name.unwrap_or_default(),
            example.unwrap_or_default()
        )?;
    }
    let mut command = format!("curl 'http://localhost:8080{path}'");
    if method == "post" {
        let schema = resolved(document, body);
        let example = serde_json::to_string_pretty(&schema["example"]).unwrap_or_default();
        write!(
            command,
            " \\\n  -H \"Idempotency-Key: $(uuidgen)\" -H 'Content-Type: application/json' \\\n  \
             -d '{example}'"
        )?;
    }
    write!(out, "<pre>{}</pre>", escape(&command))
}

fn write_schemas(out: &mut String, document: &Value) -> Written {
    out.push_str("<h2 id=schemas>Shapes</h2>");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        write!(
            out,
            "<h3 id=schema-{name}>{name}</h3><p>{}",
            prose(&schema["description"])
        )?;
        let required: Vec<&str> = items(&schema["required"])
            .filter_map(Value::as_str)
            .collect();
        let properties: Vec<_> = fields(&schema["properties"]).collect();
        if properties.is_empty() {
            write!(out, "<p>{}", type_of(schema))?;
            continue;
        }
        out.push_str("<table><tr><th>Field<th>Type<th>");
        for (field, property) in properties {
            let needed = if required.contains(&field.as_str()) {
                ""
            } else {
                ", optional"
            };
            write!(
                out,
                "<tr><td><code>{field}</code><td>{}{needed}<td>{}",
                type_of(property),
                prose(&property["description"])
            )?;
        }
        out.push_str("</table>");
    }
    Ok(())
}

fn write_codes(out: &mut String) -> Written {
    out.push_str(
        "<h2 id=codes>Codes of errors</h2><p>A rule's no is a 422; the rules are looked at in the \
         order of this table.<table><tr><th>Code<th>Status<th>",
    );
    let mut seen: Vec<&str> = Vec::new();
    for kind in all_kinds() {
        // A code that stands for two statuses has one anchor.
        let id = if seen.contains(&kind.code) {
            String::new()
        } else {
            format!(" id={}", kind.code)
        };
        seen.push(kind.code);
        write!(
            out,
            "<tr{id}><td><code>{}</code><td>{}<td>{}",
            kind.code, kind.status, kind.title
        )?;
    }
    out.push_str("</table></html>");
    Ok(())
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    fields(&document["paths"]).flat_map(|(path, item)| {
        fields(item).map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// What a reference stands for.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'));
    pointer
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

/// A schema in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href=#schema-{name}>{name}</a>");
    }
    let choices: Vec<String> = items(&schema["oneOf"])
        .chain(items(&schema["anyOf"]))
        .map(type_of)
        .collect();
    if !choices.is_empty() {
        return choices.join(" or ");
    }
    let values: Vec<String> = items(&schema["enum"])
        .map(|value| format!("<code>{}</code>", text(value)))
        .collect();
    if !values.is_empty() {
        return values.join(" ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("array of {}", type_of(&schema["items"])),
        Value::String(name) => match schema["format"].as_str() {
            Some(format) => format!("{} ({})", escape(name), escape(format)),
            None => escape(name),
        },
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn anchor(method: &str, path: &str) -> String {
    let path: String = path
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    format!("{method}{path}")
}

/// A string's text, ready for the page.
fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// The same with `code` marked.
fn prose(value: &Value) -> String {
    let mut out = String::new();
    for (n, part) in text(value).split('`').enumerate() {
        if n % 2 == 0 {
            out.push_str(part);
        } else {
            out.push_str("<code>");
            out.push_str(part);
            out.push_str("</code>");
        }
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
