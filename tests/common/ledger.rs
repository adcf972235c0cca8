//! Wallets and commands for tests.

use aegis::engine::{Engine, Request};
use aegis::ledger::{Command, Currency, Details, Ledger, Outcome, RejectionCode, Wallet};
use aegis::postgres::{ledgers, wallets};
use sqlx::PgPool;

/// The ledger `main`.
pub async fn main_ledger(pool: &PgPool) -> Ledger {
    let mut conn = pool.acquire().await.unwrap();
    ledgers::find(&mut conn, &"main".parse().unwrap())
        .await
        .unwrap()
        .expect("main exists")
}

/// Makes a wallet; `None` for one without a minimum balance.
pub async fn wallet(
    pool: &PgPool,
    ledger: &Ledger,
    address: &str,
    currency: &str,
    min_balance: Option<i64>,
) -> Wallet {
    let mut conn = pool.acquire().await.unwrap();
    let (address, currency) = (
        address.parse().unwrap(),
        Currency::from_code(currency).unwrap(),
    );
    wallets::create(&mut conn, ledger.id, &address, currency, min_balance)
        .await
        .unwrap()
        .0
}

/// A wallet as it stands.
pub async fn read_wallet(pool: &PgPool, ledger: &Ledger, address: &str, currency: &str) -> Wallet {
    let mut conn = pool.acquire().await.unwrap();
    let found = wallets::find(
        &mut conn,
        ledger.id,
        &address.parse().unwrap(),
        Currency::from_code(currency),
    )
    .await
    .unwrap();
    found.into_iter().next().expect("the wallet exists")
}

/// A transfer in NGN.
pub fn transfer(key: &str, from: &str, to: &str, amount: i64) -> Command {
    transfer_in("NGN", key, from, to, amount)
}

/// A transfer.
pub fn transfer_in(currency: &str, key: &str, from: &str, to: &str, amount: i64) -> Command {
    Command::transfer(
        key.parse().unwrap(),
        from.parse().unwrap(),
        to.parse().unwrap(),
        currency,
        amount,
        Details::default(),
    )
}

/// Posts one command.
pub async fn post(engine: &Engine, ledger: &Ledger, command: Command) -> Outcome {
    post_all(engine, ledger, vec![command]).await.remove(0)
}

/// Posts commands that stand each for itself, in one batch.
pub async fn post_all(engine: &Engine, ledger: &Ledger, commands: Vec<Command>) -> Vec<Outcome> {
    let outcomes = engine
        .post(ledger, &[Request::independent(commands)])
        .await
        .unwrap();
    outcomes.into_iter().flatten().collect()
}

/// `posted`, `replayed`, or the code of the rejection.
pub fn verdict(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Posted(_) => "posted",
        Outcome::Replayed(_) => "replayed",
        Outcome::Rejected(rejection) => rejection.code.as_str(),
    }
}

/// The rejection's code, if it is one.
pub fn code(outcome: &Outcome) -> Option<RejectionCode> {
    match outcome {
        Outcome::Rejected(rejection) => Some(rejection.code),
        _ => None,
    }
}
