//! What makes two requests the same: method, path and the JSON of the body, in which neither white
//! space nor the order of keys counts. Numbers count as they are written: whether `1.0` is `1` is
//! not for us to say.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::http::Method;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

/// Deeper JSON is not looked at; no field of ours takes it.
const DEPTH_MAX: usize = 128;
/// Up to here it takes less time than a change of threads is worth.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// SHA-256 of the request in hexadecimal; `None` where the body is no JSON.
pub(super) async fn of(method: &Method, path: &str, body: Bytes) -> Option<String> {
    if body.len() <= AT_ONCE_BYTES_MAX {
        return digest(method.as_str(), path, &body);
    }
    let (method, path) = (method.clone(), path.to_owned());
    let digested = tokio::task::spawn_blocking(move || digest(method.as_str(), &path, &body));
    digested.await.ok().flatten()
}

fn digest(method: &str, path: &str, body: &[u8]) -> Option<String> {
    let body = canonical(body)?;
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), path.as_bytes(), &body] {
        // With their lengths, since parts could run into each other.
        hash.update(u64::try_from(part.len()).ok()?.to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The same JSON without white space, the keys of objects sorted, strings in their shortest form.
fn canonical(body: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(body).ok()?;
    serde_json::from_slice::<IgnoredAny>(body).ok()?;
    let mut writer = Writer {
        text: body,
        at: 0,
        out: Vec::with_capacity(body.len()),
    };
    writer.value(DEPTH_MAX)?;
    Some(writer.out)
}

/// Goes through text that is known to be JSON.
struct Writer<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.next_byte()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => {
                let string = self.string()?;
                self.out.extend_from_slice(&string);
                Some(())
            }
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        let start = self.out.len();
        let mut members: Vec<(Cow<'a, [u8]>, std::ops::Range<usize>)> = Vec::new();
        self.at += 1;
        loop {
            match self.next_byte()? {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let key = self.string()?;
                    let from = self.out.len() - start;
                    self.out.extend_from_slice(&key);
                    self.out.push(b':');
                    self.next_byte()?;
                    self.at += 1;
                    self.value(depth)?;
                    members.push((key, from..self.out.len() - start));
                }
            }
        }
        self.at += 1;
        // Stable: what stands twice stays in its order, which decides what it says.
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        let unsorted = self.out.split_off(start);
        self.out.push(b'{');
        for (n, (_, member)) in members.into_iter().enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(unsorted.get(member)?);
        }
        self.out.push(b'}');
        Some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.out.push(b'[');
        self.at += 1;
        loop {
            match self.next_byte()? {
                b']' => break,
                b',' => {
                    self.at += 1;
                    self.out.push(b',');
                }
                _ => self.value(depth)?,
            }
        }
        self.at += 1;
        self.out.push(b']');
        Some(())
    }

    /// A string with its quotes, as the shortest JSON that says the same.
    fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += 1;
            match *self.text.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                _ => {}
            }
        }
        self.at += 1;
        let written = self.text.get(start..self.at)?;
        if !escaped {
            return Some(Cow::Borrowed(written));
        }
        let said: String = serde_json::from_slice(written).ok()?;
        serde_json::to_vec(&said).ok().map(Cow::Owned)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.out.extend_from_slice(rest.get(..length)?);
        self.at += length;
        Some(())
    }

    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests;
