//! Feeds a subscription's records to a handler, claim by claim, until stopped.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Arrived, BusError, Subscription};
use crate::resilience::backoff::Reconnect;

/// The most records of a claim.
const CLAIM_RECORDS_MAX: usize = 500;

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// So many of its records, from the first on, are done with. The others come again: at once where
    /// nothing is wrong.
    pub done: usize,
    /// Why the next one is not: a dependency is in trouble, and nothing is said about the record. It
    /// comes again after a while.
    pub held: Option<String>,
}

/// Does something with records.
pub trait Handler: Send + Sync {
    /// Handles the records of a claim in their order.
    fn handle(&self, claim: &[Arrived]) -> impl Future<Output = Handled> + Send;
}

/// Feeds until stopped, and says once what is wrong and once that it is over.
pub async fn feed(
    name: &'static str,
    mut subscription: Subscription,
    handler: impl Handler,
    stop: CancellationToken,
) {
    let mut trouble = Trouble::new(name);
    loop {
        let step = async {
            let claim = subscription.claim(CLAIM_RECORDS_MAX).await?;
            Ok::<_, BusError>((handler.handle(&claim).await, claim.len()))
        };
        // What is in hand at the stop was not settled, and comes again.
        let wait = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            step = step => match step {
                Err(error) => trouble.met(&error.to_string()),
                Ok((handled, claimed)) => {
                    let settled = subscription.settle(handled.done.min(claimed)).await;
                    match (handled.held, settled) {
                        (Some(reason), _) => trouble.met(&reason),
                        (None, Err(error)) => trouble.met(&error.to_string()),
                        (None, Ok(())) => trouble.over(),
                    }
                }
            },
        };
        if wait > Duration::ZERO {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => break,
            }
        }
    }
    subscription.leave().await;
}

/// Tells a change once, and how long to wait.
struct Trouble {
    name: &'static str,
    reconnect: Reconnect,
    met: bool,
}

impl Trouble {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            reconnect: Reconnect::default(),
            met: false,
        }
    }

    fn met(&mut self, reason: &str) -> Duration {
        if !std::mem::replace(&mut self.met, true) {
            tracing::warn!(consumer = self.name, reason, "a consumer is held up");
        }
        self.reconnect.next_delay()
    }

    fn over(&mut self) -> Duration {
        if std::mem::take(&mut self.met) {
            tracing::info!(consumer = self.name, "a consumer goes on");
        }
        self.reconnect.reset();
        Duration::ZERO
    }
}
