//! Random streams of commands: the engine and a plain model in memory give the same outcomes, the
//! same rejections and the same balances, whatever the batches are.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

mod common;

use std::collections::{BTreeMap, HashMap};

use aegis::engine::{Engine, Request};
use aegis::ledger::{Command, Details, Ledger, LegDraft};
use aegis::postgres::ledgers;
use common::TestDatabase;
use common::cases::cases;
use common::ledger::{read_wallet, verdict, wallet};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Address, currency, minimum balance. `frozen` is frozen, `rich` stands near the end of the range.
const WALLETS: [(&str, &str, Option<i64>); 7] = [
    ("world", "NGN", None),
    ("world", "JPY", None),
    ("shop:a", "NGN", Some(0)),
    ("shop:b", "NGN", Some(-50)),
    ("shop:b", "JPY", Some(0)),
    ("frozen", "NGN", None),
    ("rich", "NGN", None),
];
const ADDRESSES: [&str; 6] = ["world", "shop:a", "shop:b", "frozen", "rich", "nobody"];
const CURRENCIES: [&str; 3] = ["NGN", "JPY", "XXX"];

#[derive(Clone, Debug)]
struct Ask {
    key: u8,
    legs: Vec<(usize, usize, i64)>,
    transfer: bool,
}

#[derive(Clone, Debug)]
struct Group {
    atomic: bool,
    asks: Vec<Ask>,
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => 1_i64..120,
        1 => Just(0),
        1 => -5_i64..0,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let wallet = || 0..ADDRESSES.len();
    // Most often the one that most wallets are in.
    let currency = || prop_oneof![2 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    let transfer = (wallet(), wallet(), currency(), amount()).prop_map(|(from, to, c, amount)| {
        (
            true,
            vec![(from, c, amount.wrapping_neg()), (to, c, amount)],
        )
    });
    let journal =
        proptest::collection::vec((wallet(), currency(), amount()), 0..4).prop_map(|mut legs| {
            // Most journals balance: the last leg makes up for the others.
            if let Some((_, c, _)) = legs.first().copied() {
                let sum = legs.iter().fold(0_i64, |sum, leg| sum.wrapping_add(leg.2));
                legs.push(((sum.unsigned_abs() % 6) as usize, c, sum.wrapping_neg()));
            }
            (false, legs)
        });
    // Few keys, so that they come again, with the same request and with others.
    (0_u8..40, prop_oneof![4 => transfer, 1 => journal]).prop_map(|(key, (transfer, legs))| Ask {
        key,
        legs,
        transfer,
    })
}

fn stream() -> impl Strategy<Value = Vec<Vec<Group>>> {
    let group = (
        proptest::bool::weighted(0.3),
        proptest::collection::vec(ask(), 1..5),
    )
        .prop_map(|(atomic, asks)| Group { atomic, asks });
    proptest::collection::vec(proptest::collection::vec(group, 1..6), 1..8)
}

impl Ask {
    fn drafts(&self) -> Vec<LegDraft> {
        self.legs
            .iter()
            .map(|(wallet, currency, amount)| LegDraft {
                wallet: ADDRESSES[*wallet].parse().unwrap(),
                currency: CURRENCIES[*currency].to_owned(),
                amount: *amount,
            })
            .collect()
    }

    fn command(&self) -> Command {
        let key = format!("key-{}", self.key).parse().unwrap();
        if self.transfer {
            let (from, to) = (&self.legs[0], &self.legs[1]);
            Command::transfer(
                key,
                ADDRESSES[from.0].parse().unwrap(),
                ADDRESSES[to.0].parse().unwrap(),
                CURRENCIES[to.1],
                to.2,
                Details::default(),
            )
        } else {
            Command::journal(key, &self.drafts(), Details::default())
        }
    }
}

/// Enough commands for the way by COPY.
const PADDING: usize = 1_100;

/// 1 NGN from `world` to `shop:a` and back again, where the balances allow it.
fn pad(i: usize) -> Ask {
    let (from, to) = if i.is_multiple_of(2) { (0, 1) } else { (1, 0) };
    Ask {
        key: 0,
        legs: vec![(from, 0, -1), (to, 0, 1)],
        transfer: true,
    }
}

/// Transfer or journal, and its legs.
type Asked = (bool, Vec<(usize, usize, i64)>);

#[derive(Clone)]
struct Model {
    balances: BTreeMap<(&'static str, &'static str), i64>,
    keys: HashMap<u8, Asked>,
}

impl Model {
    fn new(rich: i64) -> Self {
        let mut balances: BTreeMap<_, _> = WALLETS
            .iter()
            .map(|(address, currency, _)| ((*address, *currency), 0))
            .collect();
        balances.insert(("rich", "NGN"), rich);
        balances.insert(("world", "NGN"), -rich);
        Self {
            balances,
            keys: HashMap::new(),
        }
    }

