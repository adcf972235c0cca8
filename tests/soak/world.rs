//! An aegisd with a PostgreSQL, a Kafka and a Redis of the test's own, a PSP that fails at random,
//! wallets, and merchants with funds.

use std::sync::Arc;
use std::time::Duration;

use aegis::config::Secret;
use aegis::ledger::{Currency, Ledger};
use aegis::psp::{Paystack, PaystackOptions, Psp as _};
use aegis::simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::caller::{Answer, Caller, Tally};
use crate::common::ledger::{main_ledger, wallet};
use crate::common::paystack::account_of;
use crate::faults::Servers;
use crate::support::broker::Broker;
use crate::support::daemon::{Daemon, Settings};
use crate::support::port::free_port;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;
use crate::support::topic::DaemonTopic;

const KEY: &str = "sk_test_soak";
/// The outside world, which may go negative.
pub(crate) const WORLD: &str = "world";
/// In every third transfer.
pub(crate) const HOT: &str = "hot";
pub(crate) const SHOPS: usize = 40;
pub(crate) const MERCHANTS: usize = 8;
/// What each merchant has to pay out, before any of its payments has matured.
const FUNDS: i64 = 1_000_000_000;

/// What goes wrong at the PSP all the time. Webhooks are sent until they are taken: what comes back
/// after it had arrived is told by them alone.
const RATES: [&str; 13] = [
    "timeout=1%",
    "server-error=2%",
    "cut=1%",
    "garbage=1%",
    "lost=1%",
    "rate-limit=1%",
    "slow=1%",
    "early=3%",
    "duplicate=10%",
    "reorder=5%",
    "forged=3%",
    "failed=3%",
    "reversed=2%",
];

pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) topic: DaemonTopic,
    pub(crate) ledger: Ledger,
    /// Of the database.
    pub(crate) url: String,
    pub(crate) tally: Arc<Tally>,
}

impl World {
    pub(crate) async fn new(seed: u64, load: Duration) -> (Self, Servers) {
        let (postgres, redis) = (Postgres::start().await, Redis::start().await);
        let broker = Broker::start().await;
        let topic = DaemonTopic::on(&broker.address).await;
        let url = postgres.url();
        let pool = postgres.migrated().await;
        let port = free_port();
        let daemon = settings(&url, &topic, &redis, port).start().await;
        let simulator = simulator(seed, port, &daemon.address).await;
        let ledger = main_ledger(&pool).await;
        wallet(&pool, &ledger, WORLD, "NGN", None).await;
        wallet(&pool, &ledger, HOT, "NGN", Some(0)).await;
        for shop in 0..SHOPS {
            wallet(&pool, &ledger, &format!("shop:{shop}"), "NGN", Some(0)).await;
        }
        pool.close().await;
        let tally = Arc::<Tally>::default();
        let (address, stop) = (&daemon.address, CancellationToken::new());
        let mut caller = Caller::new("made".to_owned(), address, Arc::clone(&tally), stop, seed);
        for number in 0..MERCHANTS {
            let recipient = recipient(&simulator).await;
            merchant(&mut caller, number, terms(&recipient, number, load)).await;
        }
        let servers = Servers {
            postgres,
            broker,
            redis,
        };
        let world = Self {
            daemon,
            simulator: Arc::new(simulator),
            topic,
            ledger,
            url,
            tally,
        };
        (world, servers)
    }

    /// A connection that is not the daemon's.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("PostgreSQL answers")
    }
}

fn settings(url: &str, topic: &DaemonTopic, redis: &Redis, psp: u16) -> Settings {
    Settings::new(url)
        .with_kafka(&topic.brokers, &topic.name)
        .with("REDIS_ADDRESS", &redis.address())
        .with("LOCKING", "redis")
        .with("PAYSTACK_SECRET_KEY", KEY)
        .with("PAYSTACK_BASE_URL", &format!("http://127.0.0.1:{psp}"))
        // What takes minutes comes round often.
        .with("PAYSTACK_TIMEOUT_MS", "1000")
        .with("BREAKER_OPEN_MS", "1000")
        .with("BACKOFF_FIRST_MS", "200")
        .with("PAYMENTS_ASK_AFTER_MS", "2000")
        .with("PAYMENTS_ABANDON_AFTER_MS", "10000")
        .with("PAYOUTS_SETTLING_MS", "3000")
        .with("PAYOUTS_ASK_EVERY_MS", "1000")
        .with("REFUNDS_SETTLING_MS", "10000")
        .with("REFUNDS_ASK_EVERY_MS", "1000")
        .with("SETTLEMENT_EVERY_MS", "2000")
        .with("PAYOUT_RUN_CALLS_PER_SECOND", "50")
        .with("CONSUMER_REMEMBERED_MS", "60000")
}

async fn simulator(seed: u64, port: u16, daemon: &str) -> Simulator {
    let mut options = SimulatorOptions::new(Secret::new(KEY));
    options.listen = format!("127.0.0.1:{port}").parse().unwrap();
    options.webhook_url = Some(format!("http://{daemon}/v1/webhooks/paystack"));
    options.webhook_retries = vec![Duration::from_millis(500); 240];
    let funds = FUNDS * i64::try_from(MERCHANTS).unwrap();
    options.balances = vec![(ngn(), funds)];
    options.rates = RATES.iter().map(|rate| rate.parse().unwrap()).collect();
    options.seed = seed;
    options.settle_after = Some(Duration::from_millis(200));
    options.pay_after = Some(Duration::from_millis(300));
    options.late = Duration::from_millis(1_500);
    Simulator::start(options).await.unwrap()
}

async fn recipient(simulator: &Simulator) -> String {
    let mut options = PaystackOptions::new(Secret::new(KEY));
    options.base_url = simulator.base_url();
    let psp = Paystack::new(options).unwrap();
    let recipient = account_of("Somebody");
    loop {
        // The PSP fails in this, too.
        if let Ok(made) = psp.create_recipient(&recipient).await {
            return made.code;
        }
    }
}

/// T+0, the days of the merchants ending one after another while the load is on.
fn terms(recipient: &str, number: usize, load: Duration) -> Value {
    let share = load * u32::try_from(number).unwrap() / u32::try_from(MERCHANTS).unwrap();
    let end = OffsetDateTime::now_utc() + Duration::from_secs(60) + share;
    let cut_off = format!("{:02}:{:02}", end.hour(), end.minute());
    json!({
        "fee": {"basis_points": 150, "fixed": 100},
        "settlement": {
            "days": 0, "calendar": "calendar", "time_zone": "UTC", "cut_off": cut_off,
        },
        "payout": {"minimum": 1_000, "schedule": "manual", "recipient": recipient},
        "refund": {"fee": "returned", "below_zero_max": 1_000_000},
    })
}

/// Makes a merchant, with money that lies at the PSP.
async fn merchant(caller: &mut Caller, number: usize, terms: Value) {
    let id = format!("m{number}");
    let new = json!({"id": id, "name": id, "currency": "NGN", "terms": terms});
    let made = caller.ask("merchants", &id, &new).await;
    assert!(matches!(made, Answer::Done { .. }), "{made:?}");
    let funds = json!({
        "source": "psp:paystack", "destination": format!("merchant:{id}:available"),
        "currency": "NGN", "amount": FUNDS,
    });
    let funded = caller
        .ask("transfers", &format!("funds-{id}"), &funds)
        .await;
    assert!(matches!(funded, Answer::Done { .. }), "{funded:?}");
}

pub(crate) fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}
