//! References are what the code generates. `make docs` writes them anew.

mod cli;
mod configuration;
mod http;

use crate::pages::root;

/// Holds a page to what was generated, or writes it where `AEGIS_DOCS=write` says so.
fn hold(path: &str, generated: &str) {
    let file = root().join(path);
    if std::env::var("AEGIS_DOCS").is_ok_and(|wish| wish == "write") {
        return std::fs::write(file, generated).unwrap();
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    let differs = there
        .lines()
        .zip(generated.lines())
        .position(|(a, b)| a != b);
    assert!(
        there == generated,
        "{path} is not what the code says, from line {} on; `make docs` writes it anew",
        differs.map_or_else(
            || there.lines().count().min(generated.lines().count()) + 1,
            |line| line + 1
        ),
    );
}

/// A text as a cell of a table: one line, with nothing that Markdown would take for its own.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut cell = String::new();
    let mut in_code = false;
    for c in words.join(" ").chars() {
        in_code ^= c == '`';
        if c == '|' || (!in_code && matches!(c, '<' | '*' | '_' | '[')) {
            cell.push('\\');
        }
        cell.push(c);
    }
    cell
}
