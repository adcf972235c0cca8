//! The test: see the head of `main.rs`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aegis::ledger::Currency;
use aegis::simulator::Account;
use aegis::verify::{self, Progress};
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use crate::market::Market;
use crate::reconciled;

/// How many, and which; both from the environment.
fn size() -> (usize, u64) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let payments = number("AEGIS_MONEY_PAYMENTS").unwrap_or(1_000);
    let seed = number("AEGIS_MONEY_SEED").unwrap_or_else(|| fastrand::u64(..));
    (usize::try_from(payments).unwrap(), seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cent_of_many_payments_is_accounted_for() {
    let (payments, seed) = size();
    eprintln!("{payments} payments; AEGIS_MONEY_SEED={seed} makes the same choices again");
    let began = Instant::now();
    let mut market = Market::open(seed).await;
    let days = 4;
    for day in 0..days {
        let count = payments * (day + 1) / days - payments * day / days;
        let from = market.orders.len();
        for part in 0..4 {
            market
                .ask_for(count * (part + 1) / 4 - count * part / 4)
                .await;
            market.wait(Duration::from_secs(60)).await;
            market.customers_pay(from);
            market.give_back(count / 40).await;
            market.end_what_is_under_way();
            market.carry_webhooks(false).await;
            market.wait(Duration::from_secs(4 * 3_600)).await;
            market.settle().await;
        }
        market.wait(Duration::from_secs(8 * 3_600)).await;
        market.settle().await;
        market.pay_out().await;
    }
    // Five days without customers: all comes to rest.
    for eight_hours in 0..5 * 3 {
        if eight_hours % 3 == 0 {
            market.settle().await;
            market.pay_out().await;
        }
        market.wait(Duration::from_secs(8 * 3_600)).await;
        market.end_what_is_under_way();
        market.carry_webhooks(true).await;
    }
    eprintln!("{:?} for the days", began.elapsed());
    what_was_paid_is_credited(&market).await;
    what_went_back_is_booked(&market).await;
    fees_and_net_sum_to_the_cent(&market).await;
    the_psp_owes_what_its_books_say(&market).await;
    nothing_is_on_its_way(&market).await;
    what_went_back_is_shared_to_the_cent(&market).await;
    reconciled::all_is_explained(&market).await;
    the_ledger_verifies(&market).await;
}

/// What the provider has as paid in full is credited, and nothing else is.
async fn what_was_paid_is_credited(market: &Market) {
    let rows = sqlx::query("SELECT reference, status, paid_at IS NOT NULL AS paid FROM payments")
        .fetch_all(&market.pool)
        .await
        .unwrap();
    market.psp.with_books(|books| {
        for row in &rows {
            let (reference, status): (&str, &str) = (row.get("reference"), row.get("status"));
            let there = books.payment(reference).ok();
            let there = there.filter(|p| p.paid_at.is_some() && p.amount == p.requested_amount);
            let here: bool = row.get("paid");
            assert_eq!(
                here,
                there.is_some(),
                "{reference} is {status} here, there {there:?}"
            );
        }
    });
}

/// What went back of a payment at the provider went back here, whoever wished it.
async fn what_went_back_is_booked(market: &Market) {
    let rows = sqlx::query("SELECT reference, refunded FROM payments")
        .fetch_all(&market.pool)
        .await
        .unwrap();
    let differs = market.psp.with_books(|books| {
        let mut rows = rows.iter();
        let found = rows.find(|row| {
            let payment = books.payment(row.get("reference")).ok();
            row.get::<i64, _>("refunded") != payment.map_or(0, |payment| payment.given_back)
        });
        found.map(|row| row.get::<String, _>("reference"))
    });
    if let Some(reference) = differs {
        panic!("{}", what_is_known_of(market, &reference).await);
    }
}

/// Both sides of a payment, for whom this fails.
async fn what_is_known_of(market: &Market, reference: &str) -> String {
    let here: Vec<String> = sqlx::query_scalar(
        "SELECT to_jsonb(p)::text FROM payments p WHERE reference = $1
         UNION ALL
         SELECT to_jsonb(r)::text FROM refunds r JOIN payments p
             ON p.ledger_id = r.ledger_id AND p.id = r.payment_id AND p.reference = $1
         UNION ALL
         SELECT concat_ws(' ', 'webhook', kind, status, last_error) FROM psp_webhooks
         WHERE reference = $1",
    )
    .bind(reference)
    .fetch_all(&market.pool)
    .await
    .unwrap();
    let there = market.psp.with_books(|books| {
        let disputes = books.disputes();
        let disputes: Vec<_> = disputes
            .filter(|dispute| dispute.payment_reference == reference)
            .collect();
        format!("{:?} {disputes:?}", books.payment(reference).ok())
    });
    format!("{reference} here: {}\nthere: {there}", here.join("\n"))
}

/// Each payment's parts are those that its terms give, and what was credited sums to the wallets.
async fn fees_and_net_sum_to_the_cent(market: &Market) {
    let fees: BTreeMap<&str, (usize, i64)> = market
        .orders
        .iter()
        .map(|order| (order.reference.as_str(), (order.shop, order.amount)))
        .collect();
    let rows = sqlx::query("SELECT reference, amount, fee, net FROM payments")
        .fetch_all(&market.pool)
        .await
        .unwrap();
    assert_eq!(rows.len(), market.orders.len());
    for row in &rows {
        let reference: &str = row.get("reference");
        let (shop, amount) = fees[reference];
        let fee = market.shops[shop].fee.of(amount);
        let found: (i64, i64, i64) = (row.get("amount"), row.get("fee"), row.get("net"));
        assert_eq!(found, (amount, fee, amount - fee), "{reference}");
    }
}

/// The provider's balance is what `psp:paystack` says, and what customers paid otherwise than they
/// were asked to, of which each is a discrepancy.
async fn the_psp_owes_what_its_books_say(market: &Market) {
    let asked: BTreeMap<&str, i64> = market
        .orders
        .iter()
        .map(|order| (order.reference.as_str(), order.amount))
        .collect();
    let mut otherwise: BTreeMap<Currency, i64> = BTreeMap::new();
    let mut odd: Vec<String> = Vec::new();
    market.psp.with_books(|books| {
        let paid = books.payments().filter(|payment| payment.paid_at.is_some());
        for payment in paid.filter(|p| p.amount != asked[p.reference.as_str()]) {
            let net = payment.amount - payment.fee.unwrap_or(0);
            *otherwise.entry(payment.currency).or_default() += net;
            odd.push(payment.reference.clone());
        }
    });
    odd.sort();
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT reference FROM discrepancies WHERE class = 'amount' ORDER BY reference COLLATE \"C\"",
    )
    .fetch_all(&market.pool)
    .await
    .unwrap();
    assert_eq!(
        found, odd,
        "each payment of another amount is a discrepancy"
    );
    for shop in &market.shops {
        let currency = shop.currency;
        let here = market.balance("psp:paystack", currency).await;
        let there = market.psp.with_books(|books| {
            let balances = books.balances();
            balances.get(&(Account::Balance, currency)).copied()
        });
        let otherwise = otherwise.get(&currency).copied().unwrap_or(0);
        assert_eq!(there.unwrap_or(0) - otherwise, -here, "{currency}");
    }
}

