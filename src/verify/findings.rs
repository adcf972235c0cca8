//! What was found wrong: for each check how often, and where first.

use uuid::Uuid;

/// What is verified. The names are part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Every transaction's entries sum to zero in every currency.
    ZeroSum,
    /// All balances of a currency sum to zero.
    Totals,
    /// A wallet's balance is the sum of its entries and what its last entry says; its part that is
    /// not held keeps to the minimum.
    Balances,
    /// A wallet's entries are numbered from 1 on, none missing, none twice, up to its version.
    Versions,
    /// Every entry's hash is that of its fields and the hash before it, up to the wallet's
    /// `head_hash`.
    HashChain,
    /// Every entry names a transaction that exists and a wallet of its own currency; every
    /// transaction has as many entries as it says.
    References,
    /// Every event that waits is of a known type, and tells of a transaction what the ledger tells
    /// of it.
    Outbox,
    /// Every payout has moved what its state says, and money in transit is that of the open ones.
    Payouts,
    /// Money on its way back to customers is that of the open refunds.
    Refunds,
}

impl Check {
    /// All checks, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::ZeroSum,
        Self::Totals,
        Self::Balances,
        Self::Versions,
        Self::HashChain,
        Self::References,
        Self::Outbox,
        Self::Payouts,
        Self::Refunds,
    ];

    /// The name in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZeroSum => "zero_sum",
            Self::Totals => "totals",
            Self::Balances => "balances",
            Self::Versions => "versions",
            Self::HashChain => "hash_chain",
            Self::References => "references",
            Self::Outbox => "outbox",
            Self::Payouts => "payouts",
            Self::Refunds => "refunds",
        }
    }
}

impl serde::Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Where a violation is. The first of several is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub wallet_id: Option<Uuid>,
    pub version: Option<i64>,
    pub transaction_id: Option<Uuid>,
    pub currency: Option<[u8; 3]>,
    pub outbox_id: Option<i64>,
    pub payout_id: Option<Uuid>,
}

impl Place {
    pub(super) fn of_currency(code: &str) -> Self {
        Self {
            currency: code.as_bytes().try_into().ok(),
            ..Self::default()
        }
    }
}

impl Place {
    pub(super) fn of_wallet(wallet_id: Uuid, version: i64) -> Self {
        Self {
            wallet_id: Some(wallet_id),
            version: Some(version),
            ..Self::default()
        }
    }

    pub(super) fn of_transaction(transaction_id: Uuid) -> Self {
        Self {
            transaction_id: Some(transaction_id),
            ..Self::default()
        }
    }
}

/// What is wrong there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Detail {
    pub problem: String,
    pub expected: Option<String>,
    pub found: Option<String>,
}

impl Detail {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            ..Self::default()
        }
    }

    pub(super) fn expected(mut self, value: impl ToString) -> Self {
        self.expected = Some(value.to_string());
        self
    }

    pub(super) fn found(mut self, value: impl ToString) -> Self {
        self.found = Some(value.to_string());
        self
    }
}

/// What one check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub violations: u64,
    pub first: Option<(Place, Detail)>,
}

impl Tally {
    fn add(&mut self, violations: u64, place: Place, detail: impl FnOnce() -> Detail) {
        self.violations = self.violations.saturating_add(violations);
        if self.first.as_ref().is_none_or(|(first, _)| place < *first) {
            self.first = Some((place, detail()));
        }
    }
}

/// What all checks found, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    tallies: [Tally; Check::ALL.len()],
}

impl Findings {
    fn tally_mut(&mut self, check: Check) -> &mut Tally {
        let [
            zero_sum,
            totals,
            balances,
            versions,
            hash_chain,
            references,
            outbox,
            payouts,
            refunds,
        ] = &mut self.tallies;
        match check {
            Check::ZeroSum => zero_sum,
            Check::Totals => totals,
            Check::Balances => balances,
            Check::Versions => versions,
            Check::HashChain => hash_chain,
            Check::References => references,
            Check::Outbox => outbox,
            Check::Payouts => payouts,
            Check::Refunds => refunds,
        }
    }

    /// Counts one violation. What is wrong is spelled out only for the first.
    #[cold]
    pub(super) fn add(&mut self, check: Check, place: Place, detail: impl FnOnce() -> Detail) {
        self.tally_mut(check).add(1, place, detail);
    }

    /// Counts several violations of which one is known by its place.
    pub(super) fn add_many(&mut self, check: Check, count: u64, place: Place, detail: Detail) {
        self.tally_mut(check).add(count, place, || detail);
    }

    /// Takes in what another part found.
    pub(super) fn merge(&mut self, other: Self) {
        for (check, tally) in Check::ALL.into_iter().zip(other.tallies) {
            if let Some((place, detail)) = tally.first {
                self.add_many(check, tally.violations, place, detail);
            }
        }
    }

    /// What a check found.
    pub(super) fn take(&mut self, check: Check) -> Tally {
        std::mem::take(self.tally_mut(check))
    }
}
