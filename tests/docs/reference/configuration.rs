//! The table of keys as a page.

use std::fmt::Write as _;

use aegis::config::reference;

use super::{cell, hold};

const HEAD: &str = "\
# Configuration

Generated from the table of keys in `src/config/keys.rs`; `make docs` writes it anew.

Built-in defaults ← `config/default.yaml` ← `config/<PRIMARY_ENV>.yaml` ← environment ← flags, each over
the one before. `--config FILE` stands in for the two files; an installed system reads `/etc/aegis/`. A
key `section.name` stands in a file as `section: {name: …}`.

An unknown key or a value out of range stops the start, and names the key, where it came from and the
nearest known name. `aegisctl config check` looks without connecting to anything, `aegisctl config show`
prints what is in effect and where each value came from, secrets masked.

Secrets belong in the environment: `/etc/aegis/aegisd.env` of an installed system. Time is in
milliseconds (`_ms`), money in minor units.
";

#[test]
fn the_configurations_reference_is_what_the_code_says() {
    let mut page = HEAD.to_owned();
    let mut section = None;
    for key in reference() {
        let of = key.key.split_once('.').map_or("", |(section, _)| section);
        if section != Some(of) {
            let title = if of.is_empty() { "General" } else { of };
            let head = "| key | variable | default | takes | |\n|---|---|---|---|---|";
            writeln!(page, "\n## {title}\n\n{head}").unwrap();
            section = Some(of);
        }
        writeln!(
            page,
            "| `{}` | `{}` | {} | {} | {} |",
            key.key,
            key.variable,
            default(&key.default),
            cell(&key.takes),
            cell(key.help),
        )
        .unwrap();
    }
    hold("docs/configuration.md", &page);
}

fn default(text: &str) -> String {
    match text {
        "" => "empty".to_owned(),
        "none" => "none".to_owned(),
        text if text.contains(' ') => cell(text),
        text => format!("`{text}`"),
    }
}
