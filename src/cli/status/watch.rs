//! `aegisctl status --watch`: the screen again and again.

use std::time::Duration;

use super::neighbours::Neighbours;
use super::{Args, View, look};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Format, Screen};
use crate::cli::when;

pub(super) async fn run(
    context: &Context,
    neighbours: &Neighbours<'_>,
    args: &Args,
) -> anyhow::Result<Exit> {
    let interval = Duration::from_secs(u64::from(args.interval));
    let mut screen = context.out.screen();
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looks: u32 = 0;
    loop {
        let looking = async {
            tick.tick().await;
            look(context, neighbours).await
        };
        let (view, exit) = tokio::select! {
            seen = looking => seen,
            () = context.interrupt.cancelled() => return Ok(Exit::Interrupted),
        };
        show(context, &mut screen, &view, args.interval)?;
        looks = looks.saturating_add(1);
        if args.count.is_some_and(|count| looks >= count) {
            return Ok(exit);
        }
    }
}

fn show(
    context: &Context,
    screen: &mut Option<Screen>,
    view: &View,
    interval: u32,
) -> anyhow::Result<()> {
    let (at, table) = (when::format(view.at), view.table(context.out.width()));
    match screen {
        Some(screen) => {
            let head = format!(
                "{at}  {}  (every {interval} s, Ctrl-C ends)",
                view.summary()
            );
            screen.draw(&format!("{head}\n\n{}", context.out.horizontal(&table)))?;
        }
        None if context.out.format() == Format::Table => {
            let head = format!("{at}  {}", view.summary());
            let block = format!("{head}\n{}\n", context.out.horizontal(&table));
            context.out.text(block.as_bytes())?;
        }
        None => context.out.document(view, None, &table)?,
    }
    Ok(())
}
