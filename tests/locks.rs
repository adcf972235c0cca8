//! Locks on wallets: they keep daemons out of each other's way, and where they fail the row locks
//! decide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

mod common;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aegis::cache::locks::{LockOptions, Locks};
use aegis::cache::{Cache, CacheOptions};
use aegis::config::{self, Environment, Files, Flag, Sources};
use common::TestDatabase;
use common::ledger::{main_ledger, read_wallet, wallet};
use serde_json::{Value, json};
use support::PATIENCE;
use support::daemon::{Daemon, Settings};
use support::redis::Redis;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

/// As a process of its own has it, and as patient with Redis as a slow machine needs.
fn owner(redis: &str, wait: Duration) -> Locks {
    owner_within(redis, wait, PATIENCE)
}

/// The same, which gives a call to Redis so long.
fn owner_within(redis: &str, wait: Duration, timeout: Duration) -> Locks {
    let flag = Flag {
        flag: "--redis".to_owned(),
        key: "redis.address".to_owned(),
        value: redis.to_owned(),
    };
    let loaded = config::load(&Sources {
        files: Files::search(&[""; 0]),
        environment: Environment::default(),
        flags: vec![flag],
        logs_to_terminal: false,
    });
    let address = loaded.unwrap().config.redis.address.unwrap();
    let bounds = CacheOptions {
        timeout,
        ..CacheOptions::default()
    };
    let cache = Cache::new(&address, bounds).unwrap();
    let options = LockOptions {
        wait,
        ..LockOptions::default()
    };
    Locks::new(cache, options)
}

fn wallets(count: usize) -> Vec<Uuid> {
    std::iter::repeat_with(Uuid::now_v7).take(count).collect()
}

fn at(wallet: &Uuid) -> String {
    format!("lock:wallet:{wallet}")
}

const SOON: Duration = Duration::ZERO;

