//! The connection to PostgreSQL cut in the very moment in which work becomes durable.

use std::collections::HashMap;
use std::time::Duration;

use aegis::engine::{Engine, PostError, Request};
use aegis::ledger::{Command, Ledger, Outcome};
use aegis::postgres::Settings;
use fastrand::Rng;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::check::assert_ledger_is_sound;
use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, post, transfer, verdict, wallet};
use crate::support::wire::{Chance, Cut, Wire};
use crate::{rounds, seed};

const TOPIC: &str = "aegis.transactions";
const SHOPS: [&str; 3] = ["shop:a", "shop:b", "shop:c"];

/// An engine that reaches its database through a wire that can be cut.
struct Lane {
    engine: Engine,
    wire: Wire,
}

async fn furnished() -> (TestDatabase, Ledger) {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    for shop in SHOPS {
        wallet(database.pool(), &ledger, shop, "NGN", Some(0)).await;
    }
    (database, ledger)
}

impl Lane {
    async fn to(database: &TestDatabase, chance: Chance) -> Self {
        let direct = database.settings().options;
        let server = format!("{}:{}", direct.get_host(), direct.get_port());
        let wire = Wire::before(&server, chance).await;
        let url = database.url().replace(&server, &wire.address);
        let mut settings = Settings::from_url(&url).unwrap();
        // The wire reads along.
        settings.options = settings
            .options
            .ssl_mode(sqlx::postgres::PgSslMode::Disable);
        Self {
            engine: Engine::new(&settings, TOPIC),
            wire,
        }
    }
}

/// What a lane was told, key by key.
#[derive(Default)]
struct Told {
    /// The transaction, with its amount.
    posted: HashMap<String, (Uuid, i64)>,
    /// One of them now and then, to be sent again.
    sent: Vec<(Command, i64)>,
    rejected: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_around_its_commit_never_makes_an_answer_wrong() {
    let seed = seed();
    let (database, ledger) = furnished().await;
    let mut lanes = Vec::new();
    let mut told = Vec::new();
    for n in 0..3 {
        let mut rng = Rng::with_seed(seed.wrapping_add(n));
        let lane = Lane::to(&database, cuts_by(rng.fork(), 8)).await;
        let ledger = ledger.clone();
        lanes.push(tokio::spawn(async move {
            let told = post_through(&lane.engine, &ledger, n, &mut rng).await;
            (told, lane.wire.cuts())
        }));
    }
    let mut cuts: HashMap<&str, usize> = HashMap::new();
    for lane in lanes {
        let (lane, cut) = lane.await.unwrap();
        told.push(lane);
        for cut in cut {
            *cuts.entry(name_of(cut)).or_default() += 1;
        }
    }
    eprintln!("{cuts:?}");
    assert_eq!(cuts.len(), 4, "every kind of cut took place: {cuts:?}");
    assert_told_the_truth(&database, &told).await;
}

/// So many in twenty commits are cut, in any of the four ways.
pub(crate) fn cuts_by(mut rng: Rng, in_twenty: u8) -> Chance {
    Box::new(move || {
        if rng.u8(..20) >= in_twenty {
            return None;
        }
        Some(match rng.u8(..4) {
            0 => Cut::Before,
            1 => Cut::During,
            2 => Cut::Late(Duration::from_millis(rng.u64(..600))),
            _ => Cut::After,
        })
    })
}

pub(crate) fn name_of(cut: Cut) -> &'static str {
    match cut {
        Cut::Before => "before",
        Cut::During => "during",
        Cut::Late(_) => "late",
        Cut::After => "after",
    }
}

/// Posts batches one after the other, and holds each answer against what was told before.
async fn post_through(engine: &Engine, ledger: &Ledger, lane: u64, rng: &mut Rng) -> Told {
    let mut told = Told::default();
    for n in 0..rounds(40) {
        let mut commands: Vec<(Command, i64)> = (0..rng.usize(1..6))
            .map(|c| draft(&format!("{lane}-{n}-{c}"), rng))
            .collect();
        // Now and then one from before, as a client that lost its answer.
        let again = told
            .sent
            .len()
            .checked_sub(1)
            .map(|last| rng.usize(..=last));
        if let Some(again) = again.filter(|_| rng.u8(..4) == 0) {
            commands.push(told.sent[again].clone());
        }
        let open = &mut false;
        let outcomes = post_until_known(engine, ledger, &commands, open).await;
        for ((command, amount), outcome) in commands.into_iter().zip(outcomes) {
            if told.hear(command.key.as_str(), amount, outcome, *open) {
                told.sent.push((command, amount));
            }
        }
    }
    told
}

fn draft(key: &str, rng: &mut Rng) -> (Command, i64) {
    let amount = rng.i64(1..100);
    let command = match rng.u8(..3) {
        0 => transfer(key, SHOPS[1], SHOPS[2], amount),
        1 => transfer(key, "world", SHOPS[1], amount),
        _ => transfer(key, "world", SHOPS[0], amount),
    };
    (command, amount)
}

