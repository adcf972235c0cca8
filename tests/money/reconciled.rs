//! The provider's export against the ledger, in the end.

use std::io::Cursor;

use aegis::ledger::Currency;
use aegis::postgres::audit::Actor;
use aegis::postgres::discrepancies::{self, Discrepancy, Filter};
use aegis::reconcile::clearing::standings;
use aegis::reconcile::resolve::{self, Leg};
use aegis::reconcile::{self, Options, Source, Statement};
use aegis::simulator::Account;
use time::OffsetDateTime;

use crate::common::ledger::wallet;
use crate::market::Market;

/// Where two persons put what customers paid otherwise than they were asked to.
const OTHERWISE: &str = "suspense:otherwise";

fn person(name: &str) -> Actor {
    Actor {
        name: name.to_owned(),
        host: "here".to_owned(),
    }
}

fn options() -> Options {
    Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
    }
}

/// Both agree but for what customers paid otherwise than they were asked to. Once two persons have
/// written that down, all clearing wallets are explained, and the provider owes what is said here.
pub(crate) async fn all_is_explained(market: &Market) {
    run(market).await;
    let open = open(market).await;
    let found = open.iter().filter(|it| it.source == "reconciliation");
    let mut found: Vec<String> = found
        .map(|it| {
            let reference = it.reference.as_deref().unwrap_or("-");
            format!("{} {reference}", it.class.as_str())
        })
        .collect();
    found.sort();
    let otherwise = paid_otherwise(market);
    if found != otherwise {
        panic!("{}", what_is_known_of(market, &open, &otherwise).await);
    }
    for currency in currencies(market) {
        wallet(
            &market.pool,
            &market.ledger,
            OTHERWISE,
            currency.code(),
            None,
        )
        .await;
    }
    for it in &open {
        settle(market, it).await;
    }
    let mut conn = market.database.pool().acquire().await.unwrap();
    let standings = standings(&mut conn, market.ledger.id).await.unwrap();
    assert!(!standings.is_empty());
    for standing in standings {
        assert!(standing.is_explained(), "{standing:?}");
    }
    for currency in currencies(market) {
        let here = market.balance("psp:paystack", currency).await;
        let there = market.psp.with_books(|books| {
            let balances = books.balances();
            balances.get(&(Account::Balance, currency)).copied()
        });
        assert_eq!(there.unwrap_or(0), -here, "{currency}");
    }
}

fn currencies(market: &Market) -> Vec<Currency> {
    let mut all: Vec<Currency> = market.shops.iter().map(|shop| shop.currency).collect();
    all.sort_by_key(|currency| currency.code());
    all.dedup();
    all
}

async fn run(market: &Market) {
    let export = Box::new(Cursor::new(market.psp.settlement_csv().unwrap()));
    let source = Source::Psp("paystack".to_owned());
    let mut statement = Statement::open(export, None, source.psp()).unwrap();
    let now = market.clock.now();
    // What is booked here without a time of the provider's is booked at the machine's.
    let until = now.max(OffsetDateTime::now_utc());
    let mut conn = market.database.pool().acquire().await.unwrap();
    let report = reconcile::run(
        &mut conn,
        &options(),
        &market.ledger,
        &source,
        ("settlement.csv", &mut statement),
        (None, Some(until)),
        &person("cron"),
        now,
    )
    .await
    .unwrap();
    assert!(report.broken.is_empty(), "{:?}", report.broken);
}

/// What nobody resolved and is more than late.
async fn open(market: &Market) -> Vec<Discrepancy> {
    let mut conn = market.database.pool().acquire().await.unwrap();
    let mut all: Vec<Discrepancy> = Vec::new();
    loop {
        let after = all.last().map_or(0, |last| last.id);
        let filter = Filter::default();
        let page = discrepancies::page(&mut conn, market.ledger.id, &filter, after, 1_000).await;
        let page = page.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    all.retain(|it| it.class.as_str() != "late");
    all
}

fn paid_otherwise(market: &Market) -> Vec<String> {
    let asked: std::collections::HashMap<&str, i64> = market
        .orders
        .iter()
        .map(|order| (order.reference.as_str(), order.amount))
        .collect();
    market.psp.with_books(|books| {
        let paid = books.payments().filter(|payment| payment.paid_at.is_some());
        let mut otherwise: Vec<String> = paid
            .filter(|payment| payment.amount != asked[payment.reference.as_str()])
            .map(|payment| format!("amount {}", payment.reference))
            .collect();
        otherwise.sort();
        otherwise
    })
}

/// Both sides of what differs, for whom this fails.
async fn what_is_known_of(market: &Market, open: &[Discrepancy], otherwise: &[String]) -> String {
    let mut told = format!("paid otherwise: {otherwise:?}");
    for it in open.iter().filter(|it| it.source == "reconciliation") {
        let reference = it.reference.clone().unwrap_or_default();
        if otherwise.contains(&format!("amount {reference}")) {
            continue;
        }
        let here: Vec<String> = sqlx::query_scalar(
            "SELECT to_jsonb(l)::text FROM statement_lines l WHERE reference = $1
             UNION ALL
             SELECT concat_ws(' ', t.idempotency_key, t.effective_at, e.currency, e.amount)
             FROM transactions t JOIN ledger_entries e ON e.transaction_id = t.id
             JOIN wallets w ON w.id = e.wallet_id AND w.address = 'psp:paystack'
             WHERE t.reference = $1",
        )
        .bind(&reference)
        .fetch_all(&market.pool)
        .await
        .unwrap();
        told = format!("{told}\n{it:?}\n{}", here.join("\n"));
    }
    told
}

/// What the statement found is booked for what it is; what a webhook told of it before is no more than
/// that.
async fn settle(market: &Market, found: &Discrepancy) {
    let mut legs = Vec::new();
    if found.source == "reconciliation" {
        let reference = found.reference.as_deref().unwrap();
        let (currency, net) = market.psp.with_books(|books| {
            let payment = books.payment(reference).unwrap();
            (payment.currency, payment.amount - payment.fee.unwrap_or(0))
        });
        let leg = |address: &str, amount| Leg {
            wallet: address.parse().unwrap(),
            currency,
            amount,
        };
        legs.extend([leg("psp:paystack", -net), leg(OTHERWISE, net)]);
    }
    let (pool, ledger, now) = (market.database.pool(), &market.ledger, market.clock.now());
    let proposed = resolve::propose(
        pool,
        ledger,
        found.id,
        &legs,
        "paid otherwise",
        &person("ann"),
        now,
    )
    .await
    .unwrap();
    let seen = proposed.proposal_hash().unwrap();
    resolve::approve(
        pool,
        &options(),
        ledger,
        (found.id, &seen),
        &person("ben"),
        now,
    )
    .await
    .unwrap();
}
