//! Compares payouts with the ledger: each has moved what its state says, once and no more, and the
//! money in transit is that of the open ones.

use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::{Check, Detail, Findings, Place};
use crate::ledger::Ledger;
use crate::merchant::house;
use crate::postgres::verify::{self as tables, PaidOut, Transit};

/// Payouts read at a time.
const PAGE_PAYOUTS: i64 = 1_000;

/// Compares all payouts: how many there are. Keeps a page of them.
pub(super) async fn check(
    conn: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<u64> {
    let transit = house::payouts_in_transit();
    for differs in tables::transit_differs(conn, ledger.id, Transit::Payouts, &transit).await? {
        findings.add(
            Check::Payouts,
            Place::of_currency(&differs.currency),
            || {
                Detail::new(format!("{transit} is not what the open payouts sum to"))
                    .expected(differs.open)
                    .found(differs.balance)
            },
        );
    }
    let (mut checked, mut after) = (0_u64, Uuid::nil());
    loop {
        let page = tables::payouts_page(conn, ledger.id, after, PAGE_PAYOUTS).await?;
        let Some(last) = page.last() else {
            return Ok(checked);
        };
        after = last.id;
        for payout in page {
            checked = checked.saturating_add(1);
            let place = Place {
                payout_id: Some(payout.id),
                ..Place::default()
            };
            compare(payout, place, findings);
        }
    }
}

fn compare(mut payout: PaidOut, place: Place, findings: &mut Findings) {
    let mut expected = expected(&payout);
    expected.sort_unstable();
    payout.moved.sort_unstable();
    if expected != payout.moved {
        findings.add(Check::Payouts, place, || {
            let problem = format!("a payout that is {} did not move that", payout.status);
            Detail::new(problem)
                .expected(expected.join(", "))
                .found(payout.moved.join(", "))
        });
    }
}

/// What a payout that stands so has moved.
fn expected(payout: &PaidOut) -> Vec<String> {
    let amount = i128::from(payout.amount);
    let fee = i128::from(payout.psp_fee.unwrap_or(0));
    let available = format!("merchant:{}:available", payout.merchant);
    let psp = format!("psp:{}", payout.psp);
    let transit = house::payouts_in_transit().to_string();
    let fees = house::psp_fees().to_string();
    let mut all = Vec::new();
    let mut moved = |step: &str, from: &str, to: &str, amount: i128| {
        if amount != 0 {
            let currency = &payout.currency;
            all.push(format!("{step} {from} {currency} {}", -amount));
            all.push(format!("{step} {to} {currency} {amount}"));
        }
    };
    moved("requested", &available, &transit, amount);
    match payout.status.as_str() {
        "failed" => moved("failed", &transit, &available, amount),
        "succeeded" | "returned" => {
            moved("succeeded", &transit, &psp, amount);
            moved("psp_fee", &fees, &psp, fee);
        }
        _ => {}
    }
    if payout.status == "returned" {
        moved("returned", &psp, &available, amount);
        moved("psp_fee_returned", &psp, &fees, fee);
    }
    all
}
