//! All SQL. Free functions over a connection that the caller owns, so that the caller also owns
//! the database transaction.

mod advisory;
pub mod audit;
pub mod bench;
pub mod consumed;
mod copy;
mod copy_out;
pub mod dead_letters;
pub mod discrepancies;
pub mod ledgers;
pub mod merchants;
pub mod migrate;
pub mod outbox;
pub mod payments;
pub mod payout_runs;
pub mod payouts;
pub mod posting;
pub mod psp_references;
pub mod reconciliations;
pub mod refunds;
pub mod retries;
pub mod settlement_gate;
pub mod settlements;
pub mod standing;
pub mod trace;
mod transact;
pub mod transactions;
pub mod verify;
pub mod verify_runs;
pub mod wallets;
pub mod webhooks;

use std::time::Duration;

pub(crate) use transact::{ATTEMPTS_MAX, atomically, roll_back};
pub use transact::{Undone, transact};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use std::borrow::Cow;

/// For sessions whose statements find few rows by key among many, and are planned once, perhaps
/// while the tables are small and cheap to read whole: every way but the one by key is closed to
/// the planner.
const BY_KEY: [(&str, &str); 8] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_material", "off"),
    ("enable_memoize", "off"),
    ("jit", "off"),
    // The arrays of a batch would have every statement planned anew.
    ("plan_cache_mode", "force_generic_plan"),
];

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address, name, user, password and TLS.
    pub options: PgConnectOptions,
    /// The most connections that a pool opens.
    pub connections_max: u32,
    /// How long a connection may take to come up, or to come free.
    pub connect_timeout: Duration,
    /// After how long the server gives a statement up.
    pub statement_timeout: Duration,
}

impl Settings {
    /// Settings for a connection URL, with the defaults of the configuration.
    ///
    /// # Errors
    /// Where the URL can't be read.
    pub fn from_url(url: &str) -> sqlx::Result<Self> {
        Ok(Self {
            options: url.parse()?,
            connections_max: 16,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        })
    }

    /// Settings from the configuration.
    ///
    /// # Errors
    /// Where the address can't be read.
    pub fn from_config(database: &crate::config::DatabaseConfig) -> sqlx::Result<Self> {
        Ok(Self {
            options: database.connection_url().expose().parse()?,
            connections_max: database.pool_connections_max,
            connect_timeout: database.connect_timeout,
            statement_timeout: database.statement_timeout,
        })
    }

    /// Host, port and database, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        let database = self.options.get_database().unwrap_or("(no name)");
        if let Some(socket) = self.options.get_socket() {
            return format!(
                "{}:{}/{database}",
                socket.display(),
                self.options.get_port()
            );
        }
        format!(
            "{}:{}/{database}",
            self.options.get_host(),
            self.options.get_port()
        )
    }

    fn session(&self, application: &str) -> PgConnectOptions {
        self.options.clone().application_name(application).options([
            (
                "statement_timeout",
                format!("{}ms", self.statement_timeout.as_millis()),
            ),
            ("idle_in_transaction_session_timeout", "60s".to_owned()),
            ("timezone", "UTC".to_owned()),
            // A host that died holds its locks for seconds, not for hours.
            ("tcp_keepalives_idle", "5".to_owned()),
            ("tcp_keepalives_interval", "2".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ])
    }

    /// A pool for all but posting. Connects when it is first used.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.pool_options().connect_lazy_with(self.session("aegis"))
    }

    /// A small pool whose connections post, for what posts in transactions of its own.
    #[must_use]
    pub fn posting_pool(&self, connections_max: u32) -> PgPool {
        self.pool_options()
            .max_connections(connections_max)
            .test_before_acquire(true)
            // A dead letter is published within the transaction that ends its message.
            .connect_lazy_with(
                self.posting_options()
                    .options([("idle_in_transaction_session_timeout", "60s")]),
            )
    }

    /// A connection for migrations, which take as long as they take and wait for one another.
    ///
    /// # Errors
    /// Where there is none to be had.
    pub async fn connect_for_migrations(&self) -> sqlx::Result<PgConnection> {
        let session = self
            .session("aegis-migrate")
            .options([("statement_timeout", "0")]);
        PgConnection::connect_with(&session).await
    }

    /// How a connection for posting is opened.
    #[must_use]
    pub fn posting_options(&self) -> PgConnectOptions {
        self.session("aegis-posting").options(BY_KEY).options([
            // Somebody's open transaction on one wallet must not hold all posting up for long,
            ("lock_timeout", "1s"),
            // nor one of a process that hangs: between the steps of a posting are milliseconds.
            ("idle_in_transaction_session_timeout", "10s"),
        ])
    }

    /// One connection outside any pool, for a program that does one thing. Fails as soon as the
    /// server says no, where a pool would go on trying.
    ///
    /// # Errors
    /// Where there is none; `PoolTimedOut` after the time for connecting.
    pub async fn connect(&self, application: &str) -> sqlx::Result<PgConnection> {
        let session = self.session(application);
        tokio::time::timeout(self.connect_timeout, PgConnection::connect_with(&session))
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    fn pool_options(&self) -> PgPoolOptions {
        PgPoolOptions::new()
            .max_connections(self.connections_max)
            .acquire_timeout(self.connect_timeout)
            // A connection that died is found by the statement that meets it, which is retried.
            .test_before_acquire(false)
    }
}

