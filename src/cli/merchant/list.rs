//! `aegisctl merchant list`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::merchant::MerchantId;
use crate::postgres::merchants;
use crate::view::MerchantView;

/// List merchants, in order of their ids
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl merchant list
  aegisctl -o csv merchant list --all")]
pub(in crate::cli) struct Args {
    /// Only merchants behind this one
    #[arg(long, value_name = "ID")]
    after: Option<MerchantId>,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut after = args.after.clone();
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let found = merchants::list(&mut conn, ledger.id, after.as_ref(), rows).await?;
        let shown = paging.take(&found);
        let ids: Vec<&MerchantId> = shown.iter().map(|merchant| &merchant.id).collect();
        let terms = merchants::terms_in_force_of(&mut conn, ledger.id, &ids).await?;
        for merchant in shown {
            let terms = terms.get(&merchant.id).map_or(&[][..], Vec::as_slice);
            list.push(&MerchantView::new(&ledger, merchant, terms))?;
            after = Some(merchant.id.clone());
        }
    }
    list.finish()?;
    if let Some(last) = after.filter(|_| paging.was_cut()) {
        paging.tell(&context.out, last.as_str());
    }
    Ok(Exit::Done)
}
