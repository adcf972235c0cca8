//! `aegisctl reconcile run`.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use serde::Serialize;
use time::OffsetDateTime;

use super::failure;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Record};
use crate::cli::{when, who};
use crate::reconcile::{self, Broken, Format, Options, Source, Statement};
use crate::view::ReconciliationView;

/// Hold the ledger against a statement
///
/// The format is told by the file's beginning. Each line is recorded once, whatever file it comes in,
/// so that overlapping files are harmless; lines that are pending move nothing. What the PSP kept for
/// itself and the ledger had not heard of is booked. A line that can't be read is named by its
/// number, and the others are taken; a file of another PSP is refused as a whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl reconcile run --psp paystack --file settlement.csv
  aegisctl reconcile run --bank main --file november.xml
  curl -s http://127.0.0.1:8090/simulator/settlement.csv |
      aegisctl reconcile run --psp paystack --file -

Exit codes: 0 all agrees; 4 discrepancies of this statement are open, by this run or an earlier one; 5
some lines could not be read; 6 another run is at this PSP's or bank's statements.")]
#[command(group = clap::ArgGroup::new("whose").required(true))]
pub(in crate::cli) struct Args {
    /// The PSP whose statement it is
    #[arg(long, value_name = "P", group = "whose")]
    psp: Option<String>,
    /// The bank whose statement it is: NAME of the wallet bank:NAME
    #[arg(long, value_name = "NAME", group = "whose")]
    bank: Option<String>,
    /// The statement; - is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How it is written, where its beginning should not tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// The statement covers all from this time on [default: its first line's]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The statement covers all up to this time [default: its last line's]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    run: ReconciliationView,
    /// Discrepancies of this statement that are not resolved, whichever run found them.
    open: i64,
    /// The PSP's fees that were booked, by currency.
    fees: Vec<Fee>,
    broken_lines: Vec<Broken>,
}

#[derive(Serialize)]
struct Fee {
    currency: &'static str,
    amount: i64,
}

const COLUMNS: &[Column] = &[
    Column::text("id"),
    Column::text("wallet"),
    Column::text("format"),
    Column::text("file_name"),
    Column::text("covers_from"),
    Column::text("covers_to"),
    Column::number("lines"),
    Column::number("known"),
    Column::number("pending"),
    Column::number("broken"),
    Column::number("matched"),
    Column::number("opened"),
    Column::number("resolved"),
    Column::text("started_by").detail(),
    Column::text("started_at"),
    Column::text("finished_at").detail(),
];

impl Record for ReconciliationView {
    const COLUMNS: &'static [Column] = COLUMNS;

    fn cells(&self) -> Vec<Cell> {
        let time = |time: Option<OffsetDateTime>| time.map_or(Cell::Absent("-"), Cell::Time);
        vec![
            self.id.to_string().into(),
            self.wallet.as_str().into(),
            self.format.as_str().into(),
            self.file_name.as_str().into(),
            time(self.covers_from),
            time(self.covers_to),
            self.lines.into(),
            self.known.into(),
            self.pending.into(),
            self.broken.into(),
            self.matched.into(),
            self.opened.into(),
            self.resolved.into(),
            self.started_by.as_str().into(),
            Cell::Time(self.started_at),
            Cell::Time(self.finished_at),
        ]
    }
}

impl Record for Summary {
    const COLUMNS: &'static [Column] = &with_open();

    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.run.cells();
        cells.push(self.open.into());
        cells
    }
}

/// The columns of a run, and what is open after it.
const fn with_open() -> [Column; COLUMNS.len() + 1] {
    let mut columns = [Column::number("open"); COLUMNS.len() + 1];
    let (of_run, _) = columns.split_at_mut(COLUMNS.len());
    of_run.copy_from_slice(COLUMNS);
    columns
}

fn time(option: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Failure> {
    text.map(when::parse)
        .transpose()
        .map_err(|error| Failure::Usage(format!("--{option} {error}")))
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let source = match (&args.psp, &args.bank) {
        (Some(psp), _) => Source::Psp(psp.clone()),
        (None, bank) => Source::Bank(bank.clone().unwrap_or_default()),
    };
    source.wallet().map_err(Failure::Usage)?;
    let between = (
        time("from", args.from.as_deref())?,
        time("to", args.to.as_deref())?,
    );
    let name = args.file.display().to_string();
    let input: Box<dyn Read + Send> = match args.file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(
            File::open(&args.file)
                .map_err(|error| Failure::Usage(format!("{name} can't be read: {error}")))?,
        ),
    };
    let file_name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let mut statement = Statement::open(input, args.format, source.psp())
        .map_err(|problem| Failure::Usage(format!("{name}: {problem}; nothing was done")))?;
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let report = reconcile::run(
        &mut conn,
        &Options::from_config(context.config()),
        &ledger,
        &source,
        (&file_name, &mut statement),
        between,
        &who::operator(),
        OffsetDateTime::now_utc(),
    )
    .await
    .map_err(failure)?;
    let out = &context.out;
    for broken in &report.broken {
        out.error(&format!("{name}: line {}: {}", broken.line, broken.problem));
    }
    let unnamed = report
        .run
        .broken
        .saturating_sub(i64::try_from(report.broken.len()).unwrap_or(i64::MAX));
    if unnamed > 0 {
        out.error(&format!("{name}: {unnamed} more lines can't be read"));
    }
    for (currency, fee) in &report.fees {
        let fee = currency.format_minor(*fee);
        out.note(&format!("booked the PSP's fees: {currency} {fee}"));
    }
    let (open, broken) = (report.open, report.run.broken);
    let fees = report.fees.iter().map(|(currency, amount)| Fee {
        currency: currency.code(),
        amount: *amount,
    });
    out.record(&Summary {
        run: ReconciliationView::new(&ledger, &report.run),
        open,
        fees: fees.collect(),
        broken_lines: report.broken,
    })?;
    if open > 0 {
        out.note(&format!(
            "discrepancies of this statement that are open: {open}; `aegisctl reconcile list` shows \
             them"
        ));
    }
    Ok(match (broken, open) {
        (1.., _) => Exit::Partly,
        (_, 1..) => Exit::Found,
        _ => Exit::Done,
    })
}
