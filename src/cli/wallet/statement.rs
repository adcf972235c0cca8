//! `aegisctl wallet statement`.

use time::OffsetDateTime;

use super::WalletArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record};
use crate::cli::page::{PageArgs, Paging};
use crate::cli::when;
use crate::postgres::transactions::{self, Span};
use crate::view::StatementLineView;

/// List what moved a wallet
///
/// Oldest first, by the time of recording. Money in is positive, money out is negative.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl wallet statement merchant:acme:available --currency NGN
  aegisctl wallet statement merchant:acme:available --currency NGN \\
      --from 2026-11-01 --to 2026-12-01 --all")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Recorded at this time or later: RFC 3339, or a date for its first moment in UTC
    #[arg(long, value_name = "T", value_parser = when::parse)]
    from: Option<OffsetDateTime>,
    /// Recorded before this time: RFC 3339, or a date for its first moment in UTC
    #[arg(long, value_name = "T", value_parser = when::parse)]
    to: Option<OffsetDateTime>,
    /// Only entries behind this version
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    page: PageArgs,
}

impl Record for StatementLineView {
    const COLUMNS: &'static [Column] = &[
        Column::number("version"),
        Column::text("recorded_at"),
        Column::text("effective_at").detail(),
        Column::text("currency"),
        Column::number("amount"),
        Column::number("balance_after"),
        Column::text("transaction_id"),
        Column::text("kind").detail(),
        Column::text("reference"),
        Column::text("correlation_id").detail(),
        Column::text("hash").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.version.into(),
            Cell::Time(self.recorded_at),
            Cell::Time(self.effective_at),
            self.currency.into(),
            Cell::money(self.amount, self.currency),
            Cell::money(self.balance_after, self.currency),
            self.transaction_id.to_string().into(),
            self.kind.as_str().into(),
            Cell::optional(self.reference.as_deref()),
            Cell::optional(self.correlation_id.as_deref()),
            self.hash.as_str().into(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let wallet = args.wallet.find(&mut conn, &ledger).await?;
    let mut span = Span {
        after_version: args.after,
        from: args.from,
        to: args.to,
        limit: 0,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        span.limit = rows;
        let found = transactions::statement(&mut conn, ledger.id, wallet.id, span).await?;
        for line in paging.take(&found) {
            span.after_version = line.version;
            list.push(&StatementLineView::new(line.clone(), wallet.currency))?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        paging.tell(&context.out, &span.after_version.to_string());
    }
    Ok(Exit::Done)
}
