//! Migrations, which live inside the program and only go forward.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::Settings;

static MIGRATOR: Migrator = sqlx::migrate!();

/// Where a database stands against this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// At the program's version.
    Current,
    /// Behind it: `aegisctl migrate up` brings it on. The number is the database's version, 0 for
    /// an empty one.
    Behind(i64),
    /// Ahead of it: a newer program made it. The number is the database's version.
    Ahead(i64),
}

/// One migration, and when it was applied.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// When it was applied, UTC; `None` where it is still to come.
    pub applied_at: Option<OffsetDateTime>,
}

/// The version that this program works with.
#[must_use]
pub fn program_version() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

async fn applied(conn: &mut PgConnection) -> sqlx::Result<Vec<(i64, OffsetDateTime)>> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        return Ok(Vec::new());
    }
    sqlx::query("SELECT version, installed_on FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(conn)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("version")?, row.try_get("installed_on")?)))
        .collect()
}

/// Where the database stands.
///
/// # Errors
/// Where the database fails.
pub async fn standing(conn: &mut PgConnection) -> sqlx::Result<Standing> {
    let version = applied(conn)
        .await?
        .last()
        .map_or(0, |(version, _)| *version);
    Ok(match version.cmp(&program_version()) {
        std::cmp::Ordering::Less => Standing::Behind(version),
        std::cmp::Ordering::Equal => Standing::Current,
        std::cmp::Ordering::Greater => Standing::Ahead(version),
    })
}

/// What tells this database from any other, one of the same name included that was made anew.
///
/// # Errors
/// Where the database fails.
pub async fn identity(conn: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar(
        "SELECT oid::text || '.' || (SELECT min(extract(epoch FROM installed_on))
                                     FROM _sqlx_migrations)::text
         FROM pg_database WHERE datname = current_database()",
    )
    .fetch_one(conn)
    .await
}

/// The program's migrations, and when each was applied.
///
/// # Errors
/// Where the database fails.
pub async fn steps(conn: &mut PgConnection) -> sqlx::Result<Vec<Step>> {
    let applied = applied(conn).await?;
    Ok(MIGRATOR
        .iter()
        .map(|migration| Step {
            version: migration.version,
            name: migration.description.to_string(),
            applied_at: applied
                .iter()
                .find(|(version, _)| *version == migration.version)
                .map(|(_, at)| *at),
        })
        .collect())
}

/// Applies what is missing. A second migrator at the same time waits for the first.
///
/// # Errors
/// Where the database is ahead of the program, a landed migration was changed, or one fails.
pub async fn up(settings: &Settings) -> Result<(), MigrateError> {
    let mut conn = settings.connect_for_migrations().await?;
    MIGRATOR.run(&mut conn).await
}
