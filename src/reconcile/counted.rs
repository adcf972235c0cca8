//! An input that knows which line it is at.

use std::io::{self, BufRead, Read};

/// Counts line breaks as they are taken.
pub(super) struct Counted<R> {
    input: R,
    line: u64,
}

impl<R> Counted<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 1 }
    }

    /// The line that the next byte stands in, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }
}

fn breaks(bytes: &[u8]) -> u64 {
    let count = bytes.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let taken = self.input.read(into)?;
        let bytes = into.get(..taken).unwrap_or_default();
        self.line = self.line.saturating_add(breaks(bytes));
        Ok(taken)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let bytes = self.input.fill_buf().unwrap_or_default();
        let taken = breaks(bytes.get(..amount).unwrap_or_default());
        self.line = self.line.saturating_add(taken);
        self.input.consume(amount);
    }
}
