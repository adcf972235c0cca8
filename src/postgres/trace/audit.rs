//! Who decided what about a thing.

use sqlx::{PgConnection, Row};

use super::{Moment, ROWS_MAX, Thing, Told};
use crate::ledger::Ledger;

/// Adds what people did to a thing.
pub(super) async fn of(
    conn: &mut PgConnection,
    ledger: &Ledger,
    thing: &Thing,
    told: &mut Told,
) -> sqlx::Result<()> {
    let target = match thing {
        // Letters are numbered over all ledgers.
        Thing::DeadLetter(_) => thing.to_string(),
        _ => format!("{}:{}/{}", thing.kind(), ledger.name, thing.id()),
    };
    let rows = sqlx::query(
        "SELECT at, actor, host, action, reason FROM audit_log
         WHERE target = $1 ORDER BY id LIMIT $2",
    )
    .bind(target)
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    for row in &rows {
        let (actor, host): (&str, &str) = (row.try_get("actor")?, row.try_get("host")?);
        let action: &str = row.try_get("action")?;
        let reason: Option<&str> = row.try_get("reason")?;
        let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let deed = Moment::new(thing, action, row.try_get("at")?)
            .detail(Some(format!("by {actor} from {host}{why}")));
        told.moment(deed);
    }
    Ok(())
}