    fn group(&mut self, group: &Group) -> Vec<&'static str> {
        let before = self.clone();
        let mut verdicts = Vec::new();
        for (n, ask) in group.asks.iter().enumerate() {
            let verdict = self.ask(ask);
            if group.atomic && !matches!(verdict, "posted" | "replayed") {
                *self = before;
                // What took effect earlier did, whatever comes of the rest.
                verdicts = group.asks.iter().map(|ask| self.repeats(ask)).collect();
                verdicts[n] = verdict;
                return verdicts;
            }
            verdicts.push(verdict);
        }
        verdicts
    }

    fn repeats(&self, ask: &Ask) -> &'static str {
        match self.keys.get(&ask.key) {
            Some(first) if *first == (ask.transfer, ask.legs.clone()) => "replayed",
            _ => "batch_rejected",
        }
    }

    fn ask(&mut self, ask: &Ask) -> &'static str {
        if let Some(first) = self.keys.get(&ask.key) {
            let same = *first == (ask.transfer, ask.legs.clone());
            return if same {
                "replayed"
            } else {
                "idempotency_key_reused"
            };
        }
        let verdict = self.fresh(ask);
        if verdict == "posted" {
            self.keys.insert(ask.key, (ask.transfer, ask.legs.clone()));
        }
        verdict
    }

    /// What comes of a request under a key that was never used.
    fn fresh(&mut self, ask: &Ask) -> &'static str {
        if let Some(code) = self.refuses(ask) {
            return code;
        }
        for (wallet, currency, amount) in &ask.legs {
            *self
                .balances
                .get_mut(&(ADDRESSES[*wallet], CURRENCIES[*currency]))
                .unwrap() += amount;
        }
        "posted"
    }

    /// The rules, in the documented order, one after the other.
    fn refuses(&self, ask: &Ask) -> Option<&'static str> {
        let legs: Vec<_> = ask
            .legs
            .iter()
            .map(|(wallet, currency, amount)| (ADDRESSES[*wallet], CURRENCIES[*currency], *amount))
            .collect();
        if ask.transfer && legs[1].2 <= 0 || legs.iter().any(|leg| leg.2 == 0) {
            return Some("amount_not_positive");
        }
        if legs.iter().any(|leg| leg.2 == i64::MIN) {
            return Some("amount_too_large");
        }
        let repeats = |n: usize| {
            legs[..n]
                .iter()
                .any(|l| (l.0, l.1) == (legs[n].0, legs[n].1))
        };
        if (0..legs.len()).any(repeats) {
            return Some("same_wallet");
        }
        if legs.iter().any(|leg| leg.1 == "XXX") {
            return Some("currency_unknown");
        }
        let sum = |currency: &str| -> i128 {
            legs.iter()
                .filter(|leg| leg.1 == currency)
                .map(|leg| i128::from(leg.2))
                .sum()
        };
        if legs.len() < 2 || sum("NGN") != 0 || sum("JPY") != 0 {
            return Some("unbalanced");
        }
        let known = |leg: &(&str, &str, i64)| WALLETS.iter().any(|w| (w.0, w.1) == (leg.0, leg.1));
        let address_known = |leg: &(&str, &str, i64)| WALLETS.iter().any(|w| w.0 == leg.0);
        if !legs.iter().all(address_known) {
            return Some("wallet_not_found");
        }
        if !legs.iter().all(known) {
            return Some("currency_mismatch");
        }
        if legs.iter().any(|leg| leg.0 == "frozen") {
            return Some("wallet_frozen");
        }
        for (address, currency, amount) in &legs {
            let min = WALLETS
                .iter()
                .find(|w| (w.0, w.1) == (*address, *currency))
                .unwrap()
                .2;
            let after = i128::from(self.balances[&(*address, *currency)]) + i128::from(*amount);
            if *amount < 0 && min.is_some_and(|min| after < i128::from(min)) {
                return Some("insufficient_funds");
            }
        }
        for (address, currency, amount) in &legs {
            if self.balances[&(*address, *currency)]
                .checked_add(*amount)
                .is_none()
            {
                return Some("balance_overflow");
            }
        }
        None
    }
}

