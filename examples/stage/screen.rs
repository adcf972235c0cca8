//! The only place that prints: lines on standard output, progress bars on standard error where
//! that is a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle,
};

use super::numbers::grouped;

/// How a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Heading,
    Faint,
    Good,
    Bad,
}

/// Where the demo talks to its reader.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Whether standard output takes colours.
    pub color: bool,
    /// Who talks.
    program: &'static str,
    bars: MultiProgress,
}

impl Screen {
    pub(crate) fn new(program: &'static str) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(15)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            color: std::io::stdout().is_terminal() && !no_color && !dumb,
            program,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Writes a line, above the bars.
    pub(crate) fn say(&self, line: &str) {
        // A reader that has gone, as `head` does, needs no words any more.
        self.bars
            .suspend(|| drop(writeln!(std::io::stdout(), "{line}")));
    }

    /// Writes a block of lines with a margin.
    pub(crate) fn say_indented(&self, tone: Option<Tone>, text: &str) {
        for line in text.lines() {
            let line = tone.map_or_else(|| line.to_owned(), |tone| self.paint(tone, line));
            self.say(&format!("       {line}"));
        }
    }

    /// No bars from here on: those that were left, as by Ctrl-C, are taken away.
    pub(crate) fn end_bars(&self) {
        drop(self.bars.clear());
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Tells of a failure, on standard error.
    pub(crate) fn fail(&self, message: &str) {
        let label = self.paint(Tone::Bad, &format!("{}:", self.program));
        self.bars
            .suspend(|| drop(writeln!(std::io::stderr(), "{label} {message}")));
    }

    /// The text in its colour, where there are colours.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Heading => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Bad => "1;31",
        };
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A bar for so many of something; invisible where there is no terminal.
    pub(crate) fn bar(&self, what: &str, total: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(total));
        // Dropped half-way, as by Ctrl-C, it leaves nothing behind.
        let bar = bar.with_finish(ProgressFinish::AndClear);
        let template =
            "       {prefix:<10} {bar:40.cyan/dim} {human_pos:>7} of {human_len}  {rate}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // It writes to a string.
                let _ = write!(out, "{}/s", grouped(state.per_sec() as u64));
            };
            bar.set_style(style.progress_chars("━━─").with_key("rate", rate));
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
