//! Merchants: who they are, and the wallets that their money lies in. No I/O, no clock.
//!
//! A merchant has a set of wallets in each of its currencies:
//!
//! | wallet | what lies there | may fall to |
//! |---|---|---|
//! | `merchant:<m>:pending` | paid, and not matured | what its terms allow refunds and chargebacks |
//! | `merchant:<m>:available` | matured, and not paid out | the same |
//! | `merchant:<m>:reserve` | matured, and held back | 0 |
//! | `merchant:<m>:owed` | what the merchant owes beyond that, below 0 | unbounded |
//!
//! The platform's and the world's stand beside them: see [`house`].

pub mod house;

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::ledger::{Address, Currency};
use crate::terms::Terms;

const ID_CHARS_MAX: usize = 64;

/// A merchant's permanent name: 1 to 64 of `a-z`, `0-9`, `_` and `-`, a segment of its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MerchantId(String);

impl MerchantId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of one of its wallets.
    #[must_use]
    pub fn wallet(&self, purse: Purse) -> Address {
        house::address(&format!("merchant:{}:{}", self.0, purse.as_str()))
    }
}

impl FromStr for MerchantId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        match (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "is no merchant's id: write 1 to {ID_CHARS_MAX} of a-z, 0-9, _ and -, such as acme"
            )),
        }
    }
}

impl fmt::Display for MerchantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A merchant as people call it: 1 to 255 printable characters, not all of them spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantName(String);

const NAME_CHARS_MAX: usize = 255;

impl FromStr for MerchantName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = !text.trim().is_empty()
            && text.chars().count() <= NAME_CHARS_MAX
            && !text.contains(char::is_control);
        match fits {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "is no name: write 1 to {NAME_CHARS_MAX} printable characters"
            )),
        }
    }
}

impl From<MerchantName> for String {
    fn from(name: MerchantName) -> Self {
        name.0
    }
}

/// One of a merchant's wallets in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purse {
    /// Paid, and not matured.
    Pending,
    /// Matured, and not paid out.
    Available,
    /// Matured, and held back.
    Reserve,
    /// What the merchant owes beyond what its terms let the others fall to.
    Owed,
}

impl Purse {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Available, Self::Reserve, Self::Owed];

    /// The last segment of the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Reserve => "reserve",
            Self::Owed => "owed",
        }
    }

    /// What the wallet may fall to under these terms; `None` where nothing bounds it. Terms allow
    /// refunds and chargebacks each their own depth, which is looked at with each of them.
    #[must_use]
    pub fn floor(self, terms: &Terms) -> Option<i64> {
        match self {
            Self::Pending | Self::Available => {
                let (refund, chargeback) = (terms.refund(), terms.chargeback());
                let deepest = refund.below_zero_max().max(chargeback.below_zero_max());
                Some(deepest.saturating_neg())
            }
            Self::Reserve => Some(0),
            Self::Owed => None,
        }
    }
}

/// Whether a merchant takes payments and is paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MerchantStatus {
    /// It does.
    Active,
    /// No new payment, no payout. What was paid before is credited and settled all the same.
    Frozen,
}

impl MerchantStatus {
    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Frozen]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merchant {
    /// Its permanent name.
    pub id: MerchantId,
    /// As people call it.
    pub name: String,
    /// Whether it takes payments and is paid out.
    pub status: MerchantStatus,
    /// Since when it is known, UTC.
    pub created_at: OffsetDateTime,
}

/// The terms of a merchant in a currency, as they were agreed at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedTerms {
    /// The currency that they are for.
    pub currency: Currency,
    /// From 1 without gaps; the highest one is in force.
    pub version: i32,
    /// What was agreed.
    pub terms: Terms,
    /// When they were written down, UTC.
    pub made_at: OffsetDateTime,
    /// By whom.
    pub made_by: String,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_segment_of_an_address() {
        let acme: MerchantId = "acme-1_x".parse().unwrap();
        assert_eq!(
            acme.wallet(Purse::Available).as_str(),
            "merchant:acme-1_x:available"
        );
        for wrong in ["", "Acme", "a:b", "a b", "é", &"x".repeat(65)] {
            assert!(wrong.parse::<MerchantId>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_deeper_of_refunds_and_chargebacks_is_the_floor() {
        let terms: Terms = r#"{
            "fee": {"basis_points": 150, "fixed": 0},
            "settlement": {"days": 1, "calendar": "calendar", "time_zone": "UTC"},
            "payout": {"minimum": 0, "schedule": "manual"},
            "refund": {"fee": "kept", "below_zero_max": 500},
            "chargeback": {"fee": "kept", "below_zero_max": 9000}
        }"#
        .parse()
        .unwrap();
        assert_eq!(Purse::Pending.floor(&terms), Some(-9000));
        assert_eq!(Purse::Reserve.floor(&terms), Some(0));
        assert_eq!(Purse::Owed.floor(&terms), None);
    }
}
