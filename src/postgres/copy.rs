//! PostgreSQL's binary COPY format, as far as the ledger's tables need it.
//!
//! Layout: <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>, integers
//! big-endian, each field preceded by its length in four bytes, -1 for NULL.

use time::OffsetDateTime;
use uuid::Uuid;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// 2000-01-01T00:00:00Z, where PostgreSQL's time begins.
const EPOCH_MICROS: i128 = 946_684_800_000_000;

/// Rows on their way into a table.
pub(super) struct Rows {
    buffer: Vec<u8>,
}

impl Rows {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes);
        buffer.extend_from_slice(SIGNATURE);
        // Flags and length of the header's extension: none.
        buffer.extend_from_slice(&[0; 8]);
        Self { buffer }
    }

    pub(super) fn row(&mut self, fields: i16) {
        self.buffer.extend_from_slice(&fields.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        // A field over 2 GiB can't come through the limits on requests.
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn timestamp(&mut self, value: OffsetDateTime) {
        let micros = value
            .unix_timestamp_nanos()
            .div_euclid(1_000)
            .saturating_sub(EPOCH_MICROS);
        self.i64(i64::try_from(micros).unwrap_or(i64::MAX));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.buffer
    }
}
