//! The thread that reads: it makes the next batch while the present one commits.

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::earlier::Finished;
use super::row::Row;
use super::source::{InputFormat, Records, Source};
use crate::cli::exit::Failure;

/// A batch ends once so much of the input was read for it, however few its rows are.
const BATCH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What the thread hands over. A thread that ended without saying so has failed.
#[derive(Debug)]
pub(super) enum Read {
    Batch(Batch),
    End,
}

/// Rows to post together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// How many bytes of the input lie up to its end.
    pub(super) position: u64,
}

/// What to read.
pub(super) struct Reading {
    pub(super) source: Source,
    pub(super) format: Option<InputFormat>,
    pub(super) batch_rows: usize,
    /// The last row of an earlier run, behind which to begin.
    pub(super) finished: Option<Finished>,
}

/// Starts the thread. One batch waits at most; it ends once nobody takes its batches.
pub(super) fn start(reading: Reading) -> mpsc::Receiver<anyhow::Result<Read>> {
    let (batches, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        if let Err(error) = read(reading, &batches) {
            drop(batches.blocking_send(Err(error)));
        }
    });
    receiver
}

fn read(reading: Reading, batches: &mpsc::Sender<anyhow::Result<Read>>) -> anyhow::Result<()> {
    let name = reading.source.name();
    let mut records = reading.source.records(reading.format)?;
    let failed = |line| format!("{name} can't be read behind line {line}");
    // False once nobody takes batches any more.
    let hand_over = |read| batches.blocking_send(Ok(read)).is_ok();
    if let Some(finished) = &reading.finished {
        skip(&mut records, finished).with_context(|| name.clone())?;
        let nothing_yet = Batch {
            rows: Vec::new(),
            position: records.position(),
        };
        if !hand_over(Read::Batch(nothing_yet)) {
            return Ok(());
        }
    }
    loop {
        let began = records.position();
        let mut rows = Vec::with_capacity(reading.batch_rows.min(1_024));
        let mut ended = false;
        while rows.len() < reading.batch_rows
            && records.position().saturating_sub(began) < BATCH_BYTES_MAX
        {
            if !records.advance().with_context(|| failed(records.line()))? {
                ended = true;
                break;
            }
            rows.push(records.row());
        }
        let batch = Batch {
            rows,
            position: records.position(),
        };
        if !batch.rows.is_empty() && !hand_over(Read::Batch(batch)) {
            return Ok(());
        }
        if ended {
            hand_over(Read::End);
            return Ok(());
        }
    }
}

/// Passes over what an earlier run finished.
fn skip(records: &mut Records, finished: &Finished) -> anyhow::Result<()> {
    while records.advance()? {
        if records.line() < finished.line {
            continue;
        }
        let key = records.row().key;
        if records.line() == finished.line && key == finished.key {
            return Ok(());
        }
        break;
    }
    Err(Failure::Usage(format!(
        "the outcomes end with line {}, key {:?}, which is not what stands there: they belong to \
         another input, or the input was changed",
        finished.line,
        finished.key.as_deref().unwrap_or_default()
    ))
    .into())
}
