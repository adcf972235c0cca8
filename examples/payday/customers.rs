//! Customers at the checkout. Each waits until the PSP knows the payment, which may take a while
//! where the call that opens it failed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::simulator::Simulator;
use crate::story::{Customer, Order};

/// How long a customer waits for the checkout.
const PATIENCE: Duration = Duration::from_secs(90);

/// All customers of the day.
pub(crate) struct Customers {
    simulator: Simulator,
    at_checkout: JoinSet<Result<()>>,
}

impl Customers {
    pub(crate) fn new(simulator: Simulator) -> Self {
        Self {
            simulator,
            at_checkout: JoinSet::new(),
        }
    }

    /// Sends one to the checkout, and goes on.
    pub(crate) fn send(&mut self, order: &Order) {
        let (simulator, order) = (self.simulator.clone(), order.clone());
        self.at_checkout
            .spawn(async move { at_checkout(&simulator, &order).await });
    }

    /// Waits until all have left.
    pub(crate) async fn leave(mut self) -> Result<()> {
        while let Some(left) = self.at_checkout.join_next().await {
            left.context("a customer broke off")??;
        }
        Ok(())
    }
}

async fn at_checkout(simulator: &Simulator, order: &Order) -> Result<()> {
    let began = Instant::now();
    let reference = &order.reference;
    loop {
        let done = match order.customer {
            Customer::Pays => simulator.pay(reference, None).await,
            Customer::PaysOther(amount) => simulator.pay(reference, Some(amount)).await,
            Customer::Fails => leaves(simulator, reference, "fail").await,
            Customer::GoesAway => leaves(simulator, reference, "abandon").await,
        };
        match done {
            Err(_) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            done => return done.with_context(|| format!("the checkout of {reference}")),
        }
    }
}

async fn leaves(simulator: &Simulator, reference: &str, act: &str) -> Result<()> {
    match simulator.act(&format!("checkout/{reference}/{act}")).await {
        // As early webhooks have it, it was paid before.
        Err(error) if !format!("{error:#}").contains("already") => Err(error),
        _ => Ok(()),
    }
}
