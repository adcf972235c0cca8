//! The wallets of the platform and of the world that money passes through.

use crate::ledger::Address;

/// An address that the program itself wrote.
pub(super) fn address(text: &str) -> Address {
    #[expect(
        clippy::expect_used,
        reason = "made of constants and of ids that were checked"
    )]
    text.parse().expect("the program's own addresses are valid")
}

/// What the platform earns.
#[must_use]
pub fn fees() -> Address {
    address("platform:fees")
}

/// What PSPs take for themselves, below 0.
#[must_use]
pub fn psp_fees() -> Address {
    address("platform:psp_fees")
}

/// What is on its way to merchants. Returns to 0.
#[must_use]
pub fn payouts_in_transit() -> Address {
    address("payouts:in_transit")
}

/// What is on its way back to customers. Returns to 0.
#[must_use]
pub fn refunds_in_transit() -> Address {
    address("refunds:in_transit")
}

/// What a PSP holds for the platform, below 0.
#[must_use]
pub fn psp(name: &str) -> Address {
    address(&format!("psp:{name}"))
}

/// The wallets that every currency needs, and what each may fall to; `None`: nothing bounds it.
#[must_use]
pub fn all(psp_name: &str) -> [(Address, Option<i64>); 5] {
    [
        // Fees that were given back may exceed what a young platform has earned.
        (fees(), None),
        (psp_fees(), None),
        (payouts_in_transit(), Some(0)),
        (refunds_in_transit(), Some(0)),
        (psp(psp_name), None),
    ]
}
