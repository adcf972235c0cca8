//! A preview says what a run then does.

use std::collections::HashMap;

use aegis::postgres::settlements::Settlement;
use aegis::settlement::{self, Release, Scope, Step, Work};
use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use crate::common::cases::cases;
use crate::common::merchant::merchant;
use crate::common::payment;
use crate::scene::{PLAIN, Scene, options, with};

const DAY: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);
const LATER: OffsetDateTime = datetime!(2026-12-24 00:00 UTC);

fn scope() -> Scope {
    Scope {
        merchant: None,
        at: LATER,
        by: "tester".to_owned(),
    }
}

async fn seen(scene: &Scene, steps_max: usize) -> Work {
    let mut conn = scene.pool.acquire().await.unwrap();
    let work = settlement::preview(&mut conn, &scene.ledger, &scope(), steps_max).await;
    work.unwrap()
}

async fn done(scene: &Scene) -> (Vec<Settlement>, Vec<Release>) {
    let (mut settled, mut released) = (Vec::new(), Vec::new());
    let tell = |step: &Step| match step {
        Step::Settled(settlement) => settled.push((**settlement).clone()),
        Step::Released(release) => released.push(release.clone()),
        Step::Failed(failed) => panic!("{failed:?}"),
    };
    let (pool, ledger, stop) = (&scene.pool, &scene.ledger, CancellationToken::new());
    let report = settlement::run(pool, &options(), ledger, &scope(), &stop, tell).await;
    report.unwrap();
    (settled, released)
}

/// A preview's periods are the run's; its reserves are those that were held before.
async fn agree(scene: &Scene) {
    let work = seen(scene, usize::MAX).await;
    let (settled, released) = done(scene).await;
    assert!(!work.more);
    assert_eq!(work.periods.len(), settled.len());
    for (seen, done) in work.periods.iter().zip(&settled) {
        assert_eq!(
            (&seen.due.merchant, seen.due.currency, seen.due.period),
            (&done.merchant, done.currency, done.period)
        );
        assert_eq!(seen.payments, done.payments);
        assert_eq!((seen.gross, seen.refunded), (done.gross, done.refunded));
        assert_eq!(seen.matured_at, done.matured_at);
        let split = &seen.split;
        assert_eq!(
            [
                split.amount,
                split.owed_repaid,
                split.reserved,
                split.released
            ],
            [done.amount, done.owed_repaid, done.reserved, done.released],
            "{} of {}",
            seen.due.period,
            seen.due.merchant
        );
        let held: Vec<_> = done
            .reserves
            .iter()
            .map(|r| (r.terms_version, r.amount))
            .collect();
        assert_eq!(split.reserves, held);
    }
    // The run also releases what it held back itself, where that is due, too.
    let new: HashMap<_, _> = settled.iter().map(|s| (s.id, ())).collect();
    let old: Vec<_> = released
        .into_iter()
        .filter(|release| !new.contains_key(&release.reserve.settlement_id))
        .collect();
    assert_eq!(work.reserves, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_is_seen_paid_back_once_over_several_periods() {
    let scene = Scene::new(&with(r#""reserve": {"basis_points": 333, "days": 400}"#)).await;
    merchant(&scene.pool, &scene.ledger, "bolt", "NGN", PLAIN).await;
    scene.owes(1_000).await;
    for (day, amount) in [(1, 700), (2, 900), (3, 5_077)] {
        scene.paid(amount, DAY + Duration::days(day)).await;
    }
    payment::paid(&scene.pool, &scene.ledger, "bolt", "NGN", 9, DAY).await;
    let work = seen(&scene, usize::MAX).await;
    let repaid: Vec<_> = work.periods.iter().map(|p| p.split.owed_repaid).collect();
    assert_eq!(repaid, [700, 300, 0, 0]);
    assert_eq!(
        scene.balance("owed").await,
        -1_000,
        "a preview moves nothing"
    );
    agree(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserve_is_seen_to_pay_back_what_is_owed_by_then() {
    let scene = Scene::new(&with(r#""reserve": {"basis_points": 5000, "days": 7}"#)).await;
    scene.paid(1_000, DAY).await;
    scene.settle(DAY + Duration::days(1)).await;
    assert_eq!(scene.purses().await, [0, 500, 500, 0]);
    scene.owes(100).await;
    let work = seen(&scene, usize::MAX).await;
    let [release] = &work.reserves[..] else {
        panic!("{:?}", work.reserves);
    };
    assert_eq!((release.owed_repaid, release.released), (100, 400));
    agree(&scene).await;
    assert_eq!(scene.purses().await, [0, 900, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_preview_is_cut_and_says_so() {
    let scene = Scene::new(PLAIN).await;
    for day in 0..3 {
        scene.paid(10, DAY + Duration::days(day)).await;
    }
    let cut = seen(&scene, 2).await;
    assert_eq!((cut.periods.len(), cut.more), (2, true));
    let whole = seen(&scene, 3).await;
    assert_eq!((whole.periods.len(), whole.more), (3, false));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(6), ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_due_the_run_does_what_the_preview_says(
        days in prop::collection::vec(
            (1_i64..100_000, 0_i64..150_000, prop::bool::weighted(0.3)), 1..8),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let terms = with(
                r#""reserve": {"basis_points": 777, "days": 5},
                   "chargeback": {"fee": "kept", "below_zero_max": 5000000}"#,
            );
            let scene = Scene::new(&terms).await;
            let mut at = DAY;
            for (paid, back, settles) in days {
                let id = scene.paid(paid, at).await;
                scene.gives_back(id, back).await;
                at += Duration::days(1);
                if settles {
                    scene.settle(at).await;
                }
            }
            agree(&scene).await;
        });
    }
}