/// What a failed statement says about trying it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Deadlock, serialisation failure or lock timeout: the server undid the work; run it again.
    Conflict,
    /// A unique constraint of that name was met: somebody else was first.
    Unique,
    /// The connection is gone or the server is closing: whether a COMMIT took effect is unknown.
    Lost,
    /// The server has no room, on its disk or in its memory: it undid the work, and is not worth
    /// asking again at once.
    Exhausted,
    /// Nothing that another attempt would mend.
    Permanent,
}

/// Sorts a failure by what can be done about it.
#[must_use]
pub fn classify(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // 57014: the statement took longer than it may; it was undone.
            Some("40001" | "40P01" | "55P03" | "57014") => Failure::Conflict,
            Some("23505") => Failure::Unique,
            // Class 08: connection; 57P01 to 57P05: shutting down, starting up or idle for too long;
            // 53300: too many connections; 25006: no longer the primary; 25P03: idle in transaction.
            Some("57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25006" | "25P03") => {
                Failure::Lost
            }
            Some(code) if code.starts_with("08") => Failure::Lost,
            // Class 53: disk full, out of memory, a limit of the configuration; 58030: the disk
            // failed.
            Some(code) if code.starts_with("53") || code == "58030" => Failure::Exhausted,
            _ => Failure::Permanent,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => Failure::Lost,
        _ => Failure::Permanent,
    }
}

/// Whether the database is away: that is told once, by whoever watches it.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    classify(error) == Failure::Lost
}

/// Whether the database can't be worked with now: it is away, or out of room.
#[must_use]
pub fn is_outage(error: &sqlx::Error) -> bool {
    matches!(classify(error), Failure::Lost | Failure::Exhausted)
}

/// A stored value that the program can't read: the database was written by something else.
pub(crate) fn unreadable(what: &str, value: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what} {value:?} in the database is not known here").into())
}

/// Longer than a server gives a statement, and than the bus gives a claim: what takes longer is a
/// server that is gone without a word.
pub const STEP_MAX: Duration = Duration::from_secs(60);

/// A step of work over a connection, within a time. Where it fails, the connection is of no more
/// use: its client closes it.
///
/// # Errors
/// The step's own; an I/O error where nothing came back in time.
pub async fn in_time<T, E: From<sqlx::Error>>(
    patience: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let silent = |_| {
        let reason = format!("nothing came back within {} s", patience.as_secs());
        sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, reason))
    };
    let ended = tokio::time::timeout(patience, step).await;
    ended.map_err(silent)?
}

/// Text as PostgreSQL can store it: U+0000 becomes U+FFFD.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// The longest text that is indexed; an entry of an index ends at 2,704 bytes.
const INDEXED_BYTES_MAX: usize = 2_000;

/// Text as an index can hold it: what is too long is cut off.
pub(crate) fn indexable(text: &str) -> Cow<'_, str> {
    let end = text.floor_char_boundary(INDEXED_BYTES_MAX);
    match storable(&text[..end]) {
        Cow::Owned(longer) if longer.len() > INDEXED_BYTES_MAX => {
            let end = longer.floor_char_boundary(INDEXED_BYTES_MAX);
            Cow::Owned(longer[..end].to_owned())
        }
        fits => fits,
    }
}

/// Whether the values are to blame for a failure: they can't be read as what they should be,
/// break a constraint or a limit. Another attempt with the same values fails again.
#[must_use]
pub fn blames_values(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    // Classes 22 (data exception), 23 (integrity constraint violation) and 54 (program limit
    // exceeded, such as a value too long for an index) of SQLSTATE.
    let blamed = ["22", "23", "54"];
    code.is_some_and(|code| blamed.iter().any(|class| code.starts_with(class)))
}

/// Whether a lock was waited for until the time for it was over.
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// A restarted server leaves up to a pool full of dead connections, each found by its next use.
pub const DEAD_MAX: u32 = 32;

/// Whether the database answers; `None`: not within this time. A connection that died while it was
/// idle says nothing of it.
///
/// # Errors
/// Where it doesn't.
pub async fn ping(pool: &PgPool, patience: Duration) -> Option<sqlx::Result<()>> {
    let until = tokio::time::Instant::now() + patience;
    let mut dead = 0;
    loop {
        let pinged = match tokio::time::timeout_at(until, pool.acquire()).await.ok()? {
            Err(error) => Err(error),
            Ok(mut conn) => {
                let asked = sqlx::query("SELECT 1").execute(&mut *conn);
                let answered = tokio::time::timeout_at(until, asked).await;
                if answered.is_err() {
                    // Given back, it would wait in the pool's hands for the same answer.
                    conn.close_on_drop();
                }
                answered.ok()?
            }
        };
        match pinged {
            Err(error) if classify(&error) == Failure::Lost && dead < DEAD_MAX => dead += 1,
            done => return Some(done.map(|_| ())),
        }
    }
}

/// The server's version, such as `17.2`.
///
/// # Errors
/// Where the database fails.
pub async fn server_version(conn: &mut PgConnection) -> sqlx::Result<String> {
    let full: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(conn)
        .await?;
    // Distributions add their own words behind it.
    Ok(full.split(' ').next().unwrap_or(&full).to_owned())
}
