//! The hash chain over a wallet's entries, and what ties headers and names to it.
//!
//! Every wallet has a chain of its own, so that extending it needs no lock beyond the wallet's
//! row. It begins with the wallet's name, and every entry in it names its transaction by an id
//! that is derived from the transaction's header. `docs/hash-chain.md` gives the byte layouts with
//! a checker in another language.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Currency;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// What stands before the first entry of a wallet: SHA-256 over the wallet's name.
///
/// `ledger_id[4] ‖ wallet_id[16] ‖ currency[3] ‖ address`, the integer big-endian.
#[must_use]
pub fn chain_start(ledger_id: i32, wallet_id: Uuid, currency: &str, address: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(ledger_id.to_be_bytes());
    hash.update(wallet_id.as_bytes());
    hash.update(currency.as_bytes());
    hash.update(address.as_bytes());
    hash.finalize().into()
}

/// A transaction's header as it is stored, all but its id, which is derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The ledger's number.
    pub ledger_id: i32,
    /// The caller's key.
    pub idempotency_key: &'a str,
    /// Fingerprint of the request.
    pub request_hash: &'a [u8],
    /// Kind of transaction.
    pub kind: &'a str,
    /// How many entries it has.
    pub entry_count: i16,
    /// The caller's name for it.
    pub reference: Option<&'a str>,
    /// What it belongs to.
    pub correlation_id: Option<&'a str>,
    /// When it takes effect: microseconds since 1970, UTC.
    pub effective_at_us: i64,
    /// When it was recorded: microseconds since 1970, UTC.
    pub recorded_at_us: i64,
    /// The transaction that it takes back.
    pub reverses: Option<Uuid>,
    /// The caller's JSON, as it is stored.
    pub metadata: Option<&'a str>,
}

/// Set where a UUID is of version 7, RFC 9562 section 5.7.
const VERSION_7: u128 = 0x7 << 76;
/// Set where a UUID is of the variant of RFC 9562.
const VARIANT: u128 = 0b10 << 62;
/// The bits of an id that its header determines.
const SEAL_MASK: u128 = (1 << 62) - 1;

impl Header<'_> {
    /// The transaction's id: a UUIDv7 whose time is `recorded_at`, whose 12 bits behind it are the
    /// low ones of `sequence`, and whose last 62 bits are the first 62 of SHA-256 over the header:
    /// change a field, and the id is no longer its own, while the hash chains hold on to the id.
    ///
    /// Integers are big-endian; each of the other fields stands behind its length in four bytes,
    /// `ff ff ff ff` and nothing where there is none:
    ///
    /// `ledger_id[4] ‖ recorded_at_us[8] ‖ effective_at_us[8] ‖ entry_count[2] ‖ idempotency_key ‖
    /// request_hash ‖ kind ‖ reference ‖ correlation_id ‖ reverses ‖ metadata`
    ///
    /// A sequence beyond 12 bits goes on in the next millisecond.
    #[must_use]
    pub fn id(&self, sequence: u32) -> Uuid {
        let milliseconds = self.recorded_at_us.div_euclid(1_000);
        let milliseconds = milliseconds.saturating_add(i64::from(sequence >> 12));
        // 48 bits last until the year 10889.
        let time = u128::from(milliseconds.cast_unsigned() & ((1 << 48) - 1));
        let sequence = u128::from(sequence & 0xfff);
        Uuid::from_u128((time << 80) | VERSION_7 | (sequence << 64) | VARIANT | self.seal())
    }

    /// Whether an id is that of this header, whatever its time and sequence.
    #[must_use]
    pub fn has_id(&self, id: Uuid) -> bool {
        id.as_u128() & SEAL_MASK == self.seal()
    }

    fn seal(&self) -> u128 {
        let mut hash = Sha256::new();
        hash.update(self.ledger_id.to_be_bytes());
        hash.update(self.recorded_at_us.to_be_bytes());
        hash.update(self.effective_at_us.to_be_bytes());
        hash.update(self.entry_count.to_be_bytes());
        for field in [
            Some(self.idempotency_key.as_bytes()),
            Some(self.request_hash),
            Some(self.kind.as_bytes()),
            self.reference.map(str::as_bytes),
            self.correlation_id.map(str::as_bytes),
            self.reverses.as_ref().map(|id| &id.as_bytes()[..]),
            self.metadata.map(str::as_bytes),
        ] {
            // Fields are far below 4 GiB; the length that no field has stands for none.
            let length = field.and_then(|field| u32::try_from(field.len()).ok());
            hash.update(length.unwrap_or(u32::MAX).to_be_bytes());
            hash.update(field.unwrap_or_default());
        }
        let digest: Hash = hash.finalize().into();
        let first = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        u128::from(first >> 2)
    }
}

/// A time as headers hold it: microseconds since 1970.
#[must_use]
pub fn microseconds(time: OffsetDateTime) -> i64 {
    // Within 64 bits for the years that a time can have.
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// The fields of an entry that its hash covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// The wallet that the entry moves.
    pub wallet_id: Uuid,
    /// 1 for the wallet's first entry, then without gaps.
    pub version: i64,
    /// The transaction that the entry belongs to.
    pub transaction_id: Uuid,
    /// The wallet's currency.
    pub currency: Currency,
    /// Signed minor units: credit positive, debit negative.
    pub amount: i64,
    /// The wallet's balance once the entry is applied, minor units.
    pub balance_after: i64,
}

