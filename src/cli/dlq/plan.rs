//! What a plan looks like.

use time::OffsetDateTime;

use super::letters;
use crate::cli::confirm;
use crate::cli::context::Context;
use crate::cli::output::{Cell, Column, Format, Output, Table};
use crate::cli::when;
use crate::dlq::plan::{LeftOut, Plan};
use crate::view::ReplayPlanView;

/// The letters left out that are named one by one.
const NAMED_MAX: usize = 10;

const COLUMNS: &[Column] = &[
    Column::text("original_topic"),
    Column::text("error_code"),
    Column::number("letters"),
    Column::text("oldest"),
    Column::text("newest"),
];

fn groups(plan: &Plan, age: bool) -> Table {
    let now = OffsetDateTime::now_utc();
    let time = |at: OffsetDateTime| match age {
        true => {
            let ago = (now - at).as_seconds_f64();
            Cell::Text(format!("{} ago", when::duration(ago)))
        }
        false => Cell::Time(at),
    };
    let mut table = Table::empty(COLUMNS);
    for group in &plan.groups {
        table.row(vec![
            group.original_topic.as_str().into(),
            group.error_code.as_str().into(),
            i64::try_from(group.count).unwrap_or(i64::MAX).into(),
            time(group.oldest_failed_at),
            time(group.newest_failed_at),
        ]);
    }
    table
}

/// The plan as data, for `--dry-run`.
pub(super) fn print(context: &Context, plan: &Plan) -> anyhow::Result<()> {
    let out = &context.out;
    let people = out.format() == Format::Table;
    match people && plan.groups.is_empty() {
        true => out.note("nothing would be replayed"),
        false => out.document(&ReplayPlanView::from(plan), None, &groups(plan, people))?,
    }
    if !plan.letters.is_empty() {
        out.note(&format!(
            "{} would be replayed, up to number {}; nothing was done",
            letters(plan.letters.len()),
            plan.last_letter_id()
        ));
    }
    tell_left_out(out, &plan.left_out);
    Ok(())
}

/// The plan for a person who is about to be asked.
pub(super) fn show(context: &Context, plan: &Plan) {
    confirm::show(context, &groups(plan, true));
    tell_left_out(&context.out, &plan.left_out);
}

/// Says which letters are left out, and why.
pub(super) fn tell_left_out(out: &Output, left_out: &[LeftOut]) {
    for left in left_out.iter().take(NAMED_MAX) {
        out.note(&format!("left out: letter {} {}", left.id, left.why));
    }
    let unnamed = left_out.iter().skip(NAMED_MAX);
    let force = unnamed
        .clone()
        .filter(|left| left.why.code() == "needs_force");
    match (unnamed.clone().count(), force.count()) {
        (0, _) => {}
        (more, 0) => out.note(&format!("left out: {more} more")),
        (more, force) => out.note(&format!(
            "left out: {more} more, of which {force} need force"
        )),
    }
    let forcible = |left: &&LeftOut| left.why.code() != "unreadable";
    if left_out.iter().any(|left| forcible(&left)) {
        out.note("--force replays them all the same, where their messages can be read");
    }
}
