//! What does not agree between the ledger and the world.

mod decide;

pub(crate) use decide::read;
pub use decide::{Discrepancy, Filter, Status, find, page, propose, resolve};

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::storable;

/// What is amiss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The other side has it, the ledger does not.
    MissingHere,
    /// The ledger has it, the other side does not.
    MissingThere,
    /// Both have it, with another amount.
    Amount,
    /// Both have it, in another currency.
    Currency,
    /// The other side has it twice.
    Duplicate,
    /// It came when its time was over.
    Late,
    /// Both have it, and don't agree on how it stands.
    Status,
    /// The other side speaks of a reference that is none of ours.
    UnknownReference,
    /// What came can't be read.
    Unreadable,
}

impl Class {
    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Status => "status",
            Self::UnknownReference => "unknown_reference",
            Self::Unreadable => "unreadable",
        }
    }

    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::MissingHere,
        Self::MissingThere,
        Self::Amount,
        Self::Currency,
        Self::Duplicate,
        Self::Late,
        Self::Status,
        Self::UnknownReference,
        Self::Unreadable,
    ];

    /// The class of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// An amount in a currency, which may be one that the ledger doesn't know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Minor units.
    pub amount: i64,
    /// Its code, as it was found.
    pub currency: String,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// What is amiss.
    pub class: Class,
    /// Who found it: `webhook`, `query` or `reconciliation`. The same finding by another is the same.
    pub source: &'a str,
    /// What tells this finding from others of its class: the same again is the same finding.
    pub identity: &'a str,
    /// The PSP concerned.
    pub psp: Option<&'a str>,
    /// As the other side names it.
    pub reference: Option<&'a str>,
    /// Ours: `payment`, `payout`, `refund`, and its id.
    pub subject: Option<(&'a str, Uuid)>,
    /// What the ledger has.
    pub expected: Option<Sum>,
    /// What the other side has.
    pub found: Option<Sum>,
    /// In a sentence.
    pub detail: &'a str,
    /// When the other side says that it happened, UTC.
    pub occurred_at: Option<OffsetDateTime>,
}

/// Over texts, each with its length before it, so that no two lists of them run together.
fn digest_of(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Writes a finding down: its number, where it is new. Told to the log, where an alert can look for it.
///
/// # Errors
/// Where the database fails.
pub async fn open(
    conn: &mut PgConnection,
    ledger_id: i32,
    finding: &Finding<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<Option<i64>> {
    let fingerprint = digest_of(&[finding.class.as_str(), finding.identity]);
    let (subject_kind, subject_id) = finding.subject.unzip();
    let [expected, found] = [&finding.expected, &finding.found].map(Option::as_ref);
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, psp, reference, subject_kind, subject_id,
             expected_amount, expected_currency, found_amount, found_currency, detail, occurred_at,
             opened_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT ON CONSTRAINT discrepancies_fingerprint_key DO NOTHING
         RETURNING id",
    )
    .bind(ledger_id)
    .bind(&fingerprint[..])
    .bind(finding.class.as_str())
    .bind(finding.source)
    .bind(finding.psp)
    .bind(finding.reference.map(super::indexable))
    .bind(subject_kind)
    .bind(subject_id)
    .bind(expected.map(|sum| sum.amount))
    .bind(expected.map(|sum| storable(&sum.currency)))
    .bind(found.map(|sum| sum.amount))
    .bind(found.map(|sum| storable(&sum.currency)))
    .bind(storable(finding.detail))
    .bind(finding.occurred_at)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    if id.is_some() {
        let (class, source) = (finding.class.as_str(), finding.source);
        let (reference, detail) = (finding.reference, finding.detail);
        metrics::counter!("aegis_discrepancies_total", "class" => class, "source" => source.to_owned())
            .increment(1);
        tracing::error!(class, source, reference, detail, "a discrepancy was found");
    }
    Ok(id)
}
