//! `aegisctl reconcile list`.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{PageArgs, Paging};
use crate::postgres::discrepancies::{self, Class, Filter, Status};
use crate::view::DiscrepancyView;

/// List discrepancies, the oldest first
///
/// Those that are not resolved, unless --status says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl reconcile list
  aegisctl reconcile list --class missing_here --wallet psp:paystack
  aegisctl -o jsonl reconcile list --status all --all | jq -c '[.id, .detail]'")]
pub(in crate::cli) struct Args {
    /// Only those that stand so: open, proposed, resolved or all
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those of a class, such as missing_here
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Only those of a wallet's statements, such as psp:paystack
    #[arg(long, value_name = "ADDRESS")]
    wallet: Option<String>,
    /// Only those of a reference
    #[arg(long, value_name = "R")]
    reference: Option<String>,
    /// Only those that a run found
    #[arg(long, value_name = "RUN")]
    run: Option<Uuid>,
    /// Only those behind this one
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let all = args.status.as_deref() == Some("all");
    let status = args.status.as_deref().filter(|_| !all);
    let status = status.map(|name| {
        Status::from_name(name).ok_or_else(|| {
            Failure::Usage(format!(
                "--status {name}: write open, proposed, resolved or all"
            ))
        })
    });
    let class = args.class.as_deref().map(|name| {
        Class::from_name(name).ok_or_else(|| {
            let known: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
            Failure::Usage(format!("--class {name} is none of {}", known.join(", ")))
        })
    });
    let filter = Filter {
        status: status.transpose()?,
        all,
        class: class.transpose()?,
        wallet: args.wallet.as_deref(),
        reference: args.reference.as_deref(),
        reconciliation: args.run,
    };
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let now = OffsetDateTime::now_utc();
    let mut after = args.after;
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let found = discrepancies::page(&mut conn, ledger.id, &filter, after, rows).await?;
        for it in paging.take(&found) {
            after = it.id;
            list.push(&DiscrepancyView::new(&ledger, it, now))?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        paging.tell(&context.out, &after.to_string());
    }
    Ok(Exit::Done)
}
