//! The audit log: who did what, from where, and why. Its rows are permanent, and each is written in
//! the same transaction as the deed.

use sqlx::PgConnection;
use time::OffsetDateTime;

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A person's account, or what a caller calls itself.
    pub name: String,
    /// The machine or the network address that the wish came from.
    pub host: String,
}

/// A deed.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// When, UTC.
    pub at: OffsetDateTime,
    /// Who, and from where.
    pub actor: &'a Actor,
    /// What was done, such as `dead_letter.discarded`.
    pub action: &'a str,
    /// To which thing, such as `dead_letter:7`.
    pub target: &'a str,
    /// Why, in the actor's words.
    pub reason: Option<&'a str>,
    /// What else belongs to it.
    pub detail: Option<&'a serde_json::Value>,
}

/// Writes a deed down.
///
/// # Errors
/// Where the database fails.
pub async fn record(conn: &mut PgConnection, deed: Deed<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit_log (at, actor, host, action, target, reason, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7::text::json)",
    )
    .bind(deed.at)
    .bind(&deed.actor.name)
    .bind(&deed.actor.host)
    .bind(deed.action)
    .bind(deed.target)
    .bind(deed.reason)
    .bind(deed.detail.map(serde_json::Value::to_string))
    .execute(conn)
    .await?;
    Ok(())
}

/// The detail of the last deed of this kind that was done to a thing.
///
/// # Errors
/// Where the database fails, or holds what is no JSON.
pub async fn last_detail(
    conn: &mut PgConnection,
    target: &str,
    action: &str,
) -> sqlx::Result<Option<serde_json::Value>> {
    let detail: Option<Option<String>> = sqlx::query_scalar(
        "SELECT detail::text FROM audit_log WHERE target = $1 AND action = $2
         ORDER BY id DESC LIMIT 1",
    )
    .bind(target)
    .bind(action)
    .fetch_optional(conn)
    .await?;
    detail
        .flatten()
        .map(|text| serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into())))
        .transpose()
}
