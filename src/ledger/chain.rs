//! The hash chain over a wallet's entries.
//!
//! Every wallet has a chain of its own, so that extending it needs no lock beyond the wallet's
//! row. `docs/hash-chain.md` gives the byte layout with a checker in another language.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Currency;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// What stands before the first entry of a wallet: 32 zero bytes.
pub const CHAIN_START: Hash = [0; 32];

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

    /// The value was computed by the checker in `docs/hash-chain.md`.
    #[test]
    fn the_layout_is_the_documented_one() {
        let hex: String = link()
            .hash(&CHAIN_START)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "dc285a469ece8fcd24849e91336f4979ff96d1e02a89999b4606ca292af9b578"
        );
    }

    #[test]
    fn every_field_changes_the_hash() {
        let base = link();
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
            assert_ne!(variant.hash(&CHAIN_START), base.hash(&CHAIN_START));
        }
        assert_ne!(base.hash(&[1; 32]), base.hash(&CHAIN_START));
    }
}
