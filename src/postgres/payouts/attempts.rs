//! The calls to the PSP about a payout, each a row that is written before the call.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::postgres::{storable, unreadable};

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    /// To send the money.
    Send,
    /// To ask how it stands.
    Ask,
}

impl AttemptKind {
    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Ask => "ask",
        }
    }
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The PSP said how the transfer stands.
    Seen,
    /// The PSP doesn't know the reference.
    NotKnown,
    /// The PSP's definite no.
    Refused,
    /// An earlier call had used the reference.
    ReferenceTaken,
    /// The call did not reach the PSP, or was turned away.
    NotSent,
    /// It may have happened.
    Unclear,
    /// A question without an answer.
    Unanswered,
    /// Nobody came back from the call.
    Lost,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Seen,
        Self::NotKnown,
        Self::Refused,
        Self::ReferenceTaken,
        Self::NotSent,
        Self::Unclear,
        Self::Unanswered,
        Self::Lost,
    ];

    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::NotKnown => "not_known",
            Self::Refused => "refused",
            Self::ReferenceTaken => "reference_taken",
            Self::NotSent => "not_sent",
            Self::Unclear => "unclear",
            Self::Unanswered => "unanswered",
            Self::Lost => "lost",
        }
    }
}

/// A call to the PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1 in order.
    pub number: i32,
    /// What it was for.
    pub kind: AttemptKind,
    /// The machine that made it.
    pub host: String,
    /// When it began, UTC.
    pub started_at: OffsetDateTime,
    /// When it was over, UTC, and what came of it; none: it is under way, or nobody came back.
    pub ended: Option<(OffsetDateTime, Outcome)>,
    /// In the PSP's words, or ours.
    pub detail: Option<String>,
}

pub(super) fn attempt_of(row: &PgRow) -> sqlx::Result<Attempt> {
    let kind: &str = row.try_get("kind")?;
    let outcome: Option<&str> = row.try_get("outcome")?;
    let outcome = outcome
        .map(|name| {
            let found = Outcome::ALL
                .into_iter()
                .find(|known| known.as_str() == name);
            found.ok_or_else(|| unreadable("outcome of a payout's attempt", name))
        })
        .transpose()?;
    let ended_at: Option<OffsetDateTime> = row.try_get("ended_at")?;
    Ok(Attempt {
        number: row.try_get("number")?,
        kind: [AttemptKind::Send, AttemptKind::Ask]
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| unreadable("kind of a payout's attempt", kind))?,
        host: row.try_get("host")?,
        started_at: row.try_get("started_at")?,
        ended: ended_at.zip(outcome),
        detail: row.try_get("detail")?,
    })
}

/// Writes down that a call is about to be made. The payout is locked, and `number` one more than
/// its attempts were.
///
/// # Errors
/// Where the database fails.
pub async fn begin_attempt(
    conn: &mut PgConnection,
    ledger_id: i32,
    payout_id: Uuid,
    number: i32,
    kind: AttemptKind,
    host: &str,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO payout_attempts (ledger_id, payout_id, number, kind, host, started_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(ledger_id)
    .bind(payout_id)
    .bind(number)
    .bind(kind.as_str())
    .bind(storable(host))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down what came of a call: whether nobody had done so before.
///
/// # Errors
/// Where the database fails.
pub async fn end_attempt(
    conn: &mut PgConnection,
    ledger_id: i32,
    payout_id: Uuid,
    number: i32,
    outcome: Outcome,
    detail: Option<&str>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payout_attempts SET ended_at = $4, outcome = $5, detail = $6
         WHERE ledger_id = $1 AND payout_id = $2 AND number = $3 AND ended_at IS NULL",
    )
    .bind(ledger_id)
    .bind(payout_id)
    .bind(number)
    .bind(now)
    .bind(outcome.as_str())
    .bind(detail.map(storable))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The last calls about a payout, the latest first.
///
/// # Errors
/// Where the database fails.
pub async fn attempts(
    conn: &mut PgConnection,
    ledger_id: i32,
    payout_id: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Attempt>> {
    sqlx::query(
        "SELECT number, kind, host, started_at, ended_at, outcome, detail FROM payout_attempts
         WHERE ledger_id = $1 AND payout_id = $2
         ORDER BY ledger_id DESC, payout_id DESC, number DESC LIMIT $3",
    )
    .bind(ledger_id)
    .bind(payout_id)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(attempt_of)
    .collect()
}
