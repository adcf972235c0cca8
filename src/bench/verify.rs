//! Verifying a ledger against merely reading its entries.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::post::transfers;
use super::scratch::{self, Scratch};
use super::{BenchError, Machine, Measurement, rate};
use crate::bus::topics;
use crate::engine::Engine;
use crate::postgres::{Settings, bench};
use crate::verify;

const BATCH: usize = 8_000;
const WALLETS: usize = 2_000;
const ROUNDS: usize = 3;

/// Measures verification of a ledger with about `entries` entries. The best of three rounds
/// counts, on both sides: noise only ever adds.
///
/// # Errors
/// Where the scratch database can't be used, or the ledger doesn't verify.
pub async fn verify(
    admin: &Settings,
    entries: usize,
    stop: &CancellationToken,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<(Machine, Vec<Measurement>), BenchError> {
    let (machine, measured) = scratch::within(admin, &scratch::name(), stop, async |scratch| {
        measure(scratch, entries, stop).await
    })
    .await?;
    measured.iter().for_each(progress);
    Ok((machine, measured))
}

async fn measure(
    scratch: &Scratch,
    entries: usize,
    stop: &CancellationToken,
) -> Result<Vec<Measurement>, BenchError> {
    scratch.wallets(WALLETS).await?;
    let engine = Engine::new(&scratch.settings, topics::TRANSACTIONS);
    for n in 0..entries.div_ceil(2 * BATCH) {
        let request = transfers(&format!("verify-{n}"), BATCH, WALLETS)?;
        engine.post(&scratch.ledger, &[request]).await?;
    }
    let mut conn = bench::connect(&scratch.settings).await?;
    // As a ledger is found in life: its events are out, its pages written.
    bench::settle(&mut conn).await?;
    let (mut best, mut floor) = (None, 0.0_f64);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let rows = bench::read_entries(&mut conn, scratch.ledger.id).await?;
        floor = floor.max(rate(rows, start.elapsed()));
        let start = Instant::now();
        let report = verify::ledger(
            &scratch.settings,
            &scratch.ledger,
            verify::Options::default(),
            &verify::Progress::default(),
            stop,
        )
        .await
        .map_err(|error| BenchError::Unexpected(error.to_string()))?;
        let took = start.elapsed();
        if !report.ok {
            return Err(BenchError::Unexpected(
                "the ledger does not verify".to_owned(),
            ));
        }
        let count = usize::try_from(report.entries).unwrap_or(usize::MAX);
        if best.is_none_or(|(_, shortest)| took < shortest) {
            best = Some((count, took));
        }
    }
    let (count, took) = best.unwrap_or_default();
    Ok(vec![
        Measurement::new("ledger verify", "entries/s", count, took).against(
            "the entries read by COPY, unchecked",
            floor,
            None,
        ),
    ])
}