struct Subject {
    database: TestDatabase,
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    cases: std::cell::Cell<u32>,
}

impl Subject {
    async fn fresh_ledger(&self, rich: i64) -> Ledger {
        self.cases.set(self.cases.get() + 1);
        let name = format!("case-{}", self.cases.get()).parse().unwrap();
        let mut conn = self.database.pool().acquire().await.unwrap();
        let ledger = ledgers::create(&mut conn, &name).await.unwrap().0;
        for (address, currency, min_balance) in WALLETS {
            wallet(
                self.database.pool(),
                &ledger,
                address,
                currency,
                min_balance,
            )
            .await;
        }
        let enrich = common::ledger::transfer("enrich", "world", "rich", rich);
        common::ledger::post(&self.engine, &ledger, enrich).await;
        sqlx::query("UPDATE wallets SET status = 'frozen' WHERE address = 'frozen'")
            .execute(&mut *conn)
            .await
            .unwrap();
        ledger
    }

    async fn run(&self, batches: &[Vec<Group>], large: bool) {
        let rich = i64::MAX - 200;
        let ledger = self.fresh_ledger(rich).await;
        let mut model = Model::new(rich);
        for (n, groups) in batches.iter().enumerate() {
            let mut requests: Vec<Request> = groups
                .iter()
                .map(|group| Request {
                    commands: group.asks.iter().map(Ask::command).collect(),
                    atomic: group.atomic,
                })
                .collect();
            let padding: Vec<Ask> = (0..if large { PADDING } else { 0 }).map(pad).collect();
            let commands = padding.iter().enumerate().map(|(i, ask)| {
                let [from, to] = [0, 1].map(|leg: usize| ADDRESSES[ask.legs[leg].0]);
                common::ledger::transfer(&format!("pad-{n}-{i}"), from, to, 1)
            });
            requests.push(Request::independent(commands.collect()));
            let outcomes = self.engine.post(&ledger, &requests).await.unwrap();
            for (group, outcomes) in groups.iter().zip(&outcomes) {
                let real: Vec<_> = outcomes.iter().map(verdict).collect();
                assert_eq!(real, model.group(group), "{group:?}");
            }
            for (ask, outcome) in padding.iter().zip(&outcomes[groups.len()]) {
                assert_eq!(verdict(outcome), model.fresh(ask), "{ask:?}");
            }
        }
        for ((address, currency), balance) in &model.balances {
            let wallet = read_wallet(self.database.pool(), &ledger, address, currency).await;
            assert_eq!(wallet.balance, *balance, "{address} {currency}");
        }
    }
}

fn hold(short: u32, large: bool) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::create());
    let engine = Engine::new(&database.settings(), "aegis.transactions");
    let subject = Subject {
        database,
        engine,
        runtime,
        cases: std::cell::Cell::new(0),
    };
    let config = Config {
        cases: cases(short),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&stream(), |batches| {
            subject.runtime.block_on(subject.run(&batches, large));
            Ok(())
        })
        .unwrap();
    let Subject {
        database, runtime, ..
    } = subject;
    drop(database);
    drop(runtime);
}

#[test]
fn small_batches_do_what_the_model_does() {
    hold(60, false);
}

#[test]
fn large_batches_do_what_the_model_does() {
    hold(6, true);
}
