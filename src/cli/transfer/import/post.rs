//! Batch after batch: post, write the outcomes, say how far it has come.

use std::time::Instant;

use anyhow::Context as _;

use super::outcomes::{Outcome, Outcomes, Status};
use super::reader::{self, Batch, Read, Reading};
use super::row::{Asked, Row};
use super::source::{InputFormat, Source};
use super::summary::Summary;
use crate::cli::context::Context;
use crate::cli::exit::{self, Exit, Failure};
use crate::cli::output::StdoutError;
use crate::cli::progress::Progress;
use crate::engine::{Engine, Request};
use crate::ledger::{self, Ledger};

/// An import under way.
pub(super) struct Import<'a> {
    pub(super) context: &'a Context,
    pub(super) ledger: Ledger,
    pub(super) engine: Engine,
    pub(super) batch_rows: usize,
    pub(super) format: Option<InputFormat>,
}

/// Why an import stopped before the end of its input.
pub(super) enum Stop {
    /// By a signal.
    Interrupted,
    /// Standard output was closed.
    NobodyReads,
    /// The database is away.
    Unreachable(String),
    /// Anything else.
    Failed(anyhow::Error),
}

impl Import<'_> {
    /// Posts all of it.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the input can't be used from its beginning on. Whatever stops it
    /// later is a [`Stop`].
    pub(super) async fn run(
        &self,
        source: Source,
        mut outcomes: Outcomes,
    ) -> anyhow::Result<(Summary, Option<Stop>)> {
        let began = Instant::now();
        let mut summary = outcomes.earlier;
        let mut progress = self.progress(&outcomes, source.bytes);
        let mut batches = reader::start(Reading {
            source,
            format: self.format,
            batch_rows: self.batch_rows,
            finished: outcomes.finished.clone(),
        });
        let mut resuming = outcomes.finished.is_some();
        let stop = loop {
            let batch = tokio::select! {
                biased;
                () = self.context.interrupt.cancelled() => break Some(Stop::Interrupted),
                batch = batches.recv() => batch,
            };
            let batch = match batch {
                Some(Ok(Read::Batch(batch))) => batch,
                Some(Ok(Read::End)) => break None,
                // Of the input as a whole: there is nothing to go on with.
                Some(Err(error)) if error.is::<Failure>() => {
                    progress.finish();
                    return Err(error);
                }
                Some(Err(error)) => break Some(Stop::Failed(error)),
                None => break Some(Stop::Failed(anyhow::anyhow!("the reader failed"))),
            };
            if std::mem::take(&mut resuming) {
                progress.resume_at(batch.position, summary.read);
            }
            let position = batch.position;
            match self.post(batch, &mut progress).await.and_then(|done| {
                outcomes.write(&done)?;
                Ok(done)
            }) {
                Ok(done) => done
                    .iter()
                    .for_each(|outcome| summary.count(outcome.status)),
                Err(error) => break Some(why(error)),
            }
            progress.at(position, summary.read);
        };
        let stop = match (stop, outcomes.finish()) {
            (None, Err(error)) => Some(why(error)),
            (stop, _) => stop,
        };
        progress.finish();
        // Milliseconds are as much as anybody wants to read.
        summary.seconds = (began.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
        Ok((summary, stop))
    }

    fn progress(&self, outcomes: &Outcomes, bytes: Option<u64>) -> Progress {
        // Outcomes that run over the terminal show the progress themselves.
        match outcomes.is_stdout() && self.context.out.data_is_on_a_terminal() {
            true => Progress::hidden(),
            false => Progress::start(&self.context.out, "importing", "rows", bytes),
        }
    }

    /// Posts the rows that can be posted, and puts the answers among the other rows' outcomes.
    async fn post(&self, batch: Batch, progress: &mut Progress) -> anyhow::Result<Vec<Outcome>> {
        let (mut outcomes, mut commands, mut places) = (Vec::new(), Vec::new(), Vec::new());
        outcomes.reserve(batch.rows.len());
        for Row { line, key, asked } in batch.rows {
            let (status, code, detail) = match asked {
                Asked::Post(command) => {
                    places.push(outcomes.len());
                    commands.push(*command);
                    // Until the answer is here.
                    (Status::Invalid, None, None)
                }
                Asked::Refused(no) => (Status::Rejected, Some(no.code.as_str()), Some(no.detail)),
                Asked::Unreadable(problem) => {
                    (Status::Invalid, Some(problem.code), Some(problem.detail))
                }
            };
            outcomes.push(Outcome {
                line,
                key,
                status,
                transaction_id: None,
                code: code.map(str::to_owned),
                detail: detail.map(one_line),
            });
        }
        if commands.is_empty() {
            return Ok(outcomes);
        }
        let answers = self.answers(commands, progress).await?;
        anyhow::ensure!(
            answers.len() == places.len(),
            "the engine gave too few answers"
        );
        for (place, answer) in places.into_iter().zip(answers) {
            let outcome = outcomes.get_mut(place).context("an answer without a row")?;
            match answer {
                ledger::Outcome::Posted(receipt) => {
                    outcome.status = Status::Posted;
                    outcome.transaction_id = Some(receipt.transaction_id);
                }
                ledger::Outcome::Replayed(receipt) => {
                    outcome.status = Status::Replayed;
                    outcome.transaction_id = Some(receipt.transaction_id);
                }
                ledger::Outcome::Rejected(no) => {
                    outcome.status = Status::Rejected;
                    outcome.code = Some(no.code.as_str().to_owned());
                    outcome.detail = Some(one_line(no.detail));
                }
            }
        }
        Ok(outcomes)
    }

    async fn answers(
        &self,
        commands: Vec<ledger::Command>,
        progress: &Progress,
    ) -> anyhow::Result<Vec<ledger::Outcome>> {
        let requests = [Request::independent(commands)];
        let posting = self.engine.post(&self.ledger, &requests);
        tokio::pin!(posting);
        let answers = tokio::select! {
            answers = &mut posting => answers,
            () = self.context.interrupt.cancelled() => {
                progress.suspend(|| {
                    self.context.out.note("stopping after this batch; once more stops at once");
                });
                posting.await
            }
        };
        Ok(answers?.into_iter().flatten().collect())
    }
}

fn why(error: anyhow::Error) -> Stop {
    if error
        .downcast_ref()
        .is_some_and(StdoutError::is_broken_pipe)
    {
        return Stop::NobodyReads;
    }
    match exit::of(&error) {
        Exit::Unreachable => Stop::Unreachable(exit::told(&error)),
        _ => Stop::Failed(error),
    }
}

fn one_line(text: String) -> String {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " "),
        false => text,
    }
}
