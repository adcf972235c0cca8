//! An input of which the present record is held, so that it can be read once more from within.

use std::io::{self, BufRead};

/// An input with the bytes of the present record.
pub(super) struct Rereading<R> {
    input: R,
    held: Vec<u8>,
    /// Where the present record begins in `held`, and how far it was read. What stands behind is
    /// to be read again.
    begin: usize,
    at: usize,
    position: u64,
}

impl<R: BufRead> Rereading<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            held: Vec::new(),
            begin: 0,
            at: 0,
            position: 0,
        }
    }

    /// How many bytes were read; those that will be read again don't count.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Begins a record here and forgets the one before.
    pub(super) fn begin(&mut self) {
        self.begin = self.at;
        // Not at each record: that would move all that is to be read again each time.
        if self.begin > self.held.len() / 2 {
            self.held.drain(..self.begin);
            (self.begin, self.at) = (0, 0);
        }
    }

    /// What was read of the present record.
    pub(super) fn record(&self) -> &[u8] {
        self.held.get(self.begin..self.at).unwrap_or_default()
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The next bytes; none at the end of the input.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.at < self.held.len() {
            return Ok(self.held.get(self.at..).unwrap_or_default());
        }
        self.input.fill_buf()
    }

    /// Counts the first of the [next bytes](Self::fill) to the record.
    pub(super) fn consume(&mut self, count: usize) -> io::Result<()> {
        if self.at >= self.held.len() {
            let bytes = self.input.fill_buf()?.get(..count).unwrap_or_default();
            self.held.extend_from_slice(bytes);
            self.input.consume(count);
        }
        self.at = self.at.saturating_add(count);
        self.position = self.position.saturating_add(count as u64);
        Ok(())
    }

    /// Passes over the first of the next bytes without holding them: the record is lost.
    pub(super) fn pass_over(&mut self, count: usize) -> io::Result<()> {
        self.begin();
        self.consume(count)
    }

    /// Goes back to so many bytes behind the record's beginning.
    pub(super) fn go_back(&mut self, length: usize) {
        let back = self.record().len().saturating_sub(length);
        self.at = self.at.saturating_sub(back);
        self.position = self.position.saturating_sub(back as u64);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn read(input: &mut Rereading<impl BufRead>, count: usize) -> Vec<u8> {
        input.begin();
        while input.record().len() < count {
            let next = input.fill().unwrap().len();
            input
                .consume(next.min(count - input.record().len()))
                .unwrap();
        }
        input.record().to_vec()
    }

    #[test]
    fn a_record_is_read_again_from_within_and_the_input_behind_it() {
        for buffer in [1, 3, 8_192] {
            let text: &[u8] = b"0123456789";
            let mut input = Rereading::new(io::BufReader::with_capacity(buffer, text));
            assert_eq!(read(&mut input, 2), b"01");
            assert_eq!(read(&mut input, 6), b"234567");
            input.go_back(1);
            assert_eq!(input.position(), 3);
            for expected in [&b"34"[..], b"5", b"678", b"9"] {
                assert_eq!(read(&mut input, expected.len()), expected, "{buffer}");
            }
            assert_eq!((input.position(), input.fill().unwrap().len()), (10, 0));
        }
    }
}
