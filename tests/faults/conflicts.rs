//! Other sessions in the way: deadlocks, serialisation failures, wallets that somebody holds.

use std::time::Duration;

use fastrand::Rng;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::{rounds, seed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlocks_with_other_sessions_are_mended_out_of_sight() {
    let seed = seed();
    let scene = Scene::new().await;
    let mut conn = scene.connect().await;
    let database: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    // So that it is the daemon that notices, now and then, and not only after a second.
    let hasty = format!("ALTER DATABASE {database} SET deadlock_timeout = '20ms'");
    sqlx::query(AssertSqlSafe(hasty))
        .execute(&mut conn)
        .await
        .unwrap();
    let daemon = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&daemon]);
    let mut others = JoinSet::new();
    for n in 0..2 {
        let other = scene.connect().await;
        others.spawn(lock_in_any_order(
            other,
            Rng::with_seed(seed.wrapping_add(n)),
        ));
    }
    load.answers(rounds(300)).await;
    others.shutdown().await;
    load.answers(50).await;
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    let deadlocks = deadlocks(&mut conn).await;
    assert!(deadlocks > 0, "none came to be");
    eprintln!(
        "{found}; {deadlocks} deadlocks, {} answers of 503",
        log.count(503)
    );
}

/// Takes pairs of wallets, each as likely in the one order as in the other, over and over.
async fn lock_in_any_order(mut conn: PgConnection, mut rng: Rng) {
    let wallets: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM wallets")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    loop {
        let first = rng.usize(..wallets.len());
        let second = (first + rng.usize(1..wallets.len())) % wallets.len();
        let mut transaction = conn.begin().await.unwrap();
        for n in [first, second] {
            // Others get to ask for what this one holds.
            let locked = sqlx::query("SELECT pg_sleep(0.01) FROM wallets WHERE id = $1 FOR UPDATE")
                .bind(wallets[n])
                .execute(&mut *transaction)
                .await;
            if locked.is_err() {
                break;
            }
        }
        transaction.rollback().await.unwrap();
    }
}

/// How many the server has resolved; it tells a while later.
async fn deadlocks(conn: &mut PgConnection) -> i64 {
    let mut tries = 0;
    loop {
        sqlx::query("SELECT pg_stat_clear_snapshot()")
            .execute(&mut *conn)
            .await
            .unwrap();
        let count: i64 = sqlx::query_scalar(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
        )
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        if count > 0 || tries == 50 {
            return count;
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_the_server_undid_for_a_conflict_is_done_again_out_of_sight() {
    let seed = seed();
    let scene = Scene::new().await;
    let mut conn = scene.connect().await;
    // A sequence counts also what is undone.
    for statement in [
        "CREATE SEQUENCE conflicts",
        "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
         DECLARE n bigint := nextval('conflicts');
         BEGIN
             IF n % 5 = 0 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF;
             IF n % 7 = 0 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END IF;
             RETURN NULL;
         END $$",
        "CREATE TRIGGER conflict AFTER INSERT ON transactions
         FOR EACH STATEMENT EXECUTE FUNCTION conflict()",
    ] {
        sqlx::query(statement).execute(&mut conn).await.unwrap();
    }
    let daemon = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&daemon]);
    load.answers(rounds(400)).await;
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    let inserts: i64 = sqlx::query_scalar("SELECT last_value FROM conflicts")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(inserts > 20, "too few to conflict");
    eprintln!("{found}; {inserts} attempts to write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_that_somebody_holds_is_told_in_time_and_the_others_go_on() {
    let seed = seed();
    let scene = Scene::new().await;
    let daemon = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&daemon]);
    load.answers(50).await;
    let mut somebody = scene.connect().await;
    let mut holding = somebody.begin().await.unwrap();
    sqlx::query("SELECT FROM wallets WHERE address = 'shop:a' FOR UPDATE")
        .execute(&mut *holding)
        .await
        .unwrap();
    load.unavailable(rounds(4)).await;
    holding.rollback().await.unwrap();
    load.answers(100).await;
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    let told = log.calls.iter().filter(|call| call.status == Some(503));
    for call in told {
        assert!(call.retry_after, "{call:?}");
        assert!(call.took < Duration::from_secs(14), "{call:?}");
    }
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; {} answers of 503", log.count(503));
}
