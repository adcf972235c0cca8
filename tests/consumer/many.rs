//! Much that waits, and much that is remembered: what is looked for is found by its key, also where
//! the server's statistics are of another time.

use aegis::postgres::{consumed, retries};
use sqlx::{Connection as _, PgConnection};
use time::Duration;

use crate::scene::{START, Scene};

/// How many rows of a table this transaction has read.
async fn rows_read(conn: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = $1",
    )
    .bind(table)
    .fetch_one(conn)
    .await
    .unwrap()
}

/// Parks so many messages, of one key or each of its own; the newest is due first.
async fn park(scene: &Scene, count: i32, one_key: bool) {
    sqlx::query(
        "INSERT INTO consumer_retries (
             consumer, event_id, topic, key, headers, payload, attempts, next_attempt_at, created_at
         ) SELECT 'settlements', gen_random_uuid(), 'aegis.settlements',
             convert_to(CASE WHEN $2 THEN 'k' ELSE 'k' || n END, 'UTF8'), '[]', '', 1,
             $3 - n * interval '1 ms', $3
         FROM generate_series(1, $1) n",
    )
    .bind(count)
    .bind(one_key)
    .bind(START)
    .execute(scene.pool())
    .await
    .unwrap();
}

#[tokio::test]
async fn the_next_message_is_found_among_thousands_of_lanes_without_reading_them() {
    let scene = Scene::new().await;
    park(&scene, 5_000, true).await;
    for statement in [
        "ANALYZE consumer_retries",
        "DELETE FROM consumer_retries",
        "VACUUM (ANALYZE FALSE) consumer_retries",
    ] {
        sqlx::query(statement).execute(scene.pool()).await.unwrap();
    }
    park(&scene, 5_000, false).await;
    let pool = scene.database.settings().posting_pool(1);
    let mut conn = pool.acquire().await.unwrap();
    let mut transaction = conn.begin().await.unwrap();
    let due = retries::next_due(&mut transaction, "settlements", START)
        .await
        .unwrap();
    assert_eq!(due.unwrap().message.key, b"k5000");
    let free = retries::is_lane_taken(&mut transaction, "settlements", "aegis.settlements", b"x");
    assert!(!free.await.unwrap());
    let read = rows_read(&mut transaction, "consumer_retries").await;
    assert!(read < 500, "{read}");
}

#[tokio::test]
async fn what_is_remembered_is_not_read_to_find_that_nothing_is_to_be_forgotten() {
    let scene = Scene::new().await;
    sqlx::query(
        "INSERT INTO consumed_events
         SELECT 'settlements', gen_random_uuid(), $1 FROM generate_series(1, 5000)",
    )
    .bind(START)
    .execute(scene.pool())
    .await
    .unwrap();
    let pool = scene.database.settings().posting_pool(1);
    let mut conn = pool.acquire().await.unwrap();
    let mut transaction = conn.begin().await.unwrap();
    let before = START - Duration::SECOND;
    let forgotten = consumed::forget_before(&mut transaction, before, 10_000)
        .await
        .unwrap();
    assert_eq!(forgotten, 0);
    let read = rows_read(&mut transaction, "consumed_events").await;
    assert!(read < 500, "{read}");
}
