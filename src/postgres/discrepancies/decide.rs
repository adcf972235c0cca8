//! Discrepancies as they stand, and what is decided on them.

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Class, Sum};
use crate::postgres::unreadable;

/// A discrepancy as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    /// Its number.
    pub id: i64,
    /// What is amiss.
    pub class: Class,
    /// Who found it: `webhook`, `query` or `reconciliation`.
    pub source: String,
    /// The PSP concerned.
    pub psp: Option<String>,
    /// The wallet whose statement it was found in.
    pub wallet: Option<String>,
    /// As both sides name it.
    pub reference: Option<String>,
    /// Ours: `payment`, `payout`, `refund` or `transaction`, and its id; or `batch`, and the id of the
    /// line that pays it out.
    pub subject: Option<(String, Uuid)>,
    /// What the ledger has.
    pub expected: Option<Sum>,
    /// What the other side has.
    pub found: Option<Sum>,
    /// In a sentence.
    pub detail: String,
    /// When it happened, as far as that is known, UTC.
    pub occurred_at: Option<OffsetDateTime>,
    /// When it was found, UTC.
    pub opened_at: OffsetDateTime,
    /// How far its resolution is.
    pub status: Status,
    /// The statement's line, and what that is about.
    pub line: Option<(Uuid, Option<String>)>,
    /// What the PSP took for the line, minor units; 0: nothing, or the statement does not tell.
    pub line_fee: i64,
    /// The run that found it.
    pub reconciliation_id: Option<Uuid>,
    /// What was proposed.
    pub proposal: Option<Value>,
    /// By whom.
    pub proposed_by: Option<String>,
    /// When, UTC.
    pub proposed_at: Option<OffsetDateTime>,
    /// Why it is resolved so.
    pub reason: Option<String>,
    /// What corrected it.
    pub transaction_id: Option<Uuid>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// When, UTC.
    pub resolved_at: Option<OffsetDateTime>,
}

impl Discrepancy {
    /// What tells its proposal from any other, also from the same one made again: 32 hexadecimal digits
    /// over what is proposed, why, by whom and when.
    #[must_use]
    pub fn proposal_hash(&self) -> Option<String> {
        let (content, at) = (self.proposal.as_ref()?.to_string(), self.proposed_at?);
        let (number, at) = (self.id.to_string(), at.unix_timestamp_nanos().to_string());
        let reason = self.reason.as_deref().unwrap_or_default();
        let by = self.proposed_by.as_deref().unwrap_or_default();
        let hash = super::digest_of(&[&number, &content, reason, by, &at]);
        let shown = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
        Some(shown.collect())
    }
}

/// How far a resolution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nobody decided.
    Open,
    /// Somebody proposed how; somebody else has to say yes.
    Proposed,
    /// It is over.
    Resolved,
}

impl Status {
    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Proposed => "proposed",
            Self::Resolved => "resolved",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Proposed, Self::Resolved]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// Which discrepancies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Only those that stand so; `None`: those that are not resolved, unless `all`.
    pub status: Option<Status>,
    /// Also those that are resolved.
    pub all: bool,
    /// Only those of this class.
    pub class: Option<Class>,
    /// Only those of this wallet's statements.
    pub wallet: Option<&'a str>,
    /// Only those of this reference.
    pub reference: Option<&'a str>,
    /// Only those that this run found.
    pub reconciliation: Option<Uuid>,
}

/// Reads a row that was selected with `proposal_text`, `line_kind` and `line_fee`.
pub(crate) fn read(row: &PgRow) -> sqlx::Result<Discrepancy> {
    let sum = |amount: &str, currency: &str| -> sqlx::Result<Option<Sum>> {
        let (amount, currency): (Option<i64>, Option<String>) =
            (row.try_get(amount)?, row.try_get(currency)?);
        let pair = amount.zip(currency);
        Ok(pair.map(|(amount, currency)| Sum { amount, currency }))
    };
    let (class, status): (&str, &str) = (row.try_get("class")?, row.try_get("status")?);
    let subject_kind: Option<String> = row.try_get("subject_kind")?;
    let line_id: Option<Uuid> = row.try_get("line_id")?;
    let line_kind: Option<String> = row.try_get("line_kind")?;
    let proposal: Option<&str> = row.try_get("proposal_text")?;
    let proposal = proposal.map(serde_json::from_str).transpose();
    Ok(Discrepancy {
        id: row.try_get("id")?,
        class: Class::from_name(class).ok_or_else(|| unreadable("class", class))?,
        source: row.try_get("source")?,
        psp: row.try_get("psp")?,
        wallet: row.try_get("wallet")?,
        reference: row.try_get("reference")?,
        subject: subject_kind.zip(row.try_get("subject_id")?),
        expected: sum("expected_amount", "expected_currency")?,
        found: sum("found_amount", "found_currency")?,
        detail: row.try_get("detail")?,
        occurred_at: row.try_get("occurred_at")?,
        opened_at: row.try_get("opened_at")?,
        status: Status::from_name(status).ok_or_else(|| unreadable("status", status))?,
        line: line_id.map(|id| (id, line_kind)),
        line_fee: row.try_get::<Option<i64>, _>("line_fee")?.unwrap_or(0),
        reconciliation_id: row.try_get("reconciliation_id")?,
        proposal: proposal.map_err(|error| sqlx::Error::Decode(error.into()))?,
        proposed_by: row.try_get("proposed_by")?,
        proposed_at: row.try_get("proposed_at")?,
        reason: row.try_get("reason")?,
        transaction_id: row.try_get("transaction_id")?,
        resolved_by: row.try_get("resolved_by")?,
        resolved_at: row.try_get("resolved_at")?,
    })
}

