//! A database that falls silent: its host dies, nothing comes back, and no connection breaks.

use std::time::{Duration, Instant};

use aegis::postgres::ping;
use tokio::time::sleep;

use crate::common::TestDatabase;
use crate::support::PATIENCE;
use crate::support::daemon::Settings;
use crate::support::way::Way;

/// When the queues were looked at last, by `/metrics`.
async fn looked_at(address: &str) -> Option<f64> {
    let answer = reqwest::get(format!("http://{address}/metrics")).await;
    let text = answer.unwrap().text().await.unwrap();
    let name = "aegis_looked_timestamp_seconds{what=\"queues\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.parse().ok()
}

/// Waits for a look later than this one.
async fn looks_after(address: &str, before: f64) -> f64 {
    let began = Instant::now();
    loop {
        match looked_at(address).await {
            Some(at) if at > before => return at,
            _ => assert!(began.elapsed() < PATIENCE, "nobody looks any more"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A way to the database.
async fn way_to(database: &TestDatabase) -> (Way, String) {
    let options = database.settings().options;
    let way = Way::to(format!("{}:{}", options.get_host(), options.get_port())).await;
    let mut url = reqwest::Url::parse(database.url()).unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(way.port)).unwrap();
    url.set_query(Some("sslmode=disable"));
    (way, url.to_string())
}

/// Given back to the pool, a connection that answers nothing would be waited for without end, and its
/// place in the pool with it.
#[tokio::test]
async fn a_ping_that_is_never_answered_costs_the_pool_no_connection() {
    let database = TestDatabase::create().await;
    let (way, url) = way_to(&database).await;
    let mut settings = aegis::postgres::Settings::from_url(&url).unwrap();
    settings.connections_max = 2;
    let pool = settings.pool();
    assert!(ping(&pool, PATIENCE).await.unwrap().is_ok());
    while pool.num_idle() == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    way.fall_silent();
    // Each of the connections that are open, and as often as there are any.
    let second = Duration::from_secs(1);
    let began = Instant::now();
    while !matches!(ping(&pool, second).await, Some(Ok(()))) {
        assert!(began.elapsed() < PATIENCE, "no connection answers");
    }
    let _one = pool.acquire().await.unwrap();
    // The place of the other is free once its end was waited for in vain.
    while pool.acquire().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the pool has one place less");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_depths_of_queues_are_looked_at_again_after_a_look_that_is_never_answered() {
    let database = TestDatabase::create().await;
    let (way, url) = way_to(&database).await;
    let daemon = Settings::new(&url).start().await;
    looks_after(&daemon.address, 0.0).await;
    // The next look is under way when the silence falls.
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE consumer_retries IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    look_is_blocked(&database).await;
    way.fall_silent();
    let before = looked_at(&daemon.address).await.unwrap();
    blocker.rollback().await.unwrap();
    looks_after(&daemon.address, before).await;
}

/// Waits until the look at the depth of retries waits for the table.
async fn look_is_blocked(database: &TestDatabase) {
    let began = Instant::now();
    loop {
        let blocked: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock'
                              AND query LIKE '%count(*)%')",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        if blocked {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nobody looks");
        sleep(Duration::from_millis(5)).await;
    }
}
