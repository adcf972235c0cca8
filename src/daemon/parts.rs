//! What runs until the end, by name: the first that ends by itself ends the daemon.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::resilience::panicked;

/// Starts parts, and tells of those that end. Clones tell the same listener.
#[derive(Clone, Debug)]
pub(super) struct Starter(mpsc::UnboundedSender<&'static str>);

/// Hears which parts end.
#[derive(Debug)]
pub(super) struct Endings(mpsc::UnboundedReceiver<&'static str>);

/// A running part.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    task: JoinHandle<()>,
}

/// For one daemon.
pub(super) fn starter() -> (Starter, Endings) {
    let (tell, hear) = mpsc::unbounded_channel();
    (Starter(tell), Endings(hear))
}

impl Starter {
    /// Starts a part. However it ends, by a panic too, it is told.
    pub(super) fn start(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Part {
        let tell = self.0.clone();
        let task = tokio::spawn(async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                let reason = panicked::words(&*panic).unwrap_or("it panicked");
                tracing::error!(part = name, reason, "a part did not end well");
            }
            // While it drains, nobody listens any more.
            let _ = tell.send(name);
        });
        Part { name, task }
    }
}

impl Endings {
    /// The next part that ends.
    pub(super) async fn next(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}

impl Part {
    /// Waits for its end; it was told to.
    pub(super) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(part = self.name, %error, "a part did not end well");
        }
    }

    /// Ends it wherever it is.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "it is what is told of")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_returns_or_panics_is_told_of_and_one_that_runs_is_not() {
        let (starter, mut endings) = starter();
        let runs = starter.start("runs", std::future::pending());
        let returns = starter.start("returns", async {});
        assert_eq!(endings.next().await, "returns");
        returns.ended().await;
        let panics = starter.start("panics", async { panic!("of the test") });
        assert_eq!(endings.next().await, "panics");
        panics.ended().await;
        assert!(endings.next().now_or_never().is_none());
        runs.abort();
    }
}
