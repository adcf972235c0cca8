//! Finding dead letters. Nothing here changes one.

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Postgres, Row, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::postgres::unreadable;

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody has decided yet.
    Waiting,
    /// Its message was published again.
    Replayed,
    /// Somebody gave it up.
    Discarded,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Replayed, Self::Discarded];

    /// Its name in the database and everywhere else.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// A dead letter as the index has it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its number in the index.
    pub id: i64,
    /// The topic that it lies on.
    pub topic: String,
    /// The partition there.
    pub partition: i32,
    /// The place in the partition.
    pub offset: i64,
    /// The record's value, byte for byte.
    pub letter: Vec<u8>,
    /// The topic of the message that failed.
    pub original_topic: String,
    /// The message's own id, where it had one.
    pub event_id: Option<Uuid>,
    /// The ledger that the message came from, where it came from one.
    pub ledger: Option<String>,
    /// Why it failed: a code, a colon, words for a person.
    pub error: String,
    /// How many times it was tried.
    pub retry_count: i32,
    /// When it was given up, UTC.
    pub failed_at: OffsetDateTime,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// When it was indexed, UTC.
    pub indexed_at: OffsetDateTime,
    /// What became of it.
    pub status: Status,
    /// How often the message was published again, in this life and those before.
    pub replay_count: i32,
    /// The letter of the life before.
    pub previous_id: Option<i64>,
    /// The letter of the first life.
    pub first_id: Option<i64>,
    /// When it was decided, UTC.
    pub decided_at: Option<OffsetDateTime>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why it was discarded.
    pub reason: Option<String>,
}

fn from_row(row: &PgRow) -> sqlx::Result<Letter> {
    let status: &str = row.try_get("status")?;
    Ok(Letter {
        id: row.try_get("id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        offset: row.try_get("offset")?,
        letter: row.try_get("letter")?,
        original_topic: row.try_get("original_topic")?,
        event_id: row.try_get("event_id")?,
        ledger: row.try_get("ledger")?,
        error: row.try_get("error")?,
        retry_count: row.try_get("retry_count")?,
        failed_at: row.try_get("failed_at")?,
        correlation_id: row.try_get("correlation_id")?,
        indexed_at: row.try_get("indexed_at")?,
        status: Status::from_name(status).ok_or_else(|| unreadable("letter status", status))?,
        replay_count: row.try_get("replay_count")?,
        previous_id: row.try_get("previous_id")?,
        first_id: row.try_get("first_id")?,
        decided_at: row.try_get("decided_at")?,
        decided_by: row.try_get("decided_by")?,
        reason: row.try_get("reason")?,
    })
}

fn from_rows(rows: &[PgRow]) -> sqlx::Result<Vec<Letter>> {
    rows.iter().map(from_row).collect()
}

/// Which letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that this became of.
    pub status: Option<Status>,
    /// Only those of messages on this topic.
    pub original_topic: Option<String>,
    /// Only those whose error holds this text, whatever the case of its letters.
    pub error: Option<String>,
    /// Only those that failed at this time (UTC) or later.
    pub since: Option<OffsetDateTime>,
    /// Only those of this correlation id.
    pub correlation_id: Option<String>,
    /// Only those whose message came from this ledger.
    pub ledger: Option<String>,
    /// Only those up to this one.
    pub last_id: Option<i64>,
}

/// The statement, with the status as a word of its own: only then the index of those that wait can
/// be used, which stays small while the table keeps every letter for ever.
macro_rules! select {
    ($before:literal, $status:literal, $behind:literal) => {
        concat!(
            $before,
            "SELECT * FROM dead_letters WHERE ",
            $status,
            " AND ($1::text IS NULL OR original_topic = $1)
              AND ($2::text IS NULL OR strpos(lower(error), lower($2)) > 0)
              AND ($3::timestamptz IS NULL OR failed_at >= $3)
              AND ($4::text IS NULL OR correlation_id = $4)
              AND ($5::text IS NULL OR ledger = $5)
              AND ($6::bigint IS NULL OR id <= $6)",
            $behind
        )
    };
    ($before:literal, $behind:literal; $status:expr) => {
        match $status {
            None => select!($before, "true", $behind),
            Some(Status::Waiting) => select!($before, "status = 'waiting'", $behind),
            Some(Status::Replayed) => select!($before, "status = 'replayed'", $behind),
            Some(Status::Discarded) => select!($before, "status = 'discarded'", $behind),
        }
    };
}

/// Binds what [`select`] leaves open.
macro_rules! bind {
    ($query:expr, $filter:expr) => {
        $query
            .bind($filter.original_topic.as_deref())
            .bind($filter.error.as_deref())
            .bind($filter.since)
            .bind($filter.correlation_id.as_deref())
            .bind($filter.ledger.as_deref())
            .bind($filter.last_id)
    };
}

/// A page of letters in order of their numbers, behind `after`.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<Letter>> {
    let statement = select!("", " AND id > $7 ORDER BY id LIMIT $8"; filter.status);
    let query = bind!(sqlx::query(statement), filter);
    let rows = query.bind(after).bind(limit).fetch_all(conn).await?;
    from_rows(&rows)
}