/// Asks again where the engine says that it doesn't know; `open` tells that it had to.
async fn post_until_known(
    engine: &Engine,
    ledger: &Ledger,
    commands: &[(Command, i64)],
    open: &mut bool,
) -> Vec<Outcome> {
    let commands: Vec<Command> = commands
        .iter()
        .map(|(command, _)| command.clone())
        .collect();
    let request = [Request::independent(commands)];
    loop {
        match engine.post(ledger, &request).await {
            Ok(outcomes) => return outcomes.into_iter().flatten().collect(),
            Err(PostError::Unavailable { .. }) => *open = true,
            // Nothing took effect: the next answer must not be that it had.
            Err(PostError::Contended { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl Told {
    /// Whether it was posted now.
    fn hear(&mut self, key: &str, amount: i64, outcome: Outcome, open: bool) -> bool {
        match outcome {
            Outcome::Posted(receipt) => {
                let before = self
                    .posted
                    .insert(key.to_owned(), (receipt.transaction_id, amount));
                assert!(before.is_none(), "{key} was posted twice");
                return true;
            }
            Outcome::Replayed(receipt) => match self.posted.get(key) {
                Some((id, _)) => assert_eq!(*id, receipt.transaction_id),
                None => {
                    assert!(open, "{key} had never been asked for");
                    self.posted
                        .insert(key.to_owned(), (receipt.transaction_id, amount));
                }
            },
            Outcome::Rejected(rejection) => {
                assert_eq!(rejection.code.as_str(), "insufficient_funds", "{key}");
                self.rejected.push(key.to_owned());
            }
        }
        false
    }
}

async fn assert_told_the_truth(database: &TestDatabase, told: &[Told]) {
    let mut conn = PgConnection::connect(database.url()).await.unwrap();
    let there: Vec<(String, Uuid, i64)> = sqlx::query_as(
        "SELECT t.idempotency_key, t.id, e.amount FROM transactions t
         JOIN ledger_entries e ON e.transaction_id = t.id AND e.amount > 0",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let posted: HashMap<_, _> = told.iter().flat_map(|told| told.posted.clone()).collect();
    for (key, id, amount) in &there {
        assert_eq!(posted.get(key), Some(&(*id, *amount)), "{key}");
    }
    assert_eq!(there.len(), posted.len(), "what was told is there");
    let rejected = told.iter().flat_map(|told| &told.rejected);
    for key in rejected {
        assert!(!there.iter().any(|(there, ..)| there == key), "{key}");
    }
    assert_ledger_is_sound(&mut conn).await;
    let events: i64 = sqlx::query_scalar("SELECT count(DISTINCT event_id) FROM transaction_outbox")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(usize::try_from(events).unwrap(), there.len());
}

#[tokio::test]
async fn an_outcome_that_was_left_open_is_never_told_as_a_failure() {
    let (database, ledger) = furnished().await;
    let lane = Lane::to(&database, Box::new(|| None)).await;
    let first = post(&lane.engine, &ledger, transfer("a", "world", "shop:a", 1)).await;
    assert_eq!(verdict(&first), "posted");
    // The server commits, its answer is lost, and where the engine comes back to nothing works:
    // new sessions find no table.
    let name = database
        .settings()
        .options
        .get_database()
        .unwrap()
        .to_owned();
    sqlx::query(AssertSqlSafe(format!(
        "ALTER DATABASE {name} SET search_path = nowhere"
    )))
    .execute(database.pool())
    .await
    .unwrap();
    let mut once = Some(Cut::After);
    lane.wire.decide_by(Box::new(move || once.take()));
    let request = [Request::one(transfer("b", "world", "shop:a", 2))];
    let told = lane.engine.post(&ledger, &request).await;
    assert_eq!(lane.wire.cuts(), [Cut::After]);
    assert_eq!(count_of(&database, "b").await, 1);
    assert!(
        matches!(told, Err(PostError::Unavailable { .. })),
        "it took effect, and the caller was told: {told:?}"
    );
}

#[tokio::test]
async fn what_can_not_be_answered_is_not_written() {
    let (database, ledger) = furnished().await;
    let old = transfer("old", "world", "shop:a", 1);
    // As a later program might have written it.
    sqlx::query(
        "INSERT INTO transactions (ledger_id, id, idempotency_key, request_hash, kind, entry_count,
                                   effective_at, recorded_at)
         VALUES ($1, gen_random_uuid(), 'old', $2, 'unheard-of', 2, now(), now())",
    )
    .bind(ledger.id)
    .bind(&old.request_hash[..])
    .execute(database.pool())
    .await
    .unwrap();
    let engine = Engine::new(&database.settings(), TOPIC);
    let new = transfer("new", "world", "shop:a", 2);
    let told = engine
        .post(&ledger, &[Request::independent(vec![new, old])])
        .await;
    assert!(matches!(told, Err(PostError::Database(_))), "{told:?}");
    assert_eq!(count_of(&database, "new").await, 0, "told as a failure");
}

async fn count_of(database: &TestDatabase, key: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM transactions WHERE idempotency_key = $1")
        .bind(key)
        .fetch_one(database.pool())
        .await
        .unwrap()
}
