//! Questions to a person.

use std::io::{self, ErrorKind, IsTerminal};

use dialoguer::console::Term;
use dialoguer::{Confirm, Error};

use super::context::Context;
use super::exit::Failure;
use super::output::Table;

/// Shows a plan, as a table for people, before [`confirm`] asks about it.
pub(crate) fn show(context: &Context, plan: &Table) {
    let out = &context.out;
    if !(context.yes && out.is_quiet()) {
        out.subject(&out.error_table(plan));
    }
}

/// Returns once a person, or `--yes`, has said yes to what was shown before.
///
/// # Errors
/// [`Failure::Declined`] for a no, and where there is nobody to ask; [`Failure::Interrupted`].
pub(crate) async fn confirm(context: &Context, question: &str) -> anyhow::Result<()> {
    if context.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let message = "there is no terminal to ask on, and nothing was done: look at the plan with \
                       --dry-run, and carry it out with --yes";
        return Err(Failure::Declined(message.to_owned()).into());
    }
    let question = question.to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let question = Confirm::new().with_prompt(question).default(false);
        question.wait_for_newline(true).interact_opt()
    });
    let answer = tokio::select! {
        biased;
        () = context.interrupt.cancelled() => None,
        answer = asking => Some(answer?),
    };
    match answer {
        Some(Ok(Some(true))) => return Ok(()),
        Some(Ok(_)) => {
            return Err(Failure::Declined("declined; nothing was done".to_owned()).into());
        }
        Some(Err(Error::IO(error))) if error.kind() != ErrorKind::Interrupted => {
            return Err(error.into());
        }
        None | Some(Err(_)) => {}
    }
    // The question had hidden it.
    drop(Term::stderr().show_cursor());
    context.out.note("");
    Err(Failure::Interrupted("nothing was done".to_owned()).into())
}
