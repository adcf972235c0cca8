//! Once, from wherever and however often it is started.

use aegis::postgres::settlement_gate;
use futures_util::future::join_all;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::scene::{PLAIN, Scene};

const DAY: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);
const NEXT: OffsetDateTime = datetime!(2026-11-21 00:00 UTC);

#[tokio::test(flavor = "multi_thread")]
async fn eight_runs_at_once_settle_each_period_once() {
    let scene = Scene::new(PLAIN).await;
    for day in 0..5 {
        for amount in [10, 20] {
            scene.paid(amount, DAY + time::Duration::days(day)).await;
        }
    }
    let at = datetime!(2026-12-01 00:00 UTC);
    let runs = join_all((0..8).map(|_| scene.run(at))).await;
    let settled: usize = runs.iter().map(|(settled, _)| settled.len()).sum();
    assert!(runs.iter().all(|(_, report)| report.failed.is_empty()));
    assert_eq!(settled, 5);
    assert_eq!(scene.purses().await, [0, 150, 0, 0]);
    assert_eq!(scene.events("aegis.settlement.released").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_before_its_commit_leaves_all_of_it_due() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(70, DAY).await;
    // The outbox is the last that is written; the run waits there, and its connection is cut.
    let mut blocker = scene.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE settlements IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let cut = async {
        scene.database.wait_until_blocked().await;
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .execute(&mut *blocker)
        .await
        .unwrap();
        blocker.rollback().await.unwrap();
    };
    let scope = aegis::settlement::Scope {
        merchant: None,
        at: NEXT,
        by: "tester".to_owned(),
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let options = crate::scene::options();
    let run = aegis::settlement::run(&scene.pool, &options, &scene.ledger, &scope, &stop, |_| {});
    let (died, ()) = tokio::join!(run, cut);
    assert!(died.is_err(), "{died:?}");
    assert_eq!(scene.purses().await, [70, 0, 0, 0]);
    assert_eq!(scene.settle(NEXT).await.len(), 1);
    assert_eq!(scene.purses().await, [0, 70, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_says_so_and_the_next_one_does_the_rest() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(1, DAY).await;
    scene.paid(2, NEXT).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let scope = aegis::settlement::Scope {
        merchant: None,
        at: datetime!(2026-12-01 00:00 UTC),
        by: "tester".to_owned(),
    };
    let (pool, ledger, options) = (&scene.pool, &scene.ledger, crate::scene::options());
    let tell = |_: &aegis::settlement::Step| stop.cancel();
    let report = aegis::settlement::run(pool, &options, ledger, &scope, &stop, tell).await;
    let report = report.unwrap();
    assert!(report.stopped);
    assert_eq!(report.settled, 1);
    assert_eq!(scene.settle(scope.at).await.len(), 1);
    assert_eq!(scene.purses().await, [0, 3, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_credited_while_a_run_waits_is_settled_with_its_period() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(70, DAY).await;
    let (acme, ngn) = ("acme".parse().unwrap(), "NGN".parse().unwrap());
    let mut crediting = scene.database.pool().begin().await.unwrap();
    settlement_gate::share(&mut crediting, scene.ledger.id, &acme, ngn)
        .await
        .unwrap();
    let credited = async {
        scene.database.wait_until_blocked().await;
        scene.paid(7, DAY).await;
        crediting.commit().await.unwrap();
    };
    let (settled, ()) = tokio::join!(scene.settle(NEXT), credited);
    assert_eq!((settled[0].payments, settled[0].amount), (2, 77));
    assert_eq!(scene.purses().await, [0, 77, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_while_a_run_takes_the_payments_is_not_settled() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(100, DAY).await;
    let id = scene.paid(70, DAY).await;
    let mut refund = scene.database.pool().begin().await.unwrap();
    scene.gives_back_within(&mut refund, id, 30).await;
    let refunded = async {
        scene.database.wait_until_blocked().await;
        refund.commit().await.unwrap();
    };
    let (settled, ()) = tokio::join!(scene.settle(NEXT), refunded);
    assert_eq!((settled[0].payments, settled[0].amount), (2, 140));
    assert_eq!(scene.purses().await, [0, 140, 0, 0]);
    assert_eq!(scene.unsettled().await, 0);
    let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM payments WHERE settlement_id = $1")
        .bind(settled[0].id)
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert_eq!(taken, 2);
    assert!(scene.settle(NEXT).await.is_empty());
}
