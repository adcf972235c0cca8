//! `aegisctl dlq show`.

use serde::Serialize;
use serde_json::Value;

use super::list::status_cell;
use super::unknown;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Format, Record, Table};
use crate::postgres::dead_letters::list;
use crate::view::{DeadLetterDetailView, DeadLetterView, LifeView};

/// Show a letter: the message, its headers, its lives
///
/// A message that was replayed and failed again has a letter for each of its lives; all of them are
/// listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq show 17
  aegisctl -o json dlq show 17 | jq .original_message")]
pub(in crate::cli) struct Args {
    /// The letter's number
    id: i64,
}

#[derive(Serialize)]
struct Header {
    name: String,
    value: Value,
}

impl Record for Header {
    const COLUMNS: &'static [Column] = &[Column::text("header"), Column::text("value")];

    fn cells(&self) -> Vec<Cell> {
        vec![self.name.as_str().into(), shown(&self.value).into()]
    }
}

impl Record for LifeView {
    const COLUMNS: &'static [Column] = &[
        Column::number("letter"),
        Column::text("failed_at"),
        Column::text("status"),
        Column::number("replay_count"),
        Column::text("decided_at"),
        Column::text("decided_by"),
        Column::text("error"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.id.into(),
            Cell::Time(self.failed_at),
            status_cell(self.status),
            i64::from(self.replay_count).into(),
            self.decided_at.map_or(Cell::Absent("-"), Cell::Time),
            Cell::optional(self.decided_by.as_deref()),
            Cell::Long(self.error.clone()),
        ]
    }
}

/// Text as it is, other bytes in base64.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("base64 {}", other["base64"].as_str().unwrap_or_default()),
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger_flag(&mut conn).await?;
    let letter = list::find(&mut conn, args.id, ledger.as_deref()).await?;
    let letter = letter.ok_or_else(|| unknown(&[args.id]))?;
    let lives = list::lives(&mut conn, &letter).await?;
    let view = DeadLetterDetailView::new(letter, &lives);
    match context.out.format() {
        Format::Table => for_people(context, &view)?,
        _ => {
            let parts = Table::of(std::slice::from_ref(&view.letter));
            context.out.document(&view, None, &parts)?;
        }
    }
    Ok(Exit::Done)
}

fn for_people(context: &Context, view: &DeadLetterDetailView) -> anyhow::Result<()> {
    let out = &context.out;
    // The message stands by itself below.
    let (columns, mut cells) = (DeadLetterView::COLUMNS, view.letter.cells());
    let fields = columns.len().saturating_sub(1);
    cells.truncate(fields);
    let mut head = Table::empty(columns.get(..fields).unwrap_or(columns));
    head.row(cells);
    let mut text = out.vertical(&head);
    if let Some(why) = &view.unreadable {
        text.push_str(&format!("\nThe message can't be published again: {why}\n"));
    }
    if let Some(key) = &view.original_key {
        text.push_str(&format!("\nKey: {}\n", printable(&shown(key))));
    }
    if let Some(message) = &view.letter.original_message {
        let note = match view.original_encoding {
            Some("base64") => " (base64: it is no JSON)",
            _ => "",
        };
        text.push_str(&format!("\nMessage{note}:\n{}\n", pretty(message.get())));
    }
    let headers = view.original_headers.iter().cloned();
    let headers: Vec<Header> = headers
        .map(|(name, value)| Header { name, value })
        .collect();
    if !headers.is_empty() {
        text.push('\n');
        text.push_str(&out.horizontal(&Table::of(&headers)));
    }
    if view.lives.len() > 1 {
        text.push_str("\nAll lives of the message:\n");
        text.push_str(&out.horizontal(&Table::of(&view.lives)));
    }
    out.text(text.as_bytes())?;
    if view.needs_force && view.letter.status == "waiting" {
        out.note("it came back after three replays: the next one needs --force");
    }
    Ok(())
}

/// JSON with a value a line. Token by token, since a parsed value would sort members and round
/// numbers.
fn pretty(json: &str) -> String {
    let mut spread = Spread::default();
    for c in json.chars() {
        spread.push(c);
    }
    printable(&spread.text)
}

#[derive(Default)]
struct Spread {
    text: String,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Behind an opening bracket: a closing one may follow at once.
    opened: bool,
}

impl Spread {
    fn push(&mut self, c: char) {
        if self.in_string {
            self.in_string = self.escaped || c != '"';
            self.escaped = c == '\\' && !self.escaped;
            self.text.push(c);
            return;
        }
        if c.is_ascii_whitespace() {
            return;
        }
        let closes = matches!(c, '}' | ']');
        let opened = std::mem::take(&mut self.opened);
        if closes {
            self.depth = self.depth.saturating_sub(1);
        }
        if opened != closes {
            self.line();
        }
        self.text.push(c);
        match c {
            '"' => self.in_string = true,
            '{' | '[' => {
                self.depth = self.depth.saturating_add(1);
                self.opened = true;
            }
            ',' => self.line(),
            ':' => self.text.push(' '),
            _ => {}
        }
    }

    fn line(&mut self) {
        self.text.push('\n');
        self.text.push_str(&"  ".repeat(self.depth));
    }
}

/// Without control characters, which would move the cursor or worse.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spread_out_and_keeps_every_digit_and_its_order() {
        assert_eq!(
            pretty(r#"{"b": 1e400,"a":[2,{}],"c":"x,\"{y}\\","d":[]}"#),
            r#"{
  "b": 1e400,
  "a": [
    2,
    {}
  ],
  "c": "x,\"{y}\\",
  "d": []
}"#
        );
        for text in ["123456789012345678901234567890", r#""text""#, "null", "[]"] {
            assert_eq!(pretty(text), text);
        }
    }
}
