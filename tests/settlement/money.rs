//! Where the money goes.

use aegis::merchant::MerchantStatus;
use aegis::onboarding::{self, Call};
use aegis::postgres::settlements;
use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::common::cases::cases;
use crate::common::ledger::read_wallet;
use crate::common::merchant::{TERMS, merchant, office, tester};
use crate::common::payment;
use crate::scene::{PLAIN, Scene, with};

const DAY: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);
const NEXT: OffsetDateTime = datetime!(2026-11-21 00:00 UTC);

#[tokio::test(flavor = "multi_thread")]
async fn net_and_reserve_leave_pending_and_the_reserve_follows_when_its_time_comes() {
    let terms = TERMS.replacen('{', r#"{"reserve": {"basis_points": 1000, "days": 30},"#, 1);
    let scene = Scene::new(&terms).await;
    // 1.5 % of 1,000,000 and 10,000: a fee of 25,000.
    scene.paid(1_000_000, DAY).await;
    assert_eq!(scene.purses().await, [975_000, 0, 0, 0]);
    let settled = scene.settle(NEXT).await;
    assert_eq!(scene.purses().await, [0, 877_500, 97_500, 0]);
    let one = &settled[0];
    assert_eq!((one.gross, one.fee, one.net), (1_000_000, 25_000, 975_000));
    assert_eq!(
        (one.amount, one.reserved, one.released),
        (975_000, 97_500, 877_500)
    );
    assert_eq!(scene.events("aegis.settlement.released").await, 1);

    let due_at = one.reserves[0].due_at;
    assert_eq!(due_at, datetime!(2026-12-21 00:00 UTC));
    scene.settle(due_at - Duration::microseconds(1)).await;
    assert_eq!(scene.balance("reserve").await, 97_500);
    for _ in 0..2 {
        scene.settle(due_at).await;
        assert_eq!(scene.purses().await, [0, 975_000, 0, 0], "once");
    }
    assert_eq!(scene.events("aegis.settlement.reserve_released").await, 1);
    let mut conn = scene.pool.acquire().await.unwrap();
    let found = settlements::find(&mut conn, scene.ledger.id, one.id)
        .await
        .unwrap();
    assert!(found.unwrap().reserves[0].released_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_change_in_the_middle_of_a_day_each_hold_back_their_share() {
    let scene = Scene::new(&with(r#""reserve": {"basis_points": 5000, "days": 7}"#)).await;
    scene.paid(1_000, DAY).await;
    scene
        .agree(&PLAIN.replace(r#""days": 1"#, r#""days": 3"#))
        .await;
    scene.paid(300, DAY).await;
    assert!(
        scene.settle(NEXT).await.is_empty(),
        "the period waits for its last payment"
    );
    let settled = scene.settle(datetime!(2026-11-23 00:00 UTC)).await;
    assert_eq!(settled.len(), 1);
    assert_eq!(scene.purses().await, [0, 800, 500, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_brought_less_than_nothing_is_netted_and_what_is_owed_is_paid_back_first() {
    let terms = with(r#""chargeback": {"fee": "kept", "below_zero_max": 500}"#);
    let scene = Scene::new(&terms).await;
    let bad = scene.paid(200, DAY).await;
    scene.gives_back(bad, 500).await;
    assert_eq!(scene.balance("pending").await, -300);
    scene.settle(NEXT).await;
    // Available may fall to -500.
    assert_eq!(scene.purses().await, [0, -300, 0, 0]);

    let worse = scene.paid(100, NEXT).await;
    scene.gives_back(worse, 450).await;
    scene.settle(datetime!(2026-11-22 00:00 UTC)).await;
    assert_eq!(
        scene.purses().await,
        [0, -500, 0, -150],
        "beyond its floor it is owed"
    );

    scene.paid(1_000, datetime!(2026-11-22 01:00 UTC)).await;
    let settled = scene.settle(datetime!(2026-11-23 00:00 UTC)).await;
    assert_eq!(settled[0].owed_repaid, 150);
    assert_eq!(scene.purses().await, [0, 350, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn currencies_and_merchants_are_settled_apart() {
    let scene = Scene::new(PLAIN).await;
    merchant(&scene.pool, &scene.ledger, "bolt", "KES", PLAIN).await;
    scene.paid(70, DAY).await;
    payment::paid(&scene.pool, &scene.ledger, "bolt", "KES", 9, DAY).await;
    let settled = scene.settle(NEXT).await;
    let found: Vec<_> = settled
        .iter()
        .map(|s| (s.merchant.as_str(), s.currency.code(), s.amount))
        .collect();
    assert_eq!(found, [("acme", "NGN", 70), ("bolt", "KES", 9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_currency_of_a_merchant_is_settled_by_itself_and_one_owed_in_another_is_not_paid() {
    let scene = Scene::new(PLAIN).await;
    scene.agree_in("KES", PLAIN).await;
    scene.owes(50).await;
    scene.paid(20, DAY).await;
    payment::paid(&scene.pool, &scene.ledger, "acme", "KES", 1_000, DAY).await;
    scene.settle(NEXT).await;
    assert_eq!(scene.purses().await, [0, 0, 0, -30]);
    let kes = read_wallet(&scene.pool, &scene.ledger, "merchant:acme:available", "KES").await;
    assert_eq!(kes.balance, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_merchant_is_settled_like_any_other() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(70, DAY).await;
    let (office, actor, id) = (office(), tester(), "acme".parse().unwrap());
    let call = Call {
        office: &office,
        ledger: &scene.ledger,
        actor: &actor,
        now: OffsetDateTime::now_utc(),
    };
    let frozen = onboarding::set_status(
        &scene.pool,
        call,
        &id,
        MerchantStatus::Frozen,
        "ticket 4711",
    );
    assert!(frozen.await.unwrap().is_some());
    scene.settle(NEXT).await;
    assert_eq!(scene.purses().await, [0, 70, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_says_no_fails_its_period_and_holds_up_no_other() {
    let scene = Scene::new(PLAIN).await;
    merchant(&scene.pool, &scene.ledger, "bolt", "NGN", PLAIN).await;
    scene.paid(70, DAY).await;
    payment::paid(&scene.pool, &scene.ledger, "bolt", "NGN", 9, DAY).await;
    sqlx::query("UPDATE wallets SET status = 'frozen' WHERE address = 'merchant:acme:available'")
        .execute(&scene.pool)
        .await
        .unwrap();
    let (settled, report) = scene.run(NEXT).await;
    assert_eq!(settled.len(), 1);
    assert_eq!(settled[0].merchant.as_str(), "bolt");
    assert!(
        report.failed[0].why.contains("frozen"),
        "{:?}",
        report.failed
    );
    assert_eq!(scene.unsettled().await, 70, "nothing of it is half done");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(12), ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes_pending_is_what_is_unsettled_and_nothing_is_lost(
        steps in prop::collection::vec((0_u8..4, 1_i64..100_000), 1..14),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let terms = with(
                r#""reserve": {"basis_points": 777, "days": 2},
                   "chargeback": {"fee": "kept", "below_zero_max": 5000000}"#,
            );
            let scene = Scene::new(&terms).await;
            let (mut at, mut last, mut brought) = (DAY, None, 0);
            for (step, amount) in steps {
                match (step, last) {
                    (0 | 1, _) => {
                        last = Some(scene.paid(amount, at).await);
                        brought += amount;
                    }
                    (2, Some(id)) => {
                        scene.gives_back(id, amount).await;
                        brought -= amount;
                    }
                    _ => {
                        at += Duration::days(1);
                        scene.settle(at).await;
                        last = None;
                    }
                }
                let [pending, available, reserve, owed] = scene.purses().await;
                assert_eq!(pending, scene.unsettled().await);
                assert_eq!(pending + available + reserve + owed, brought);
                assert_eq!(scene.settled().await + pending, brought);
            }
        });
    }
}
