//! Sends a phase of the day: its lanes at the same time, each one request after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::day::{Phase, Request};
use crate::stage::aegisd::Aegisd;
use crate::tally::Tally;
use crate::world::World;

/// Makes the wallets, so many at a time.
pub(crate) async fn open(client: &Client, world: &World, connections: usize) -> Result<()> {
    stream::iter(&world.wallets)
        .map(|wallet| client.create_wallet(wallet))
        .buffer_unordered(connections)
        .try_collect::<()>()
        .await
}

/// What came of a phase.
pub(crate) struct Sent {
    pub tally: Tally,
    pub took: Duration,
    /// After how many answers aegisd was killed, and how long it was away.
    pub power_cut: Option<(u64, Duration)>,
}

/// Sends a phase, and where it says so kills aegisd in the middle and starts it again.
pub(crate) async fn send(
    client: &Client,
    world: &Arc<World>,
    phase: &Phase,
    aegisd: &mut Aegisd,
    bar: &ProgressBar,
) -> Result<Sent> {
    let began = Instant::now();
    let answered = Arc::new(AtomicU64::new(0));
    let mut lanes = JoinSet::new();
    for requests in phase.lanes.iter().filter(|lane| !lane.is_empty()) {
        let lane = Lane {
            client: client.clone(),
            world: Arc::clone(world),
            answered: Arc::clone(&answered),
            bar: bar.clone(),
        };
        lanes.spawn(lane.run(requests.clone()));
    }
    let all = async {
        let mut tally = Tally::default();
        while let Some(lane) = lanes.join_next().await {
            tally.merge(lane.context("a lane broke off")??);
        }
        anyhow::Ok(tally)
    };
    let middle = phase.requests().count() as u64 * 2 / 5;
    let cut = async {
        if !phase.power_cut {
            return Ok(None);
        }
        while answered.load(Ordering::Relaxed) < middle {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Answers come in bursts, one a commit: not always right behind one.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..20))).await;
        let after = answered.load(Ordering::Relaxed);
        let away = aegisd.kill_and_start_again().await?;
        anyhow::Ok(Some((after, away)))
    };
    let (tally, power_cut) = tokio::try_join!(all, cut)?;
    Ok(Sent {
        tally,
        took: began.elapsed(),
        power_cut,
    })
}

struct Lane {
    client: Client,
    world: Arc<World>,
    answered: Arc<AtomicU64>,
    bar: ProgressBar,
}

impl Lane {
    async fn run(self, requests: Vec<Request>) -> Result<Tally> {
        let mut tally = Tally::default();
        for request in &requests {
            let answers = self.client.send(&self.world, request).await?;
            tally.take(&self.world, request, answers);
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.bar.inc(1);
        }
        Ok(tally)
    }
}