impl ChainLink {
    /// SHA-256 over `previous` and the fields: 91 bytes, integers big-endian.
    ///
    /// `previous[32] ‖ wallet_id[16] ‖ version[8] ‖ transaction_id[16] ‖ currency[3] ‖ amount[8] ‖
    /// balance_after[8]`
    #[must_use]
    pub fn hash(&self, previous: &Hash) -> Hash {
        let mut bytes = [0_u8; 91];
        let mut rest = &mut bytes[..];
        for field in [
            &previous[..],
            self.wallet_id.as_bytes(),
            &self.version.to_be_bytes(),
            self.transaction_id.as_bytes(),
            self.currency.code().as_bytes(),
            &self.amount.to_be_bytes(),
            &self.balance_after.to_be_bytes(),
        ] {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        Sha256::digest(bytes).into()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn link() -> ChainLink {
        ChainLink {
            wallet_id: Uuid::from_u128(1),
            version: 1,
            transaction_id: Uuid::from_u128(2),
            currency: Currency::from_code("NGN").unwrap(),
            amount: -125_000,
            balance_after: -125_000,
        }
    }

    fn header() -> Header<'static> {
        Header {
            ledger_id: 1,
            idempotency_key: "order-17",
            request_hash: &[7; 32],
            kind: "transfer",
            entry_count: 2,
            reference: None,
            correlation_id: Some("c-1"),
            effective_at_us: 1_763_803_800_000_000,
            recorded_at_us: 1_763_803_800_123_000,
            reverses: None,
            metadata: Some("{\"n\":1}"),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The values were computed by the checker in `docs/hash-chain.md`.
    #[test]
    fn the_layouts_are_the_documented_ones() {
        let start = chain_start(1, Uuid::from_u128(1), "NGN", "merchant:acme:available");
        assert_eq!(
            hex(&start),
            "06e6ce8425b31895bec23a9929c883b757340b724e4942514ba110f60d949d95"
        );
        assert_eq!(
            hex(&link().hash(&start)),
            "63c860222210ab46ca855c16bb95f0a1b9bc25c3ff894613927b45c31d7686b8"
        );
        assert_eq!(
            header().id(5).to_string(),
            "019aaae6-223b-7005-acbd-631d93e5f413"
        );
    }

    #[test]
    fn every_field_changes_the_hash() {
        let (base, start) = (link(), [0; 32]);
        let variants = [
            ChainLink {
                wallet_id: Uuid::from_u128(9),
                ..base
            },
            ChainLink { version: 2, ..base },
            ChainLink {
                transaction_id: Uuid::from_u128(9),
                ..base
            },
            ChainLink {
                currency: Currency::from_code("USD").unwrap(),
                ..base
            },
            ChainLink {
                amount: 125_000,
                ..base
            },
            ChainLink {
                balance_after: 0,
                ..base
            },
        ];
        for variant in variants {
            assert_ne!(variant.hash(&start), base.hash(&start));
        }
        assert_ne!(base.hash(&[1; 32]), base.hash(&start));
    }

    #[test]
    fn every_part_of_a_name_changes_the_start() {
        let id = Uuid::from_u128(1);
        let base = chain_start(1, id, "NGN", "a:b");
        for other in [
            chain_start(2, id, "NGN", "a:b"),
            chain_start(1, Uuid::from_u128(2), "NGN", "a:b"),
            chain_start(1, id, "USD", "a:b"),
            chain_start(1, id, "NGN", "a:c"),
        ] {
            assert_ne!(other, base);
        }
    }

    #[test]
    fn every_field_of_a_header_changes_the_id() {
        let base = header();
        let id = base.id(0);
        let empty = Some("");
        for other in [
            Header {
                ledger_id: 2,
                ..base
            },
            Header {
                idempotency_key: "order-18",
                ..base
            },
            Header {
                request_hash: &[8; 32],
                ..base
            },
            Header {
                kind: "journal",
                ..base
            },
            Header {
                entry_count: 3,
                ..base
            },
            Header {
                reference: empty,
                ..base
            },
            Header {
                reference: base.correlation_id,
                correlation_id: None,
                ..base
            },
            Header {
                correlation_id: None,
                ..base
            },
            Header {
                effective_at_us: 0,
                ..base
            },
            Header {
                recorded_at_us: 0,
                ..base
            },
            Header {
                reverses: Some(Uuid::nil()),
                ..base
            },
            Header {
                metadata: None,
                ..base
            },
        ] {
            assert!(!other.has_id(id), "{other:?}");
        }
        assert!(base.has_id(id) && base.has_id(base.id(77)));
    }

    #[test]
    fn ids_are_uuids_of_version_7_that_grow_with_their_sequence() {
        let ids: Vec<Uuid> = (0..10_000).map(|n| header().id(n)).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.is_sorted());
        let (seconds, nanos) = ids[0].get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_763_803_800, 123_000_000));
    }
}
