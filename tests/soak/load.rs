//! All clients together, and what they were answered.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::caller::Caller;
use crate::world::World;
use crate::{letters, money, reading, transfers};

/// What was answered: keys, and the ids of what was made under them.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) transfers: Vec<(String, Uuid)>,
    pub(crate) rejected: Vec<String>,
    pub(crate) repeats: usize,
    pub(crate) payments: Vec<(String, Uuid)>,
    pub(crate) refunds: Vec<(String, Uuid)>,
    pub(crate) payouts: Vec<(String, Uuid)>,
    pub(crate) runs: Vec<String>,
    pub(crate) letters: usize,
}

impl Seen {
    pub(crate) fn extend(&mut self, more: Self) {
        self.transfers.extend(more.transfers);
        self.rejected.extend(more.rejected);
        self.repeats += more.repeats;
        self.payments.extend(more.payments);
        self.refunds.extend(more.refunds);
        self.payouts.extend(more.payouts);
        self.runs.extend(more.runs);
        self.letters += more.letters;
    }
}

pub(crate) struct Load {
    clients: std::sync::Mutex<JoinSet<Seen>>,
    stop: CancellationToken,
}

impl Load {
    /// Lets them begin. The keys of a part begin with its name.
    pub(crate) fn start(world: &World, part: &str, seed: u64) -> Self {
        let (mut clients, stop) = (JoinSet::new(), CancellationToken::new());
        let mut number = 0;
        let mut caller = |job: &str| {
            number += 1;
            Caller::new(
                format!("{part}-{job}-{number}"),
                &world.daemon.address,
                Arc::clone(&world.tally),
                stop.clone(),
                seed.wrapping_add(number),
            )
        };
        for _ in 0..6 {
            clients.spawn(transfers::post(caller("transfer")));
        }
        for _ in 0..3 {
            clients.spawn(money::pay_and_give_back(caller("payment")));
        }
        clients.spawn(money::pay_out(caller("payout")));
        clients.spawn(money::run_payouts(caller("run")));
        clients.spawn(reading::read(caller("read")));
        clients.spawn(letters::send(caller("letter"), &world.topic));
        Self {
            clients: std::sync::Mutex::new(clients),
            stop,
        }
    }

    /// Fails where a client did.
    pub(crate) fn goes_on(&self) {
        let ended = self.clients.lock().unwrap().try_join_next();
        if let Some(ended) = ended {
            panic!("a client stopped: {:?}", ended.map(drop));
        }
    }

    /// Lets the clients end what they are at.
    pub(crate) async fn finish(self) -> Seen {
        self.stop.cancel();
        let mut clients = self.clients.into_inner().unwrap();
        let mut seen = Seen::default();
        while let Some(client) = clients.join_next().await {
            seen.extend(client.expect("a client went through"));
        }
        seen
    }
}
