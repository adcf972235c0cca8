//! How far long work has come: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use super::when;

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one piece of work.
///
/// It has a position, which is measured against the total (bytes of a file, or the items
/// themselves), and counts items, whose rate is shown.
#[derive(Debug)]
pub(crate) struct Progress {
    view: View,
    what: &'static str,
    items: &'static str,
    total: Option<u64>,
    /// Where the work of this run began.
    base: (u64, u64),
    began: Instant,
}

#[derive(Debug)]
enum View {
    Hidden,
    Bar(ProgressBar),
    Lines { out: Output, last: Instant },
}

impl Progress {
    /// Begins to show `what` is done to `items`, towards a total position where it is known.
    pub(crate) fn start(
        out: &Output,
        what: &'static str,
        items: &'static str,
        total: Option<u64>,
    ) -> Self {
        let view = match (out.is_quiet(), out.draws_bars()) {
            (true, _) => View::Hidden,
            (false, true) => View::Bar(bar(what, out.error_color(), total)),
            (false, false) => View::Lines {
                out: out.clone(),
                last: Instant::now(),
            },
        };
        Self {
            view,
            what,
            items,
            total,
            base: (0, 0),
            began: Instant::now(),
        }
    }

    /// Shows nothing.
    pub(crate) fn hidden() -> Self {
        Self {
            view: View::Hidden,
            what: "",
            items: "",
            total: None,
            base: (0, 0),
            began: Instant::now(),
        }
    }

    /// Says where an earlier run stopped, so that it doesn't count towards the rate.
    pub(crate) fn resume_at(&mut self, position: u64, items: u64) {
        self.base = (position, items);
        self.began = Instant::now();
    }

    /// Says how far the work has come.
    pub(crate) fn at(&mut self, position: u64, items: u64) {
        let due = match &self.view {
            View::Hidden => false,
            View::Bar(_) => true,
            View::Lines { last, .. } => last.elapsed() >= LINE_EVERY,
        };
        if !due {
            return;
        }
        let numbers = self.numbers(position, items);
        let percent = self
            .total
            .and_then(|total| position.saturating_mul(100).checked_div(total))
            .map(|percent| format!("{percent} %, "))
            .unwrap_or_default();
        match &mut self.view {
            View::Hidden => {}
            View::Bar(bar) => {
                bar.set_position(position);
                bar.set_message(numbers);
            }
            View::Lines { out, last } => {
                *last = Instant::now();
                out.note(&format!("{}: {percent}{numbers}", self.what));
            }
        }
    }

    /// Runs something that prints, with the bar out of its way.
    pub(crate) fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.view {
            View::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    /// Ends it and takes the bar away.
    pub(crate) fn finish(&self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }

    fn numbers(&self, position: u64, items: u64) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = items.saturating_sub(self.base.1) as f64 / seconds;
        let done = position.saturating_sub(self.base.0) as f64;
        let left = self
            .total
            .filter(|_| done > 0.0)
            .map(|total| total.saturating_sub(position) as f64 / done * seconds)
            .map(|left| format!(", {} left", when::duration(left)))
            .unwrap_or_default();
        format!(
            "{} {}, {}/s{left}",
            grouped(items),
            self.items,
            grouped(rate as u64)
        )
    }
}

fn bar(what: &'static str, color: bool, total: Option<u64>) -> ProgressBar {
    let template = match (total.is_some(), color) {
        (true, true) => "{prefix} {bar:30.cyan/dim} {percent:>3} %  {msg}",
        (true, false) => "{prefix} {bar:30} {percent:>3} %  {msg}",
        (false, true) => "{prefix} {spinner:.cyan} {msg}",
        (false, false) => "{prefix} {spinner} {msg}",
    };
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A number for people: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len().saturating_mul(4) / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && digits.len().saturating_sub(n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
