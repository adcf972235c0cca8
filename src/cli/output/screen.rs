//! A terminal that is drawn anew again and again, and is as it was before in the end, with what was
//! drawn last.

use std::io::{self, Write};

use dialoguer::console::Term;

use super::StdoutError;

/// Another screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A screen of its own on the terminal; dropped, the terminal is as before.
#[derive(Debug)]
pub(crate) struct Screen {
    last: String,
    entered: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            last: String::new(),
            entered: false,
        }
    }

    /// Draws this in place of what is there. What is taller than the terminal is cut.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn draw(&mut self, text: &str) -> Result<(), StdoutError> {
        let (height, _) = Term::stdout().size();
        let mut out = io::stdout().lock();
        if !std::mem::replace(&mut self.entered, true) {
            out.write_all(ENTER.as_bytes())?;
        }
        out.write_all(frame(text, usize::from(height)).as_bytes())?;
        out.flush()?;
        self.last = text.to_owned();
        Ok(())
    }
}

/// Written over what is there, line by line, so that nothing flickers.
fn frame(text: &str, height: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let (shown, cut) = match lines.len() > height && height > 1 {
        true => (height.saturating_sub(1), true),
        false => (lines.len(), false),
    };
    let mut frame = String::from("\x1b[H");
    for (n, line) in lines.iter().take(shown).enumerate() {
        if n > 0 {
            frame.push_str("\r\n");
        }
        frame.push_str(line);
        frame.push_str("\x1b[K");
    }
    if cut {
        let more = lines.len().saturating_sub(shown);
        frame.push_str(&format!(
            "\r\n… {more} more lines: make the window taller\x1b[K"
        ));
    }
    frame.push_str("\x1b[J");
    frame
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.entered {
            return;
        }
        let mut out = io::stdout().lock();
        // Nobody is left to be told where it can't be written.
        drop(out.write_all(LEAVE.as_bytes()));
        drop(out.write_all(self.last.as_bytes()));
        drop(out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taller_than_the_terminal_is_cut_and_says_so() {
        let text = "a\nb\nc\nd\n";
        assert_eq!(
            frame(text, 4),
            "\x1b[Ha\x1b[K\r\nb\x1b[K\r\nc\x1b[K\r\nd\x1b[K\x1b[J"
        );
        let cut = frame(text, 3);
        assert!(cut.contains('b') && !cut.contains('c'), "{cut:?}");
        assert!(cut.contains("2 more lines"), "{cut:?}");
    }
}
