//! What must hold once the dust has settled, checked by other means than the program's own.

use std::collections::{HashMap, HashSet};
use std::fmt;

use aegis::ledger::{ChainLink, Currency, Hash, chain_start};
use aegis::verify::{self, Options, Progress};
use sqlx::{PgConnection, Row as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::events::told;
use crate::scene::Scene;
use crate::seen::{Fate, Log, Sent};

/// All of it: the answers, the ledger, the events. What was found on the way.
pub(crate) async fn assert_all_is_well(scene: &Scene, log: &Log) -> Findings {
    let mut conn = scene.connect().await;
    let posted = posted(&mut conn).await;
    assert_answers_are_true(&posted, &log.sent);
    assert_ledger_is_sound(&mut conn).await;
    assert_chains_hold(&mut conn).await;
    assert_verified(scene).await;
    assert_eq!(scene.waiting().await, 0, "every event has left the outbox");
    let told = told(scene, &posted).await;
    Findings {
        transactions: posted.len(),
        replayed: count(log, |fate| {
            matches!(fate, Fate::Posted { replayed: true, .. })
        }),
        rejected: count(log, |fate| matches!(fate, Fate::Rejected(_))),
        repeats: told.repeats,
        letters: told.letters,
    }
}

fn count(log: &Log, is: impl Fn(&Fate) -> bool) -> usize {
    log.sent.iter().filter(|sent| is(&sent.fate)).count()
}

/// How much a run has seen.
pub(crate) struct Findings {
    /// In the ledger.
    pub(crate) transactions: usize,
    /// Of these, known by an answer to a repeat.
    pub(crate) replayed: usize,
    /// Refused by a rule.
    rejected: usize,
    /// Events that arrived again.
    pub(crate) repeats: usize,
    /// Dead letters, with those that arrived again.
    pub(crate) letters: usize,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            transactions,
            replayed,
            rejected,
            repeats,
            letters,
        } = self;
        write!(
            f,
            "{transactions} transactions, {replayed} known by a repeat; {rejected} rejected; \
             {repeats} events arrived again; {letters} dead letters"
        )
    }
}

/// A transaction as it stands in the ledger: its id, and its entries by address.
pub(crate) struct Posted {
    pub(crate) id: Uuid,
    entries: Vec<(String, i64)>,
}

