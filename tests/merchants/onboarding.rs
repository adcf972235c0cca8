//! What a merchant's making and its terms leave behind, also when several do it at once.

use aegis::ledger::Ledger;
use aegis::onboarding::{self, Agreed, Call, Made, NewMerchant};
use aegis::postgres::merchants;
use futures_util::future::join_all;
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};
use crate::common::merchant::{TERMS, merchant, office, tester};

async fn agree(pool: &PgPool, ledger: &Ledger, terms: &str) -> Agreed {
    let (office, actor) = (office(), tester());
    let call = Call {
        office: &office,
        ledger,
        actor: &actor,
        now: OffsetDateTime::now_utc(),
    };
    let (id, currency) = ("acme".parse().unwrap(), "NGN".parse().unwrap());
    let terms = terms.parse().unwrap();
    onboarding::agree(pool, call, &id, currency, &terms)
        .await
        .unwrap()
}

fn below_zero(max: i64) -> String {
    let refund = format!(r#"{{"refund": {{"fee": "kept", "below_zero_max": {max}}},"#);
    TERMS.replacen('{', &refund, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_made_eight_times_at_once_is_one_with_one_event() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    let (office, actor) = (office(), tester());
    let call = Call {
        office: &office,
        ledger: &ledger,
        actor: &actor,
        now: OffsetDateTime::now_utc(),
    };
    let new = NewMerchant {
        id: "acme".parse().unwrap(),
        name: "Acme".to_owned(),
        currency: "NGN".parse().unwrap(),
        terms: TERMS.parse().unwrap(),
    };
    let pool = database.pool();
    let made = join_all((0..8).map(|_| onboarding::create(pool, call, &new))).await;
    let now = made.iter().filter(|made| matches!(made, Ok(Made::Now(_))));
    let before = made
        .iter()
        .filter(|made| matches!(made, Ok(Made::Before(_))));
    assert_eq!((now.count(), before.count()), (1, 7), "{made:?}");
    let count = "SELECT count(*) FROM transaction_outbox
                 WHERE event_type = 'aegis.merchant.created' AND subject = 'merchant:acme'";
    let events: i64 = sqlx::query_scalar(count).fetch_one(pool).await.unwrap();
    let audit = "SELECT count(*) FROM audit_log WHERE action = 'merchant.created'";
    let deeds: i64 = sqlx::query_scalar(audit).fetch_one(pool).await.unwrap();
    assert_eq!((events, deeds), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_agreed_on_at_once_are_versions_without_gaps() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
    let different: Vec<String> = (1..=6).map(below_zero).collect();
    let pool = database.pool();
    let agreed = join_all(different.iter().map(|terms| agree(pool, &ledger, terms))).await;
    assert!(agreed.iter().all(|agreed| matches!(agreed, Agreed::Now(_))));
    let mut conn = pool.acquire().await.unwrap();
    let (id, currency) = ("acme".parse().unwrap(), "NGN".parse().unwrap());
    let history = merchants::terms_history(&mut conn, ledger.id, &id, currency).await;
    let versions: Vec<i32> = history.unwrap().iter().map(|terms| terms.version).collect();
    assert_eq!(versions, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_terms_are_no_new_version() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
    let agreed = agree(database.pool(), &ledger, TERMS).await;
    assert!(
        matches!(&agreed, Agreed::Before(terms) if terms.version == 1),
        "{agreed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallets_may_fall_as_far_as_the_terms_in_force_say() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
    let floor = async |purse: &str| {
        let address = format!("merchant:acme:{purse}");
        read_wallet(database.pool(), &ledger, &address, "NGN")
            .await
            .min_balance
    };
    assert_eq!(floor("available").await, Some(0));
    agree(database.pool(), &ledger, &below_zero(900)).await;
    for (purse, expected) in [
        ("pending", Some(-900)),
        ("available", Some(-900)),
        ("reserve", Some(0)),
        ("owed", None),
    ] {
        assert_eq!(floor(purse).await, expected, "{purse}");
    }
    agree(database.pool(), &ledger, &below_zero(100)).await;
    assert_eq!(floor("available").await, Some(-100));
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_a_wallet_is_below_already_are_not_agreed_on() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", &below_zero(900)).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    let engine = aegis::engine::Engine::new(&database.settings(), "aegis.transactions");
    let down = crate::common::ledger::transfer("k", "merchant:acme:available", "world", 500);
    let outcome = crate::common::ledger::post(&engine, &ledger, down).await;
    assert_eq!(crate::common::ledger::verdict(&outcome), "posted");
    let agreed = agree(database.pool(), &ledger, &below_zero(499)).await;
    let Agreed::BelowFloor { balance, floor, .. } = agreed else {
        panic!("{agreed:?}");
    };
    assert_eq!((balance, floor), (-500, -499));
    assert!(matches!(
        agree(database.pool(), &ledger, &below_zero(500)).await,
        Agreed::Now(_)
    ));
}
