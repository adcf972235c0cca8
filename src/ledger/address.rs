//! Names of ledgers and wallets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

const SEGMENTS_MAX: usize = 8;
const ADDRESS_BYTES_MAX: usize = 255;
const LEDGER_NAME_BYTES_MAX: usize = 64;

/// A wallet's address: one to eight segments of `a-z0-9_-` joined by colons, at most 255 bytes,
/// such as `merchant:acme:available`.
///
/// The text form of a UUID is not an address, so that an address and a wallet's id can stand in
/// the same place without being mistaken for each other.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Arc<str>);

impl Address {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() <= ADDRESS_BYTES_MAX
            && text.split(':').count() <= SEGMENTS_MAX
            && text.split(':').all(is_segment);
        if well_formed && Uuid::try_parse(text).is_err() {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(64).collect();
        Err(format!(
            "{shown:?} is not an address: write one to {SEGMENTS_MAX} segments of a-z, 0-9, _ and - \
             joined by colons, such as merchant:acme:available, at most {ADDRESS_BYTES_MAX} characters"
        ))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What names a wallet in a request: its address, with the currency beside it, or its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WalletRef {
    /// By address; the currency of the leg says which of the address's wallets.
    Address(Address),
    /// By id; the currency of the leg has to be the wallet's own.
    Id(Uuid),
}

impl From<Address> for WalletRef {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl FromStr for WalletRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Uuid::try_parse(text) {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => text.parse().map(Self::Address),
        }
    }
}

impl fmt::Display for WalletRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// A ledger's name: 1 to 64 characters of `a-z0-9_-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LedgerName(Arc<str>);

impl LedgerName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LedgerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_segment(text) && text.len() <= LEDGER_NAME_BYTES_MAX {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(64).collect();
        Err(format!(
            "{shown:?} is not a ledger's name: write 1 to {LEDGER_NAME_BYTES_MAX} characters of \
             a-z, 0-9, _ and -"
        ))
    }
}

impl fmt::Display for LedgerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_to_eight_segments_are_taken() {
        for text in [
            "a",
            "psp:paystack",
            "merchant:acme-1:available",
            "a:b:c:d:e:f:g:h",
            "0_0",
        ] {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        let long = "a".repeat(256);
        let uuid = "018f4a7e-0000-7000-8000-000000000000";
        for text in [
            "",
            ":",
            "a:",
            ":a",
            "a::b",
            "A",
            "a b",
            "é",
            "a:b:c:d:e:f:g:h:i",
            &long,
            uuid,
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_uuid_names_a_wallet_by_its_id() {
        let parsed: Result<WalletRef, _> = "018f4a7e-0000-7000-8000-000000000000".parse();
        assert!(matches!(parsed, Ok(WalletRef::Id(_))));
    }
}