#[tokio::test]
async fn a_lock_names_its_owner_and_is_gone_after_its_lease() {
    let redis = Redis::start().await;
    let (ids, began) = (wallets(2), Instant::now());
    let lease = owner(&redis.address(), SOON).acquire(&ids).await.unwrap();
    for id in &ids {
        let text: String = redis.ask(&["GET", &at(id)]).await;
        let lock: Value = serde_json::from_str(&text).unwrap();
        assert!(lock["owner_id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert!(lock["acquired_at"].as_str().unwrap().ends_with('Z'));
        let left: i64 = redis.ask(&["PTTL", &at(id)]).await;
        let gone = i64::try_from(began.elapsed().as_millis()).unwrap();
        assert!(left <= 30_000 && left + gone >= 29_999, "{left}");
    }
    assert_eq!(lease.release().await.unwrap(), 2);
    let left: i64 = redis.ask(&["DBSIZE"]).await;
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_never_hold_a_wallet_at_once() {
    let redis = Redis::start().await;
    let ids = wallets(6);
    let held: Arc<Vec<AtomicBool>> = Arc::new(ids.iter().map(|_| AtomicBool::default()).collect());
    let mut owners = JoinSet::new();
    for seed in 0..4 {
        let locks = owner(&redis.address(), PATIENCE);
        let (ids, held) = (ids.clone(), Arc::clone(&held));
        owners.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..60 {
                let chosen: Vec<usize> = (0..ids.len()).filter(|_| rng.bool()).collect();
                let own: Vec<Uuid> = chosen.iter().map(|n| ids[*n]).collect();
                let Some(lease) = locks.acquire(&own).await else {
                    assert!(own.is_empty(), "there is time enough");
                    continue;
                };
                for n in &chosen {
                    assert!(!held[*n].swap(true, Ordering::SeqCst), "held twice");
                }
                tokio::task::yield_now().await;
                chosen
                    .iter()
                    .for_each(|n| held[*n].store(false, Ordering::SeqCst));
                // Every other time in the background, as a batch does.
                match rng.bool() {
                    true => drop(lease),
                    false => drop(lease.release().await.unwrap()),
                }
            }
        });
    }
    owners.join_all().await;
}

#[tokio::test]
async fn all_wallets_of_a_batch_are_locked_or_none() {
    let redis = Redis::start().await;
    let ids = wallets(3);
    let (one, other) = (owner(&redis.address(), SOON), owner(&redis.address(), SOON));
    let lease = one.acquire(&ids[1..2]).await.unwrap();
    assert!(other.acquire(&ids).await.is_none());
    let locked: i64 = redis.ask(&["DBSIZE"]).await;
    assert_eq!(locked, 1);
    lease.release().await.unwrap();
    assert!(other.acquire(&ids).await.is_some());
}

#[tokio::test]
async fn an_owner_releases_only_what_is_still_its_own() {
    let redis = Redis::start().await;
    let ids = wallets(2);
    let (one, other) = (owner(&redis.address(), SOON), owner(&redis.address(), SOON));
    let late = one.acquire(&ids).await.unwrap();
    // Its lease runs out.
    let () = redis.ask(&["DEL", &at(&ids[0])]).await;
    let lease = other.acquire(&ids[..1]).await.unwrap();
    assert_eq!(late.release().await.unwrap(), 1);
    assert!(one.acquire(&ids[..1]).await.is_none(), "the other holds it");
    assert_eq!(lease.release().await.unwrap(), 1);
}

#[tokio::test]
async fn an_owners_next_batch_takes_over_what_its_last_still_holds() {
    let redis = Redis::start().await;
    let ids = wallets(2);
    let locks = owner(&redis.address(), SOON);
    let last = locks.acquire(&ids).await.unwrap();
    let next = locks.acquire(&ids[..1]).await.unwrap();
    assert_eq!(
        last.release().await.unwrap(),
        1,
        "the late release spares the next"
    );
    assert_eq!(next.release().await.unwrap(), 1);
}

#[tokio::test]
async fn nobody_waits_for_a_lock_longer_than_the_bound() {
    let redis = Redis::start().await;
    let ids = wallets(1);
    let holder = owner(&redis.address(), SOON);
    let _lease = holder.acquire(&ids).await.unwrap();
    let wait = Duration::from_millis(50);
    let began = Instant::now();
    assert!(owner(&redis.address(), wait).acquire(&ids).await.is_none());
    let waited = began.elapsed();
    assert!(
        waited >= wait && waited < Duration::from_secs(5),
        "{waited:?}"
    );
    // What never expires is not waited for at all.
    let () = redis.ask(&["SET", &at(&ids[0]), "garbage"]).await;
    assert!(owner(&redis.address(), SOON).acquire(&ids).await.is_some());
}

#[tokio::test]
async fn without_redis_nothing_is_locked_and_nobody_waits_long() {
    let mut redis = Redis::start().await;
    let locks = owner_within(&redis.address(), PATIENCE, Duration::from_secs(1));
    let ids = wallets(1);
    let lease = locks.acquire(&ids).await;
    assert!(lease.is_some());
    redis.freeze();
    let began = Instant::now();
    for _ in 0..100 {
        assert!(locks.acquire(&ids).await.is_none());
    }
    // Five are tried; then Redis is left alone.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    redis.thaw();
    redis.stop().await;
    assert!(
        owner(&redis.address(), PATIENCE)
            .acquire(&ids)
            .await
            .is_none()
    );
}

struct Scene {
    database: TestDatabase,
    redis: Redis,
    settings: Settings,
}

impl Scene {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        for (address, min_balance) in [("world", None), ("shop", Some(0)), ("fees", Some(0))] {
            wallet(database.pool(), &ledger, address, "NGN", min_balance).await;
        }
        let redis = Redis::start().await;
        let settings = Settings::new(database.url())
            .with("REDIS_ADDRESS", &redis.address())
            .with("LOCKING", "redis")
            .with("LOCK_LEASE_MS", "300");
        Self {
            database,
            redis,
            settings,
        }
    }

    async fn balance(&self, address: &str) -> i64 {
        let ledger = main_ledger(self.database.pool()).await;
        let wallet = read_wallet(self.database.pool(), &ledger, address, "NGN").await;
        wallet.balance
    }

    /// How many locks are held.
    async fn locked(&self) -> usize {
        let keys: Vec<String> = self.redis.ask(&["KEYS", "lock:wallet:*"]).await;
        keys.len()
    }

    async fn until_locked(&self, count: usize) {
        let began = Instant::now();
        while self.locked().await != count {
            assert!(began.elapsed() < PATIENCE, "{} locks", self.locked().await);
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_intact(&self) {
        let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
            .env_clear()
            .env("DATABASE_URL", self.database.url())
            .args(["ledger", "verify"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

/// Posts one naira from the world to the shop, until the answer is not to send it again: the
/// answer's status, and the transaction.
async fn post(address: String, key: String) -> (u16, Value) {
    let body = json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 1});
    let url = format!("http://{address}/v1/ledgers/main/transfers");
    let (client, began) = (reqwest::Client::new(), Instant::now());
    loop {
        let request = client.post(&url).header("Idempotency-Key", &*key);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap();
        // Others were in the way for too long, or the mark that such a request left is still there.
        let once_more = ["contended", "idempotency_key_in_flight"].map(Value::from);
        if once_more.contains(&answer["code"]) && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        return (status, answer["transaction_id"].clone());
    }
}

fn poster(daemon: &Daemon, key: &str) -> impl Future<Output = (u16, Value)> + use<> {
    post(daemon.address.clone(), key.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_pauses_beyond_its_lease_does_no_harm() {
    let scene = Scene::new().await;
    let (paused, other) = (scene.settings.start().await, scene.settings.start().await);
    assert_eq!(poster(&paused, "first").await.0, 201);
    scene.until_locked(0).await;
    // Its batch gets the locks and waits for the rows.
    let mut somebody = scene.database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM wallets FOR UPDATE")
        .execute(&mut *somebody)
        .await
        .unwrap();
    let late = tokio::spawn(poster(&paused, "late"));
    scene.database.wait_until_blocked().await;
    paused.freeze();
    scene.until_locked(0).await;
    somebody.rollback().await.unwrap();

    let mut answers = vec![poster(&other, "other-0").await];
    for n in 1..20 {
        answers.push(poster(&other, &format!("other-{n}")).await);
    }
    paused.thaw();
    answers.push(late.await.unwrap());
    answers.push(poster(&paused, "after").await);
    answers
        .iter()
        .for_each(|(status, _)| assert_eq!(*status, 201));
    assert_eq!(scene.balance("shop").await, 1 + 20 + 1 + 1);
    scene.is_intact();
}

/// It has decided on what the wallets held before its pause, and goes on to write.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_pauses_before_it_writes_decides_anew() {
    let scene = Scene::new().await;
    let stopping = scene.settings.clone();
    let stopping = stopping.with("AEGIS_FAILPOINTS", "posting.commits=stop@2");
    let (mut paused, other) = (stopping.start().await, scene.settings.start().await);
    assert_eq!(poster(&paused, "first").await.0, 201);
    scene.until_locked(0).await;
    let late = tokio::spawn(poster(&paused, "late"));
    paused.logged("a fail point is reached").await;
    scene.until_locked(0).await;
    for n in 0..20 {
        assert_eq!(poster(&other, &format!("other-{n}")).await.0, 201);
    }
    assert!(!late.is_finished());
    paused.thaw();
    assert_eq!(late.await.unwrap().0, 201);
    assert_eq!(scene.balance("shop").await, 1 + 20 + 1);
    scene.is_intact();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_post_everything_once_whatever_redis_does() {
    let mut scene = Scene::new().await;
    let daemons = [scene.settings.start().await, scene.settings.start().await];
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let address = daemons[client % 2].address.clone();
        clients.spawn(async move {
            let mut ids = Vec::new();
            for n in 0..40 {
                let (status, id) = post(address.clone(), format!("{client}-{n}")).await;
                assert_eq!(status, 201);
                ids.push(id.to_string());
            }
            ids
        });
    }
    scene.until_posted(40).await;
    let () = scene.redis.ask(&["FLUSHALL"]).await;
    scene.until_posted(100).await;
    scene.redis.freeze();
    scene.until_posted(180).await;
    scene.redis.thaw();
    scene.redis.stop().await;
    let mut ids: Vec<String> = clients.join_all().await.concat();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 320);
    assert_eq!(scene.balance("shop").await, 320);
    scene.is_intact();
}

impl Scene {
    async fn until_posted(&self, count: i64) {
        let began = Instant::now();
        while self.balance("shop").await < count {
            assert!(began.elapsed() < PATIENCE, "they are stuck");
            sleep(Duration::from_millis(5)).await;
        }
    }
}