/// A letter; `None` where there is none of that number, or none of this ledger's.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    id: i64,
    ledger: Option<&str>,
) -> sqlx::Result<Option<Letter>> {
    Ok(by_ids(conn, &[id], ledger).await?.into_iter().next())
}

/// The letters of these numbers, in order.
///
/// # Errors
/// Where the database fails.
pub async fn by_ids(
    conn: &mut PgConnection,
    ids: &[i64],
    ledger: Option<&str>,
) -> sqlx::Result<Vec<Letter>> {
    let rows = sqlx::query(
        "SELECT * FROM dead_letters
         WHERE id = ANY($1) AND ($2::text IS NULL OR ledger = $2) ORDER BY id",
    )
    .bind(ids)
    .bind(ledger)
    .fetch_all(conn)
    .await?;
    from_rows(&rows)
}

/// All letters of the message of this one, its own among them, in order: the lives of the message,
/// and where several consumers gave it up those of each.
///
/// # Errors
/// Where the database fails.
pub async fn lives(conn: &mut PgConnection, letter: &Letter) -> sqlx::Result<Vec<Letter>> {
    let first = letter.first_id.unwrap_or(letter.id);
    // The event's id has an index; what has none is rare enough to be looked for.
    let statement = match letter.event_id {
        Some(_) => {
            "SELECT * FROM dead_letters WHERE event_id = $1 AND original_topic = $2
             UNION SELECT * FROM dead_letters WHERE id = $3
             ORDER BY id"
        }
        None => {
            "SELECT * FROM dead_letters
             WHERE $1::uuid IS NULL AND original_topic = $2 AND (id = $3 OR first_id = $3)
             ORDER BY id"
        }
    };
    let rows = sqlx::query(statement)
        .bind(letter.event_id)
        .bind(&letter.original_topic)
        .bind(first)
        .fetch_all(conn)
        .await?;
    from_rows(&rows)
}

/// A transaction that sees the index as it is now, however long it is read.
///
/// # Errors
/// Where the database fails.
pub async fn snapshot(conn: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
}

/// Opens the letters for [`next`], in order of their numbers, within a [`snapshot`].
///
/// # Errors
/// Where the database fails.
pub async fn open(conn: &mut PgConnection, filter: &Filter) -> sqlx::Result<()> {
    let statement = select!("DECLARE letters CURSOR FOR ", " ORDER BY id"; filter.status);
    bind!(sqlx::query(statement), filter)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The next letters of those that were opened; none at the end.
///
/// # Errors
/// Where the database fails.
pub async fn next(conn: &mut PgConnection) -> sqlx::Result<Vec<Letter>> {
    // A letter may have a megabyte.
    let rows = sqlx::query("FETCH 100 FROM letters")
        .fetch_all(conn)
        .await?;
    from_rows(&rows)
}

/// The most groups of an account.
pub const GROUPS_MAX: i64 = 1_000;

/// What there is of one error of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The topic of the messages.
    pub original_topic: String,
    /// The error's text up to the first colon.
    pub error_code: String,
    /// Letters that wait.
    pub waiting: i64,
    /// Letters that were replayed.
    pub replayed: i64,
    /// Letters that were discarded.
    pub discarded: i64,
    /// When the oldest of those that wait failed, UTC.
    pub oldest_waiting_at: Option<OffsetDateTime>,
    /// When the newest of all failed, UTC.
    pub newest_at: OffsetDateTime,
}

/// Counts the letters of a ledger, or of all, by topic and error: [`GROUPS_MAX`] groups at most,
/// those with the most that wait first.
///
/// # Errors
/// Where the database fails.
pub async fn stats(conn: &mut PgConnection, ledger: Option<&str>) -> sqlx::Result<Vec<Group>> {
    let rows = sqlx::query(
        "SELECT original_topic, left(btrim(split_part(error, ':', 1)), 80) AS error_code,
                count(*) FILTER (WHERE status = 'waiting') AS waiting,
                count(*) FILTER (WHERE status = 'replayed') AS replayed,
                count(*) FILTER (WHERE status = 'discarded') AS discarded,
                min(failed_at) FILTER (WHERE status = 'waiting') AS oldest_waiting_at,
                max(failed_at) AS newest_at
         FROM dead_letters WHERE ($1::text IS NULL OR ledger = $1)
         GROUP BY 1, 2
         ORDER BY waiting DESC, 1, 2 LIMIT $2",
    )
    .bind(ledger)
    .bind(GROUPS_MAX)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                original_topic: row.try_get("original_topic")?,
                error_code: row.try_get("error_code")?,
                waiting: row.try_get("waiting")?,
                replayed: row.try_get("replayed")?,
                discarded: row.try_get("discarded")?,
                oldest_waiting_at: row.try_get("oldest_waiting_at")?,
                newest_at: row.try_get("newest_at")?,
            })
        })
        .collect()
}