async fn posted(conn: &mut PgConnection) -> HashMap<String, Posted> {
    let rows = sqlx::query(
        "SELECT t.idempotency_key, t.id, w.address::text AS address, e.amount
         FROM transactions t
         JOIN ledger_entries e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
         JOIN wallets w ON w.ledger_id = e.ledger_id AND w.id = e.wallet_id
         ORDER BY t.id, e.amount",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    let mut posted: HashMap<String, Posted> = HashMap::new();
    for row in rows {
        let transaction = posted
            .entry(row.get("idempotency_key"))
            .or_insert_with(|| Posted {
                id: row.get("id"),
                entries: Vec::new(),
            });
        transaction
            .entries
            .push((row.get("address"), row.get("amount")));
    }
    posted
}

/// What was answered with a transaction is there, as it was asked for; all else is not.
fn assert_answers_are_true(posted: &HashMap<String, Posted>, sent: &[Sent]) {
    let keys: HashSet<&str> = sent.iter().map(|sent| sent.key.as_str()).collect();
    assert_eq!(keys.len(), sent.len(), "every request has its own key");
    let stranger = posted.keys().find(|key| !keys.contains(key.as_str()));
    assert_eq!(stranger, None, "nobody asked for it");
    for sent in sent {
        let found = posted.get(&sent.key);
        match &sent.fate {
            Fate::Posted { id, replayed } => {
                let found = found.unwrap_or_else(|| panic!("lost: {sent:?}"));
                assert_eq!(found.id, *id, "another transaction: {sent:?}");
                let entries = [
                    (sent.source.to_owned(), -sent.amount),
                    (sent.destination.to_owned(), sent.amount),
                ];
                assert_eq!(found.entries, entries, "not as asked for: {sent:?}");
                assert!(!replayed || sent.tries > 1, "never sent before: {sent:?}");
            }
            Fate::Rejected(code) => {
                assert!(found.is_none(), "refused and yet there: {sent:?}");
                let known = ["insufficient_funds", "batch_rejected"].contains(&&**code);
                assert!(known, "for what reason? {sent:?}");
            }
            // Whoever gave up was never heard: what was heard was answered.
            Fate::Unknown => assert!(found.is_none(), "there without an answer: {sent:?}"),
        }
    }
    assert_batches_are_whole(posted, sent);
}

fn assert_batches_are_whole(posted: &HashMap<String, Posted>, sent: &[Sent]) {
    let mut batches: HashMap<&str, bool> = HashMap::new();
    for sent in sent {
        if let Some(batch) = &sent.batch {
            let there = posted.contains_key(&sent.key);
            let whole = *batches.entry(batch).or_insert(there);
            assert_eq!(whole, there, "half of a batch: {sent:?}");
        }
    }
}

/// Each counts what must not be there.
const RULES: [(&str, &str); 7] = [
    (
        "every transaction has its two entries",
        "SELECT count(*) FROM transactions t
         WHERE entry_count <> 2
            OR (SELECT count(*) FROM ledger_entries e
                WHERE e.ledger_id = t.ledger_id AND e.transaction_id = t.id) <> 2",
    ),
    (
        "every entry has its transaction",
        "SELECT count(*) FROM ledger_entries e
         WHERE NOT EXISTS (SELECT FROM transactions t
                           WHERE t.ledger_id = e.ledger_id AND t.id = e.transaction_id)",
    ),
    (
        "the entries of a transaction sum to zero",
        "SELECT count(*) FROM (
             SELECT FROM ledger_entries GROUP BY ledger_id, transaction_id, currency
             HAVING sum(amount) <> 0
         ) unbalanced",
    ),
    (
        "a balance is the sum of its entries, and its version their number",
        "SELECT count(*) FROM wallets w
         LEFT JOIN (
             SELECT ledger_id, wallet_id, sum(amount) AS sum, count(*) AS n, max(version) AS last
             FROM ledger_entries GROUP BY ledger_id, wallet_id
         ) e ON e.ledger_id = w.ledger_id AND e.wallet_id = w.id
         WHERE (w.balance, w.version, w.version)
            <> (coalesce(e.sum, 0), coalesce(e.n, 0), coalesce(e.last, 0))",
    ),
    (
        "every balance follows from the one before",
        "SELECT count(*) FROM (
             SELECT balance_after,
                    sum(amount) OVER (PARTITION BY ledger_id, wallet_id ORDER BY version) AS sum
             FROM ledger_entries
         ) e WHERE balance_after <> sum",
    ),
    (
        "no wallet was ever below its minimum",
        "SELECT count(*) FROM ledger_entries e
         JOIN wallets w ON w.ledger_id = e.ledger_id AND w.id = e.wallet_id
         WHERE e.balance_after < w.min_balance",
    ),
    (
        "the wallets sum to zero",
        "SELECT count(*) FROM (
             SELECT FROM wallets GROUP BY ledger_id, currency HAVING sum(balance) <> 0
         ) unbalanced",
    ),
];

/// The books, by SQL.
pub(crate) async fn assert_ledger_is_sound(conn: &mut PgConnection) {
    for (rule, query) in RULES {
        let violations: i64 = sqlx::query_scalar(query)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(violations, 0, "{rule}");
    }
}

/// Every wallet's chain, entry by entry to its head.
async fn assert_chains_hold(conn: &mut PgConnection) {
    let entries = sqlx::query(
        "SELECT wallet_id, version, transaction_id, currency, amount, balance_after, hash
         FROM ledger_entries ORDER BY ledger_id, wallet_id, version",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let wallets = sqlx::query(
        "SELECT ledger_id, id, currency::text, address::text, head_hash::bytea FROM wallets",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    let mut heads: HashMap<Uuid, Hash> = HashMap::new();
    let mut expected: Vec<(Uuid, Vec<u8>)> = Vec::new();
    for row in wallets {
        let id = row.get("id");
        let start = chain_start(
            row.get("ledger_id"),
            id,
            row.get("currency"),
            row.get("address"),
        );
        heads.insert(id, start);
        expected.push((id, row.get("head_hash")));
    }
    for row in entries {
        let link = ChainLink {
            wallet_id: row.get("wallet_id"),
            version: row.get("version"),
            transaction_id: row.get("transaction_id"),
            currency: Currency::from_code(row.get("currency")).unwrap(),
            amount: row.get("amount"),
            balance_after: row.get("balance_after"),
        };
        let head = heads.get_mut(&link.wallet_id).expect("the wallet exists");
        *head = link.hash(head);
        assert_eq!(&head[..], row.get::<&[u8], _>("hash"), "{link:?}");
    }
    for (id, head_hash) in expected {
        assert_eq!(heads[&id][..], head_hash, "wallet {id}");
    }
}

/// The program's own proof agrees.
pub(crate) async fn assert_verified(scene: &Scene) {
    let report = verify::ledger(
        &scene.settings(),
        &scene.ledger,
        Options::default(),
        &Progress::default(),
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert!(report.ok, "{report:?}");
}
