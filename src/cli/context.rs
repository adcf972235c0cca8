//! What every command works with: configuration, output, the database, the wish to stop.

use anyhow::Context as _;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use super::exit::Failure;
use super::output::Output;
use crate::config::{Config, Loaded, Origin};
use crate::engine::Engine;
use crate::ledger::Ledger;
use crate::postgres::{Settings, ledgers, migrate};

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The configuration with its origins.
    pub loaded: Loaded,
    /// Where data, notes and errors go.
    pub out: Output,
    /// Whether `--yes` answers every question.
    pub yes: bool,
    /// Cancelled by Ctrl-C or SIGTERM.
    pub interrupt: CancellationToken,
    /// The command line, for telling how to go on.
    pub command_line: Vec<String>,
}

impl Context {
    /// The configuration.
    #[must_use]
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// How to reach the database.
    ///
    /// # Errors
    /// Where the address can't be read.
    pub(crate) fn database(&self) -> anyhow::Result<Settings> {
        Settings::from_config(&self.config().database).with_context(|| {
            let url = self.config().database.connection_url();
            format!("the database's address {url} can't be read: check DATABASE_URL")
        })
    }

    /// A connection, whatever the version of the schema.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where there is none to be had.
    pub(crate) async fn connect_to_any_schema(&self) -> anyhow::Result<PgConnection> {
        let settings = self.database()?;
        settings
            .connect("aegisctl")
            .await
            .map_err(|error| Failure::Unreachable(no_connection(&settings, &error)).into())
    }

    /// A connection to a database at this program's version.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] without a connection, [`Failure::Usage`] for a schema of another
    /// version.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        let mut conn = self.connect_to_any_schema().await?;
        match schema_problem(migrate::standing(&mut conn).await?) {
            None => Ok(conn),
            Some(problem) => Err(Failure::Usage(problem).into()),
        }
    }

    /// The ledger that `--ledger` or the configuration names.
    ///
    /// # Errors
    /// [`Failure::Usage`] where there is none of that name.
    pub(crate) async fn ledger(&self, conn: &mut PgConnection) -> anyhow::Result<Ledger> {
        let name = &self.config().ledger;
        let parsed = name.parse().map_err(Failure::Usage)?;
        ledgers::find(conn, &parsed).await?.ok_or_else(|| {
            let message = format!(
                "there is no ledger {name:?}: make it with `aegisctl ledger create {name}`, or \
                 name another one with --ledger (`aegisctl ledger list` shows them)"
            );
            Failure::Usage(message).into()
        })
    }

    /// The ledger that `--ledger` names on the command line; `None` without the option, whatever the
    /// configuration says. For what belongs to no ledger, but may have come from one.
    ///
    /// # Errors
    /// As [`Context::ledger`].
    pub(crate) async fn ledger_flag(
        &self,
        conn: &mut PgConnection,
    ) -> anyhow::Result<Option<String>> {
        let setting = self.loaded.settings.iter().find(|s| s.key == "ledger");
        match setting.map(|setting| &setting.origin) {
            Some(Origin::Flag { .. }) => Ok(Some(self.ledger(conn).await?.name.to_string())),
            _ => Ok(None),
        }
    }

    /// The ledger, for a command that [stops itself](super::Command::stops_itself) and has begun
    /// nothing yet.
    ///
    /// # Errors
    /// As [`Context::connect`] and [`Context::ledger`]; [`Failure::Interrupted`].
    pub(crate) async fn ledger_unless_interrupted(&self) -> anyhow::Result<Ledger> {
        self.unless_interrupted(async {
            let mut conn = self.connect().await?;
            self.ledger(&mut conn).await
        })
        .await
    }

    /// Does something that can be left at any moment.
    ///
    /// # Errors
    /// Its own; [`Failure::Interrupted`].
    pub(crate) async fn unless_interrupted<T>(
        &self,
        reading: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            read = reading => read,
            () = self.interrupt.cancelled() => {
                Err(Failure::Interrupted("nothing was done".to_owned()).into())
            }
        }
    }

    /// An engine for posting.
    ///
    /// # Errors
    /// Where the database's address can't be read.
    pub(crate) fn engine(&self) -> anyhow::Result<Engine> {
        Ok(Engine::new(
            &self.database()?,
            &self.config().kafka.topic_transactions,
        ))
    }
}

/// What is wrong with a schema that stands so, and what to do about it.
#[must_use]
pub(crate) fn schema_problem(standing: migrate::Standing) -> Option<String> {
    let program = migrate::program_version();
    match standing {
        migrate::Standing::Current => None,
        migrate::Standing::Behind(0) => Some(
            "the database has no tables of Aegis yet: make them with `aegisctl migrate up`"
                .to_owned(),
        ),
        migrate::Standing::Behind(version) => Some(format!(
            "the database is at schema version {version} and this program needs {program}: bring \
             it on with `aegisctl migrate up`"
        )),
        migrate::Standing::Ahead(version) => Some(format!(
            "the database is at schema version {version}, made by a newer program; this one \
             knows versions up to {program}: install the newer aegisctl"
        )),
    }
}

fn no_connection(settings: &Settings, error: &sqlx::Error) -> String {
    let place = settings.place();
    let user = settings.options.get_username();
    let code = error.as_database_error().and_then(|error| error.code());
    match (error, code.as_deref()) {
        (_, Some("3D000")) => format!(
            "PostgreSQL at {place} has no such database: create it, or check DATABASE_URL / \
             DATABASE_NAME"
        ),
        (_, Some("28P01" | "28000")) => format!(
            "PostgreSQL at {place} doesn't let the role {user} in: check DATABASE_URL, or \
             DATABASE_USER and DATABASE_PASSWORD"
        ),
        (sqlx::Error::PoolTimedOut, _) => format!(
            "PostgreSQL at {place} doesn't answer within {} s: check DATABASE_URL / \
             DATABASE_HOST, or start PostgreSQL",
            settings.connect_timeout.as_secs_f32()
        ),
        (sqlx::Error::Io(error), _) => format!(
            "PostgreSQL at {place} can't be reached ({error}): check DATABASE_URL / \
             DATABASE_HOST, or start PostgreSQL"
        ),
        (error, _) => format!(
            "PostgreSQL at {place} can't be used ({error}): check DATABASE_URL / DATABASE_HOST"
        ),
    }
}
