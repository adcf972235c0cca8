//! Reads PostgreSQL's binary COPY format.
//!
//! The server sends one message a row, the header in front of the first row or in a message of its
//! own, and a trailer at the end. Whatever else comes is an error: nothing is guessed, and every
//! length is checked against the bytes that are there.

use futures_util::StreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::telemetry::span::Span;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// What a COPY sent that its format doesn't allow, or that the reader doesn't take.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CopyError {
    #[error("COPY began with something other than the signature of its binary format")]
    Signature,
    #[error("COPY set flags that are not known here: {0:#010x}")]
    Flags(u32),
    #[error("COPY sent a row of {found} fields instead of {expected}")]
    FieldCount { expected: i16, found: i16 },
    #[error("COPY sent {found} bytes for {field}")]
    Length { field: &'static str, found: usize },
    #[error("COPY sent no value for {0}")]
    Null(&'static str),
    #[error("COPY sent text that is not UTF-8 for {0}")]
    Text(&'static str),
    #[error("COPY sent less than it announced")]
    Truncated,
    #[error("COPY sent more than it announced")]
    Excess,
}

impl From<CopyError> for sqlx::Error {
    fn from(error: CopyError) -> Self {
        Self::Decode(Box::new(error))
    }
}

/// Runs `COPY … TO STDOUT (FORMAT binary)` and hands on its rows one by one.
pub(super) async fn read(
    conn: &mut PgConnection,
    statement: &str,
    fields: i16,
    mut each: impl FnMut(&mut Fields<'_>) -> Result<(), CopyError>,
) -> sqlx::Result<()> {
    let _span = Span::statement(statement);
    let mut messages = conn.copy_out_raw(statement).await?;
    let mut decoder = Decoder::new(fields);
    while let Some(message) = messages.next().await {
        decoder.message(&message?, &mut each)?;
    }
    decoder.finish().map_err(sqlx::Error::from)
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Header,
    Rows,
    End,
}

/// Takes a COPY's messages apart.
struct Decoder {
    fields: i16,
    place: Place,
}

impl Decoder {
    fn new(fields: i16) -> Self {
        Self {
            fields,
            place: Place::Header,
        }
    }

    fn message(
        &mut self,
        message: &[u8],
        each: &mut impl FnMut(&mut Fields<'_>) -> Result<(), CopyError>,
    ) -> Result<(), CopyError> {
        let mut fields = Fields { rest: message };
        if self.place == Place::Header {
            fields.header()?;
            self.place = Place::Rows;
        }
        while !fields.rest.is_empty() {
            if self.place == Place::End {
                return Err(CopyError::Excess);
            }
            match i16::from_be_bytes(fields.array()?) {
                -1 => self.place = Place::End,
                found if found == self.fields => each(&mut fields)?,
                found => {
                    let expected = self.fields;
                    return Err(CopyError::FieldCount { expected, found });
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), CopyError> {
        match self.place {
            Place::End => Ok(()),
            Place::Header | Place::Rows => Err(CopyError::Truncated),
        }
    }
}

/// The fields of one row, to be taken in the order of the COPY's columns, all of them.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn header(&mut self) -> Result<(), CopyError> {
        if self.take(SIGNATURE.len())? != SIGNATURE {
            return Err(CopyError::Signature);
        }
        let flags = u32::from_be_bytes(self.array()?);
        if flags != 0 {
            return Err(CopyError::Flags(flags));
        }
        let extension = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(extension).map_err(|_| CopyError::Truncated)?)?;
        Ok(())
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], CopyError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(CopyError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], CopyError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CopyError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The field's bytes, `None` for NULL.
    #[inline]
    fn optional(&mut self) -> Result<Option<&'a [u8]>, CopyError> {
        match i32::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| CopyError::Truncated)?;
                self.take(length).map(Some)
            }
        }
    }

    #[inline]
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], CopyError> {
        self.optional()?.ok_or(CopyError::Null(field))
    }

    #[inline]
    fn exactly<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CopyError> {
        let bytes = self.bytes(field)?;
        let found = bytes.len();
        bytes
            .try_into()
            .map_err(|_| CopyError::Length { field, found })
    }

    #[inline]
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, CopyError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| CopyError::Text(field))
    }

    #[inline]
    pub(super) fn uuid(&mut self, field: &'static str) -> Result<Uuid, CopyError> {
        self.exactly(field).map(Uuid::from_bytes)
    }

    #[inline]
    pub(super) fn i16(&mut self, field: &'static str) -> Result<i16, CopyError> {
        self.exactly(field).map(i16::from_be_bytes)
    }

    #[inline]
    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, CopyError> {
        self.exactly(field).map(i64::from_be_bytes)
    }

    pub(super) fn optional_text(
        &mut self,
        field: &'static str,
    ) -> Result<Option<&'a str>, CopyError> {
        let bytes = self.optional()?;
        let text = bytes.map(std::str::from_utf8).transpose();
        text.map_err(|_| CopyError::Text(field))
    }

    pub(super) fn optional_uuid(&mut self, field: &'static str) -> Result<Option<Uuid>, CopyError> {
        let Some(bytes) = self.optional()? else {
            return Ok(None);
        };
        let found = bytes.len();
        Uuid::from_slice(bytes)
            .map(Some)
            .map_err(|_| CopyError::Length { field, found })
    }

    pub(super) fn optional_i64(&mut self, field: &'static str) -> Result<Option<i64>, CopyError> {
        let Some(bytes) = self.optional()? else {
            return Ok(None);
        };
        let found = bytes.len();
        let bytes = bytes
            .try_into()
            .map_err(|_| CopyError::Length { field, found })?;
        Ok(Some(i64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use crate::postgres::copy::Rows;

    fn two_rows() -> Vec<u8> {
        let mut rows = Rows::with_capacity(64);
        for n in [7_i64, -7] {
            rows.row(3);
            rows.uuid(Uuid::from_u128(9));
            rows.i64(n);
            rows.optional_text(None);
        }
        rows.finish()
    }

    /// Feeds messages cut at these places: what was read, or why not.
    fn decode(bytes: &[u8], cuts: &[usize]) -> Result<Vec<i64>, CopyError> {
        let mut decoder = Decoder::new(3);
        let mut read = Vec::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            decoder.message(&bytes[from..to], &mut |fields| {
                assert_eq!(fields.uuid("id")?, Uuid::from_u128(9));
                read.push(fields.i64("n")?);
                assert_eq!(fields.optional_i64("none")?, None);
                Ok(())
            })?;
            from = to;
        }
        decoder.finish()?;
        Ok(read)
    }

    #[test]
    fn rows_are_read_wherever_messages_begin() {
        let bytes = two_rows();
        let (header, row) = (19, 38);
        for cuts in [
            vec![],
            vec![header],
            vec![header + row],
            vec![header + row, header + 2 * row],
            vec![header, header + row, header + 2 * row],
        ] {
            assert_eq!(decode(&bytes, &cuts).unwrap(), [7, -7], "{cuts:?}");
        }
    }

    #[test]
    fn a_stream_cut_anywhere_is_an_error() {
        let bytes = two_rows();
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length], &[]), Err(CopyError::Truncated));
        }
    }

    #[test]
    fn no_single_changed_byte_makes_it_panic() {
        for at in 0..two_rows().len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = two_rows();
                bytes[at] = value;
                // Values may differ; what counts is that it returns.
                let mut decoder = Decoder::new(3);
                drop(decoder.message(&bytes, &mut |fields| {
                    fields.uuid("id")?;
                    fields.i64("n")?;
                    fields.optional_i64("none")?;
                    Ok(())
                }));
            }
        }
    }

    #[test]
    fn what_the_format_forbids_is_refused() {
        let mut bytes = two_rows();
        bytes.extend_from_slice(&[0, 3]);
        assert_eq!(decode(&bytes, &[]), Err(CopyError::Excess));
        let mut bytes = two_rows();
        bytes[0] = b'X';
        assert_eq!(decode(&bytes, &[]), Err(CopyError::Signature));
        let mut bytes = two_rows();
        bytes[11] = 1;
        assert_eq!(decode(&bytes, &[]), Err(CopyError::Flags(0x0100_0000)));
        let mut bytes = two_rows();
        bytes[20] = 4;
        let (expected, found) = (3, 4);
        assert_eq!(
            decode(&bytes, &[]),
            Err(CopyError::FieldCount { expected, found })
        );
    }

    #[test]
    fn null_and_wrong_lengths_name_the_field() {
        let read = |bytes: &[u8]| Fields { rest: bytes }.i64("amount");
        assert_eq!(
            read(&(-1_i32).to_be_bytes()),
            Err(CopyError::Null("amount"))
        );
        let (field, found) = ("amount", 2);
        assert_eq!(
            read(&[0, 0, 0, 2, 1, 1]),
            Err(CopyError::Length { field, found })
        );
    }
}
