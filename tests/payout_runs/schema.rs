//! What the database refuses, whoever asks.

use aegis::payout_runs::{self, Decided};
use aegis::postgres::audit::Actor;
use aegis::postgres::migrate;
use time::OffsetDateTime;

use crate::common::TestDatabase;
use crate::common::ledger::main_ledger;
use crate::scene::{Scene, start};

async fn refused(scene: &Scene, statement: &'static str) -> String {
    let done = sqlx::query(statement).execute(scene.pool()).await;
    let error = done.unwrap_err();
    let error = error.as_database_error().unwrap();
    error
        .constraint()
        .map_or_else(|| error.message().to_owned(), str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_approved_by_another_and_its_list_stays() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(1, 50_000).await, 20_000);
    let limit = [("PAYOUT_RUN_APPROVAL_ABOVE_MINOR", "1")];
    scene.run_with(&start("a", &file), &limit).exits(0);
    for (statement, told) in [
        (
            "UPDATE payout_runs SET status = 'running', approved_by = started_by,
                 approved_from = 'here', approved_at = now()",
            "payout_runs_approved_by_another",
        ),
        (
            "UPDATE payout_runs SET status = 'running', approved_by = ' ' || upper(started_by),
                 approved_from = 'here', approved_at = now()",
            "payout_runs_approved_by_another",
        ),
        (
            "UPDATE payout_runs SET status = 'running', approved_from = 'here', approved_at = now(),
                 approved_by = 'root (sudo by ' || started_by || ')'",
            "payout_runs_approved_by_another",
        ),
        (
            "UPDATE payout_runs SET status = 'running', approved_by = 'unknown',
                 approved_from = 'here', approved_at = now()",
            "payout_runs_approved_by_another",
        ),
        (
            "UPDATE payout_runs SET status = 'running'",
            "payout_runs_approved_before_it_pays",
        ),
        ("UPDATE payout_runs SET approval_reason = NULL", "frozen"),
        ("UPDATE payout_runs SET total = total + 1", "frozen"),
        ("UPDATE payout_run_items SET amount = amount + 1", "frozen"),
        ("UPDATE payout_run_items SET merchant = 'm2'", "frozen"),
        (
            "UPDATE payout_run_items SET status = 'requested'",
            "payout_run_items_requested_with_payout",
        ),
        ("DELETE FROM payout_run_items", "payout_run_items"),
        ("DELETE FROM payout_runs", "payout_runs"),
    ] {
        let said = refused(&scene, statement).await;
        assert!(said.contains(told), "{statement}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_was_requested_is_never_another_payout() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(1, 50_000).await, 20_000);
    scene.start("a", &file).exits(0);
    let again = "UPDATE payout_run_items SET status = 'waiting', payout_id = NULL";
    assert!(refused(&scene, again).await.contains("frozen"));
}

#[tokio::test]
async fn a_run_approved_under_the_former_rule_goes_on() {
    let database = TestDatabase::empty().await;
    let pool = database.pool();
    // Before it was known that sudo makes nobody another person.
    let steps = sqlx::migrate!();
    steps.run_to(12, pool).await.unwrap();
    sqlx::query(
        "INSERT INTO payout_runs (
             ledger_id, key, source, currency, count, total, list_hash, status, approval_reason,
             started_by, started_from, started_at, approved_by, approved_from, approved_at, updated_at)
         VALUES (1, 'a', 'list', 'NGN', 1, 5, sha256('x'::bytea), 'running', 'over', 'alice', 'here', now(),
                 'root (sudo by alice)', 'here', now(), now())",
    )
    .execute(pool)
    .await
    .unwrap();
    migrate::up(&database.settings()).await.unwrap();
    let ledger = main_ledger(pool).await;
    let (key, now) = ("a".parse().unwrap(), OffsetDateTime::now_utc());
    let actor = Actor {
        name: "bob".to_owned(),
        host: "here".to_owned(),
    };
    let decided = payout_runs::resume(pool, &ledger, &key, Some(true), &actor, now).await;
    assert!(matches!(decided.unwrap(), Decided::Now(_)));
    let ended = "UPDATE payout_runs SET status = 'finished', finished_at = now()";
    sqlx::query(ended).execute(pool).await.unwrap();
}
