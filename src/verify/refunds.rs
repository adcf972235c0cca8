//! Compares money on its way back to customers with the refunds that are open.

use sqlx::PgConnection;

use super::findings::{Check, Detail, Findings, Place};
use crate::ledger::Ledger;
use crate::merchant::house;
use crate::postgres::verify::{self as tables, Transit};

/// Compares what is in transit: how many refunds are open.
pub(super) async fn check(
    conn: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<u64> {
    let transit = house::refunds_in_transit();
    for differs in tables::transit_differs(conn, ledger.id, Transit::Refunds, &transit).await? {
        findings.add(
            Check::Refunds,
            Place::of_currency(&differs.currency),
            || {
                Detail::new(format!("{transit} is not what the open refunds sum to"))
                    .expected(differs.open)
                    .found(differs.balance)
            },
        );
    }
    tables::open_refunds(conn, ledger.id).await
}
