//! A whole aegisd under mixed load for a long time, while what it depends on breaks again and again:
//! its memory, descriptors, threads and connections stay flat, and in the end everything that was
//! answered was true.
//!
//! A file a job: `world` is what it runs in, `transfers`, `money`, `reading` and `letters` are the
//! load, `faults` break things, `samples` are what is looked at meanwhile, `flat` what must hold of
//! them, `rest` waits until all has come to an end, `books` are what must hold then.
//!
//! The short form, which `make test` runs, takes about 90 s. `make soak` runs for
//! `AEGIS_SOAK_MINUTES` (20). `AEGIS_SOAK_SEED` repeats a run's choices; the seed is printed, and all
//! samples go to `target/soak.csv`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod books;
mod caller;
mod faults;
mod flat;
mod letters;
mod load;
mod money;
mod reading;
mod rest;
mod samples;
mod transfers;
mod world;

use std::time::{Duration, Instant};

use crate::faults::Faults;
use crate::load::Load;
use crate::samples::{Sampler, Table};
use crate::world::World;

/// How long and how closely.
struct Form {
    warm_up: Duration,
    load: Duration,
    /// Between two samples.
    every: Duration,
    /// Between two faults, in milliseconds.
    calm_ms: std::ops::Range<u64>,
    growth: flat::Growth,
}

impl Form {
    /// By `AEGIS_SOAK_MINUTES`.
    fn chosen() -> Self {
        match number::<f64>("AEGIS_SOAK_MINUTES") {
            Some(minutes) => Self {
                warm_up: Duration::from_secs_f64((minutes * 6.0).clamp(10.0, 60.0)),
                load: Duration::from_secs_f64(minutes * 60.0),
                every: Duration::from_secs(if minutes < 5.0 { 1 } else { 5 }),
                calm_ms: 1_000..10_000,
                growth: match minutes < 5.0 {
                    true => flat::Growth::SHORT,
                    false => flat::Growth::LONG,
                },
            },
            None => Self {
                warm_up: Duration::from_secs(8),
                load: Duration::from_secs(50),
                every: Duration::from_secs(1),
                calm_ms: 500..1_500,
                growth: flat::Growth::SHORT,
            },
        }
    }
}

fn number<N: std::str::FromStr>(variable: &str) -> Option<N> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{variable} is {text:?}, which is no number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_mixed_load_and_faults_all_stays_flat_and_every_answer_was_true() {
    let seed = number("AEGIS_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("AEGIS_SOAK_SEED={seed}");
    let form = Form::chosen();
    let (mut world, servers) = World::new(seed, form.load).await;
    let mut sampler = Sampler::new(&world);

    // All pools and caches come into use, so that what they take is not held for a leak.
    let load = Load::start(&world, "warm", seed);
    tokio::time::sleep(form.warm_up).await;
    let mut seen = load.finish().await;
    let before = rest::reached(&world, &mut sampler, None).await;
    eprintln!("at rest after the warm-up: {}", before.told());

    let load = Load::start(&world, "soak", seed.wrapping_add(1_000));
    let faults = Faults::start(&world, servers, seed, form.calm_ms.clone());
    let mut table = Table::new(form.load);
    let (began, mut samples) = (Instant::now(), Vec::new());
    while began.elapsed() < form.load {
        tokio::time::sleep(form.every).await;
        assert!(world.daemon.runs(), "aegisd is gone");
        load.goes_on();
        faults.go_on();
        let sample = sampler.take(faults.under_way()).await;
        table.print(&sample);
        samples.push(sample);
    }
    let (servers, faults) = faults.stop().await;
    seen.extend(load.finish().await);
    eprintln!("faults: {faults}");
    let after = rest::reached(&world, &mut sampler, Some(&before)).await;
    eprintln!("at rest after the load: {}", after.told());
    samples.push(after.clone());
    eprintln!("all samples: {}", samples::write(&samples).display());

    flat::assert_memory(&samples, form.growth);
    flat::assert_bounded(&samples);
    flat::assert_given_back(&before, &after);
    let found = books::assert_all_is_well(&world, &seen).await;
    eprintln!("{found}");
    assert_eq!(world.daemon.stop().await, Some(0), "it ends in order");
    drop(servers);
}