/// Nothing is on its way any more, and what is pending is what payments say.
async fn nothing_is_on_its_way(market: &Market) {
    let open: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM payouts WHERE status IN ('requested', 'sent', 'unknown'))
              + (SELECT count(*) FROM refunds WHERE status IN ('requested', 'sent', 'unknown'))",
    )
    .fetch_one(&market.pool)
    .await
    .unwrap();
    assert_eq!(
        open,
        0,
        "after five days everything has ended: {}",
        still_open(market).await
    );
    for shop in &market.shops {
        let currency = shop.currency;
        for clearing in ["payouts:in_transit", "refunds:in_transit"] {
            assert_eq!(market.balance(clearing, currency).await, 0, "{clearing}");
        }
        let unsettled: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(unsettled), 0)::bigint FROM payments WHERE merchant = $1",
        )
        .bind(shop.id.as_str())
        .fetch_one(&market.pool)
        .await
        .unwrap();
        let pending = format!("merchant:{}:pending", shop.id);
        assert_eq!(market.balance(&pending, currency).await, unsettled);
    }
}

/// What waits, for whom this fails.
async fn still_open(market: &Market) -> String {
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT to_jsonb(p)::text FROM payouts p WHERE status IN ('requested', 'sent', 'unknown')
         UNION ALL
         SELECT to_jsonb(r)::text FROM refunds r WHERE status IN ('requested', 'sent', 'unknown')",
    )
    .fetch_all(&market.pool)
    .await
    .unwrap();
    open.join("\n")
}

/// Of the fee each payment gave back the exact share, rounded once, and the platform has the rest.
async fn what_went_back_is_shared_to_the_cent(market: &Market) {
    let rows = sqlx::query(
        "SELECT p.reference, p.amount, p.fee, sum(r.amount)::bigint AS back,
                sum(r.fee_share)::bigint AS share
         FROM payments p JOIN refunds r ON r.ledger_id = p.ledger_id AND r.payment_id = p.id
         GROUP BY p.reference, p.amount, p.fee HAVING bool_and(r.status = 'succeeded')",
    )
    .fetch_all(&market.pool)
    .await
    .unwrap();
    assert!(!rows.is_empty(), "something was given back");
    for row in &rows {
        let number = |name: &str| i128::from(row.get::<i64, _>(name));
        let (amount, fee, back) = (number("amount"), number("fee"), number("back"));
        let exact = (2 * fee * back + amount) / (2 * amount);
        let reference: &str = row.get("reference");
        assert_eq!(number("share"), exact, "{reference}");
    }
    for shop in &market.shops {
        let earned: i64 = sqlx::query_scalar(
            "SELECT (SELECT coalesce(sum(fee), 0) FROM payments
                     WHERE paid_at IS NOT NULL AND currency = $1)::bigint
                  - (SELECT coalesce(sum(fee_returned - penalty), 0) FROM refunds
                     WHERE status = 'succeeded' AND currency = $1)::bigint",
        )
        .bind(shop.currency.code())
        .fetch_one(&market.pool)
        .await
        .unwrap();
        assert_eq!(market.balance("platform:fees", shop.currency).await, earned);
    }
}

async fn the_ledger_verifies(market: &Market) {
    let settings = market.database.settings();
    let report = verify::ledger(
        &settings,
        &market.ledger,
        verify::Options::default(),
        &Progress::default(),
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert!(report.ok, "{:?}", report.checks);
    assert!(report.transactions > market.orders.len() as u64);
}