/// Discrepancies behind a number, the oldest first.
///
/// # Errors
/// Where the database fails, or holds what is not known here.
pub async fn page(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &Filter<'_>,
    after: i64,
    rows: i64,
) -> sqlx::Result<Vec<Discrepancy>> {
    let found = sqlx::query(
        "SELECT d.*, d.proposal::text AS proposal_text, l.kind AS line_kind, l.fee AS line_fee
         FROM discrepancies d
         LEFT JOIN statement_lines l ON l.ledger_id = d.ledger_id AND l.id = d.line_id
         WHERE d.ledger_id = $1 AND d.id > $2
           AND ($3::text IS NULL OR d.status = $3) AND ($3 IS NOT NULL OR $4 OR d.status <> 'resolved')
           AND ($5::text IS NULL OR d.class = $5) AND ($6::text IS NULL OR d.wallet = $6)
           AND ($7::text IS NULL OR d.reference = $7)
           AND ($8::uuid IS NULL OR d.reconciliation_id = $8)
         ORDER BY d.id LIMIT $9",
    )
    .bind(ledger_id)
    .bind(after)
    .bind(filter.status.map(Status::as_str))
    .bind(filter.all)
    .bind(filter.class.map(Class::as_str))
    .bind(filter.wallet)
    .bind(filter.reference)
    .bind(filter.reconciliation)
    .bind(rows)
    .fetch_all(conn)
    .await?;
    found.iter().map(read).collect()
}

/// A discrepancy; locked against other decisions where `lock`.
///
/// # Errors
/// Where the database fails, or holds what is not known here.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: i64,
    lock: bool,
) -> sqlx::Result<Option<Discrepancy>> {
    if lock {
        sqlx::query("SELECT FROM discrepancies WHERE ledger_id = $1 AND id = $2 FOR NO KEY UPDATE")
            .bind(ledger_id)
            .bind(id)
            .execute(&mut *conn)
            .await?;
    }
    let row = sqlx::query(
        "SELECT d.*, d.proposal::text AS proposal_text, l.kind AS line_kind, l.fee AS line_fee
         FROM discrepancies d
         LEFT JOIN statement_lines l ON l.ledger_id = d.ledger_id AND l.id = d.line_id
         WHERE d.ledger_id = $1 AND d.id = $2",
    )
    .bind(ledger_id)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Writes a proposal down, over an earlier one: whether the discrepancy was still to be resolved.
///
/// # Errors
/// Where the database fails.
pub async fn propose(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: i64,
    proposal: &Value,
    reason: &str,
    by: &str,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE discrepancies
         SET status = 'proposed', proposal = $3::text::json, reason = $4, proposed_by = $5,
             proposed_at = $6
         WHERE ledger_id = $1 AND id = $2 AND status IN ('open', 'proposed')",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(proposal.to_string())
    .bind(reason)
    .bind(by)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes a proposed discrepancy: whether it stood proposed. Its line is not looked at again, but where
/// it was only about the line's batch.
///
/// # Errors
/// Where the database fails; a violation of `discrepancies_two_persons` where the proposer is who
/// closes it.
pub async fn resolve(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: i64,
    transaction_id: Option<Uuid>,
    by: &str,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let line: Option<Option<Uuid>> = sqlx::query_scalar(
        "UPDATE discrepancies
         SET status = 'resolved', transaction_id = $3, resolved_by = $4, resolved_at = $5
         WHERE ledger_id = $1 AND id = $2 AND status = 'proposed'
         RETURNING CASE WHEN subject_kind IS DISTINCT FROM 'batch' THEN line_id END",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(transaction_id)
    .bind(by)
    .bind(now)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(line) = line else { return Ok(false) };
    sqlx::query(
        "UPDATE statement_lines SET match = 'accepted'
         WHERE ledger_id = $1 AND id = $2 AND match IS NULL",
    )
    .bind(ledger_id)
    .bind(line)
    .execute(conn)
    .await?;
    Ok(true)
}
