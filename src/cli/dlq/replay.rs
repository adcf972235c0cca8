//! `aegisctl dlq replay`.

use std::num::NonZeroU32;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;

use super::publish::Way;
use super::summary::Summary;
use super::{failure, letters, list, plan, unknown};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::dlq::plan::Plan;
use crate::dlq::runs;
use crate::dlq::selection::{IDS_MAX, Selection, Which};

/// Publish letters' messages to their topics again
///
/// Shows what it is about to do and asks; then it does that and no more: letters that come back
/// meanwhile are not part of it. The messages keep their ids, keys, payloads and headers, so that
/// consumers drop what they had handled; the trace is a new one, and the number of replays goes with
/// them. The order of each key is kept: behind a letter that fails, none of its key is published.
///
/// A letter is marked once its message is acknowledged. Whatever stops a replay, nothing is lost:
/// the same command goes on, and what was published twice is dropped by its id.
///
/// A message that came back after three replays is left out unless --force says otherwise. Letters
/// named by number that were replayed or discarded before are left out too, and with --force
/// published once more.
///
/// With BUS=kafka it publishes by itself, whether aegisd runs or not. With BUS=local the bus lives
/// within aegisd, which is asked to run the replay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq replay 17 18
  aegisctl dlq replay --topic aegis.settlements --error psp_unavailable --dry-run
  aegisctl dlq replay --all --since 2h --rate 50/s
  aegisctl --yes -o json dlq replay --all --limit 1000

Exit codes: 0 all were replayed, now or before, or there was nothing to do; 5 some failed or were
left out; 6 another replay is at one of the topics; 7 the bus or the database is away; 8 declined,
or no terminal to ask on; 130 interrupted or cancelled, at a safe point.")]
pub(in crate::cli) struct Args {
    /// The letters' numbers
    #[arg(value_name = "ID", conflicts_with_all = ["all", "topic", "error", "since", "limit"])]
    ids: Vec<i64>,
    /// All that wait (and fit the other options)
    #[arg(long)]
    all: bool,
    /// Those whose message was on this topic
    #[arg(long, value_name = "TOPIC", value_parser = NonEmptyStringValueParser::new())]
    topic: Option<String>,
    /// Those whose error holds this text, whatever the case of its letters
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    error: Option<String>,
    /// Those that failed at this time or later: a time, a date, or how long ago (45m, 2h, 3d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many, the oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// At most so many a second, such as 50/s
    #[arg(long, value_name = "N/s")]
    rate: Option<Rate>,
    /// Also those that came back after three replays, and with numbers those decided on before
    #[arg(long)]
    force: bool,
    /// Show the plan, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug)]
struct Rate(NonZeroU32);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let rate = number.trim().parse().map(Self);
        rate.map_err(|_| "write letters a second, 1 or more, such as 50/s".to_owned())
    }
}

impl Args {
    fn which(&self) -> Result<Which, Failure> {
        let filtered = self.topic.is_some() || self.error.is_some() || self.since.is_some();
        if self.ids.len() > IDS_MAX {
            let message = format!("more than {IDS_MAX} numbers: select them by other options");
            return Err(Failure::Usage(message));
        }
        if !self.ids.is_empty() {
            return Ok(Which::ids(self.ids.clone()));
        }
        if !self.all && !filtered {
            return Err(Failure::Usage(
                "which letters? Give their numbers (`aegisctl dlq list` shows them), or --topic, \
                 --error or --since, or --all"
                    .to_owned(),
            ));
        }
        Ok(Which::Waiting {
            topic: self.topic.clone(),
            error: self.error.clone(),
            since: list::since(self.since.as_deref())?,
        })
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let which = args.which()?;
    let planning = async {
        let mut conn = context.connect().await?;
        let selection = Selection {
            limit: args.limit.and_then(|limit| usize::try_from(limit).ok()),
            ledger: context.ledger_flag(&mut conn).await?,
            force: args.force,
            ..Selection::new(which)
        };
        let plan = Plan::make(&mut conn, selection).await?;
        Ok((conn, plan))
    };
    let (mut conn, plan) = context.unless_interrupted(planning).await?;
    if !plan.unknown.is_empty() {
        return Err(unknown(&plan.unknown).into());
    }
    if args.dry_run {
        plan::print(context, &plan)?;
        return Ok(Exit::Done);
    }
    if plan.letters.is_empty() {
        plan::tell_left_out(&context.out, &plan.left_out);
        return Summary::nothing(&plan).end(context);
    }
    plan::show(context, &plan);
    let way = context
        .unless_interrupted(async {
            runs::check_free(&mut conn, &plan.topics())
                .await
                .map_err(failure)?;
            Way::open(context, &plan).await
        })
        .await?;
    confirm(context, &question(&plan)).await?;
    let rate = args.rate.map(|Rate(rate)| rate);
    let summary = way.carry_out(context, conn, plan, rate).await?;
    summary.end(context)
}

fn question(plan: &Plan) -> String {
    let topics = plan.topics();
    let to = match topics.as_slice() {
        [only] => only.clone(),
        several => format!("{} topics", several.len()),
    };
    format!("Replay {} to {to}?", letters(plan.letters.len()))
}
