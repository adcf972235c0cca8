//! What a run would pay, before it is frozen.

use serde::Serialize;

use super::{payouts, summary};
use crate::cli::confirm;
use crate::cli::context::Context;
use crate::cli::output::{Cell, Column, Format, Output, Record, Table};
use crate::payout_runs::due::LeftOut;
use crate::payout_runs::{List, RunKey};
use crate::view::{PayoutRunItemView, hex};

/// The items that a person is shown before the question.
const SHOWN_MAX: usize = 20;
/// Those left out that are named one by one.
const NAMED_MAX: usize = 20;

/// A plan.
pub(super) struct Plan<'a> {
    pub(super) key: &'a RunKey,
    pub(super) list: &'a List,
    pub(super) left_out: &'a [LeftOut],
    pub(super) approval_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct LeftOutView {
    merchant: String,
    currency: &'static str,
    code: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct Head<'a> {
    key: &'a str,
    count: i32,
    total: i64,
    currency: &'static str,
    list_hash: String,
    source: &'static str,
    approval_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    items: Vec<PayoutRunItemView>,
    left_out: Vec<LeftOutView>,
    dry_run: bool,
}

impl Record for Head<'_> {
    const COLUMNS: &'static [Column] = &[
        Column::text("key"),
        Column::number("count"),
        Column::number("total"),
        Column::text("currency"),
        Column::text("list_hash"),
        Column::text("approval_reason"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.key.into(),
            i64::from(self.count).into(),
            Cell::money(self.total, self.currency),
            self.currency.into(),
            self.list_hash.as_str().into(),
            Cell::optional(self.approval_reason),
        ]
    }
}

impl<'a> Plan<'a> {
    fn head(&self) -> Head<'a> {
        let list = self.list;
        Head {
            key: self.key.as_str(),
            count: list.count(),
            total: list.total(),
            currency: list.currency().code(),
            list_hash: hex(list.hash()),
            source: list.source().as_str(),
            approval_reason: self.approval_reason,
        }
    }

    fn items(&self, most: usize) -> Vec<PayoutRunItemView> {
        let currency = self.list.currency().code();
        let items = self.list.items().iter().zip(1..).take(most);
        items
            .map(|(item, number)| PayoutRunItemView {
                number,
                merchant: item.merchant.to_string(),
                amount: item.amount,
                currency: currency.to_owned(),
                reference: item.reference.clone(),
                due_on: item.due_on.map(|day| day.to_string()),
                outcome: "waiting",
                payout_id: None,
                payout_status: None,
                code: None,
                detail: None,
            })
            .collect()
    }

    /// The plan as data, for `--dry-run`.
    pub(super) fn print(&self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let document = Document {
            head: self.head(),
            items: self.items(usize::MAX),
            left_out: self.left_out.iter().map(LeftOutView::from).collect(),
            dry_run: true,
        };
        let head = Table::of(&[self.head()]);
        out.document(&document, Some(&head), &items_table(&document.items))?;
        tell_left_out(out, self.left_out);
        let count = payouts(self.list.count());
        out.note(&format!("{count} would be frozen; nothing was done"));
        Ok(())
    }

    /// The plan for a person who is about to be asked.
    pub(super) fn show(&self, context: &Context) {
        confirm::show(context, &items_table(&self.items(SHOWN_MAX)));
        let more = self.list.items().len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            let told = format!("and {more} more: --dry-run shows all of them");
            context.out.note(&told);
        }
        let head = self.head();
        context.out.note(&format!(
            "{} of {} {}, list {}",
            payouts(head.count),
            self.list.currency().format_minor(head.total),
            head.currency,
            head.list_hash
        ));
        tell_left_out(&context.out, self.left_out);
        if let Some(reason) = self.approval_reason {
            context.out.note(&format!(
                "it will wait for the approval of somebody else, since {reason}"
            ));
        }
    }
}

const COLUMNS: &[Column] = &[
    Column::number("number"),
    Column::text("merchant"),
    Column::number("amount"),
    Column::text("currency"),
    Column::text("reference"),
    Column::text("due_on"),
];

fn items_table(items: &[PayoutRunItemView]) -> Table {
    let mut table = Table::empty(COLUMNS);
    for item in items {
        table.row(vec![
            i64::from(item.number).into(),
            item.merchant.as_str().into(),
            Cell::money(item.amount, &item.currency),
            item.currency.as_str().into(),
            Cell::optional(item.reference.as_deref()),
            Cell::optional(item.due_on.as_deref()),
        ]);
    }
    table
}

impl From<&LeftOut> for LeftOutView {
    fn from(left: &LeftOut) -> Self {
        Self {
            merchant: left.merchant.to_string(),
            currency: left.currency.code(),
            code: left.why.code(),
            detail: format!("{} {}", left.merchant, left.why),
        }
    }
}

/// Says who is not on the list, and why.
pub(super) fn tell_left_out(out: &Output, left_out: &[LeftOut]) {
    for left in left_out.iter().take(NAMED_MAX) {
        out.note(&format!(
            "left out: {} in {} {}",
            left.merchant, left.currency, left.why
        ));
    }
    let more = left_out.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        out.note(&format!("left out: {more} more; -o json names all of them"));
    }
}

/// What is said where nothing is due: a run of nothing is not written down.
pub(super) fn nothing(
    context: &Context,
    key: &RunKey,
    currency: Option<&str>,
    left_out: &[LeftOut],
    dry_run: bool,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Nothing<'a> {
        key: &'a str,
        status: &'static str,
        count: u8,
        total: u8,
        currency: Option<&'a str>,
        list_hash: Option<&'a str>,
        succeeded: u8,
        failed: u8,
        unknown: u8,
        waiting: u8,
        left_out: Vec<LeftOutView>,
        dry_run: bool,
    }
    let out = &context.out;
    tell_left_out(out, left_out);
    out.note("no payout is due: nothing to do");
    if out.format() == Format::Table {
        return Ok(());
    }
    let nothing = Nothing {
        key: key.as_str(),
        status: summary::NOTHING_DUE,
        count: 0,
        total: 0,
        currency,
        list_hash: None,
        succeeded: 0,
        failed: 0,
        unknown: 0,
        waiting: 0,
        left_out: left_out.iter().map(LeftOutView::from).collect(),
        dry_run,
    };
    out.document(&nothing, None, &Table::empty(COLUMNS))?;
    Ok(())
}
