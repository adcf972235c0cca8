//! One run over one statement.

use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::line::{Broken, Line, Standing};
use super::statement::Statement;
use super::{Options, ReconcileError, fees, news};
use crate::ledger::{Address, Currency, Ledger};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::reconciliations::{self as lines, Reconciliation, Scope, StagedLine, Whole};

/// How many lines are staged at once.
const LINES_AT_ONCE: usize = 10_000;
/// How many broken lines are named.
const BROKEN_MAX: usize = 1_000;

/// Whose statement it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A PSP's, such as `paystack`.
    Psp(String),
    /// A bank's, such as `main`.
    Bank(String),
}

impl Source {
    /// The wallet that the statement is of.
    ///
    /// # Errors
    /// Where the name can't stand in an address.
    pub fn wallet(&self) -> Result<Address, String> {
        match self {
            Self::Psp(name) => format!("psp:{name}").parse(),
            Self::Bank(name) => format!("bank:{name}").parse(),
        }
    }

    /// The PSP's name; `None`: it is a bank.
    #[must_use]
    pub fn psp(&self) -> Option<&str> {
        match self {
            Self::Psp(name) => Some(name),
            Self::Bank(_) => None,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// As it was written down.
    pub run: Reconciliation,
    /// Discrepancies of this statement that are not resolved, whichever run found them.
    pub open: i64,
    /// The PSP's fees that it took into the ledger, by currency, minor units.
    pub fees: Vec<(Currency, i64)>,
    /// Lines that could not be read, the first 1,000.
    pub broken: Vec<Broken>,
}

/// What was read of a file.
#[derive(Default)]
struct Reading {
    lines: i64,
    pending: i64,
    broken_count: i64,
    broken: Vec<Broken>,
    span: Option<(OffsetDateTime, OffsetDateTime)>,
}

/// Reads a statement to its end and holds the ledger against it, in one COMMIT over a connection of
/// its own. `between`: the time that the statement covers, where it is another one than its lines
/// tell.
///
/// # Errors
/// See [`ReconcileError`]; nothing took effect, unless the connection was lost at the COMMIT: then
/// the same file again finds all of its lines known, or takes them.
#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
pub async fn run(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    source: &Source,
    (file_name, statement): (&str, &mut Statement),
    between: (Option<OffsetDateTime>, Option<OffsetDateTime>),
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Report, ReconcileError> {
    let wallet = source
        .wallet()
        .map_err(|problem| ReconcileError::refused("wallet_not_found", problem))?;
    let wallet = wallet.as_str();
    let scope = Scope {
        ledger_id: ledger.id,
        wallet,
        psp: source.psp(),
    };
    let mut transaction = conn.begin().await?;
    let about = About {
        options,
        ledger,
        scope: &scope,
        actor,
        now,
    };
    let report = about
        .reconcile(&mut transaction, file_name, statement, between)
        .await;
    // Not left to whoever takes the connection next: it holds the lock of the wallet's statements.
    match report {
        Ok(report) => {
            transaction.commit().await?;
            Ok(report)
        }
        Err(error) => {
            transaction.rollback().await?;
            Err(error)
        }
    }
}

/// What stays the same during a run.
#[derive(Clone, Copy)]
struct About<'a> {
    options: &'a Options,
    ledger: &'a Ledger,
    scope: &'a Scope<'a>,
    actor: &'a Actor,
    now: OffsetDateTime,
}

impl About<'_> {
    async fn reconcile(
        self,
        conn: &mut PgConnection,
        file_name: &str,
        statement: &mut Statement,
        between: (Option<OffsetDateTime>, Option<OffsetDateTime>),
    ) -> Result<Report, ReconcileError> {
        let Self {
            options,
            ledger,
            scope,
            actor,
            now,
        } = self;
        let wallet = scope.wallet;
        if !lines::begin(conn, ledger.id, wallet).await? {
            let wallet = wallet.to_owned();
            return Err(ReconcileError::Busy { wallet });
        }
        let reading = read(conn, scope, statement).await?;
        let span = statement.span().or(reading.span);
        let covers = span.and_then(|(first, last)| {
            let (from, to) = (between.0.unwrap_or(first), between.1.unwrap_or(last));
            (from <= to).then_some((from, to))
        });
        let id = Uuid::now_v7();
        lines::number(conn, scope).await?;
        let file = Whole {
            format: &statement.format().to_string(),
            hash: &statement.hash(),
            readable: reading.broken_count == 0,
            covers,
            said: between,
        };
        lines::find_lacking(conn, scope, &file).await?;
        lines::came_again(conn, scope, id, now).await?;
        let known = lines::known(conn, scope).await?;
        lines::matched(conn, scope).await?;
        lines::find_fees(conn, scope).await?;
        let tally = lines::tally(conn).await?;
        if !lines::write(conn, scope, id).await? {
            let wallet = wallet.to_owned();
            return Err(ReconcileError::Busy { wallet });
        }
        let keys = statement.format().covers();
        lines::open(conn, scope, id, covers, keys, now).await?;
        lines::open_lacking(conn, scope, id, now).await?;
        lines::resolve_matched(conn, scope, now).await?;
        let open = lines::count_open(conn, scope, id, covers, keys).await?;
        let told = news::tell_changes(conn, options, ledger, scope, id, now).await?;
        let run = Reconciliation {
            id,
            wallet: wallet.to_owned(),
            format: statement.format().to_string(),
            file_name: file_name.chars().take(255).collect(),
            file_hash: statement.hash(),
            covers,
            lines: reading.lines,
            known,
            pending: reading.pending,
            broken: reading.broken_count,
            matched: tally.matched,
            opened: told.opened,
            resolved: told.resolved,
            started_by: actor.name.clone(),
            started_at: now,
            finished_at: OffsetDateTime::now_utc(),
        };
        lines::insert(conn, ledger.id, &run).await?;
        let fees = fees::book(conn, options, ledger, scope, id, now).await?;
        news::tell_finished(conn, options, ledger, &run, now).await?;
        let deed = Deed {
            at: now,
            actor,
            action: "reconciliation.run",
            target: &format!("reconciliation:{}/{id}", ledger.name),
            reason: None,
            detail: Some(&serde_json::json!({"wallet": wallet, "file": run.file_name})),
        };
        audit::record(conn, deed).await?;
        Ok(Report {
            run,
            open,
            fees,
            broken: reading.broken,
        })
    }
}

async fn read(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    statement: &mut Statement,
) -> Result<Reading, ReconcileError> {
    let mut reading = Reading::default();
    let mut batch: Vec<Line> = Vec::with_capacity(LINES_AT_ONCE);
    while let Some(line) = statement.advance()? {
        match line {
            Ok(line) if line.standing == Standing::Booked => {
                reading.lines = reading.lines.saturating_add(1);
                let at = line.booked_at;
                let (first, last) = reading.span.unwrap_or((at, at));
                // A day without a time is all of that day.
                let is_day = at.time() == time::Time::MIDNIGHT;
                let end = if is_day {
                    let day = time::Duration::seconds(86_399);
                    at.checked_add(day).unwrap_or(at)
                } else {
                    at
                };
                reading.span = Some((first.min(at), last.max(end)));
                batch.push(line);
                if batch.len() == LINES_AT_ONCE {
                    stage(conn, scope, &batch).await?;
                    batch.clear();
                }
            }
            Ok(line) => {
                let is_pending = line.standing == Standing::Pending;
                reading.pending = reading.pending.saturating_add(i64::from(is_pending));
            }
            Err(broken) => {
                reading.broken_count = reading.broken_count.saturating_add(1);
                if reading.broken.len() < BROKEN_MAX {
                    reading.broken.push(broken);
                }
            }
        }
    }
    stage(conn, scope, &batch).await?;
    Ok(reading)
}

async fn stage(conn: &mut PgConnection, scope: &Scope<'_>, batch: &[Line]) -> sqlx::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let staged: Vec<StagedLine<'_>> = batch
        .iter()
        .map(|line| StagedLine {
            identity: line.identity(scope.wallet, scope.psp.is_some()),
            number: line.number,
            statement: line.statement,
            account: &line.account,
            kind: line.kind.as_str(),
            reference: line.reference.as_deref(),
            external_id: line.external_id.as_deref(),
            batch: line.batch.as_deref(),
            currency: line.currency.code(),
            amount: line.amount,
            fee: line.fee,
            booked_at: line.booked_at,
        })
        .collect();
    lines::copy(conn, &staged).await
}
