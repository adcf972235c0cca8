//! Merchants come in, ask for payments, and customers pay.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::api::{Answer, Api};
use crate::customers::Customers;
use crate::evidence::Took;
use crate::run::Day;
use crate::stage::numbers::{grouped, seconds};
use crate::stage::screen::Tone;
use crate::story::Order;
use crate::world::Merchant;

impl Day<'_> {
    /// Makes the merchants.
    pub(crate) async fn open(&self) -> Result<()> {
        self.head(
            "Merchants",
            "Each with terms of its own: fee, T+0 or T+1, reserve, who bears refunds and \
             chargebacks,\nfrom how much on it is paid out, and to which recipient at the PSP.",
        );
        let began = Instant::now();
        stream::iter(&self.merchants)
            .map(|merchant| async move {
                let code = merchant.currency.code();
                let recipient = self.simulator.recipient(&merchant.name, code).await?;
                let request = merchant.request(&self.clock, &recipient);
                self.api.create_merchant(merchant, &request).await
            })
            .buffer_unordered(self.size.connections)
            .try_collect::<()>()
            .await?;
        let line = format!(
            "{} merchants in {}; their day ends at {} ({})",
            self.merchants.len(),
            seconds(began.elapsed()),
            self.clock.cut_off,
            self.clock.zone
        );
        self.screen.say_indented(None, &line);
        Ok(())
    }

    /// Merchants ask for payments, customers pay, the PSP tells by webhook.
    pub(crate) async fn take_payments(&mut self) -> Result<Took> {
        self.head(
            "Money in",
            "A payment is written down before the PSP is called for it. Calls time out, are cut, \
             answered\nwith 500 or 429; webhooks come late, twice, out of order, forged, before \
             the call's own answer,\nor never. A few customers pay another amount.",
        );
        let began = Instant::now();
        let bar = self.screen.bar("asked for", self.story.orders.len() as u64);
        let answered = Arc::new(AtomicUsize::new(0));
        let (api, merchants, orders) = (&self.api, &self.merchants, &self.story.orders);
        let mut customers = Customers::new(self.simulator.clone());
        let mut took = Took::default();
        let asking = async {
            let mut asked = stream::iter(orders.iter().enumerate())
                .map(|(place, order)| ask(api, &merchants[order.merchant], place, order))
                .buffer_unordered(self.size.connections);
            while let Some(asked) = asked.next().await {
                let asked = asked?;
                customers.send(&orders[asked.place]);
                let order = &orders[asked.place];
                let fee = merchants[order.merchant].fee.of(order.amount);
                took.take(order, fee, asked);
                answered.fetch_add(1, Ordering::Relaxed);
                bar.inc(1);
            }
            anyhow::Ok(())
        };
        let (aegisd, cut) = (&mut self.aegisd, self.size.power_cut);
        let middle = orders.len() / 2;
        let killing = async {
            while cut && answered.load(Ordering::Relaxed) < middle {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            match cut {
                true => aegisd.kill_and_start_again().await.map(Some),
                false => Ok(None),
            }
        };
        let ((), away) = tokio::try_join!(asking, killing)?;
        bar.finish_and_clear();
        let asked = began.elapsed();
        customers.leave().await?;
        let line = format!(
            "{} payments asked for over {} connections in {}",
            grouped(orders.len() as u64),
            self.size.connections,
            seconds(asked)
        );
        self.screen.say_indented(None, &line);
        if let Some(away) = away {
            let line = format!(
                "Power cut: after {middle} answers aegisd was killed without warning (SIGKILL); it \
                 was back after {}.",
                seconds(away)
            );
            self.screen.say_indented(Some(Tone::Heading), &line);
        }
        let rested = self.rest().await?;
        let line = format!(
            "the last payment was credited {} after the last customer left",
            seconds(rested)
        );
        self.screen.say_indented(None, &line);
        Ok(took)
    }
}

/// What came of asking for one payment.
pub(crate) struct Asked {
    pub place: usize,
    /// The first answer, and the one under the same key again.
    pub answers: Vec<Answer>,
}

/// Asks for a payment; some clients ask twice under the same key.
async fn ask(api: &Api, merchant: &Merchant, place: usize, order: &Order) -> Result<Asked> {
    let mut answers = vec![api.pay(&merchant.name, order, &order.reference).await?];
    if order.asked_twice {
        answers.push(api.pay(&merchant.name, order, &order.reference).await?);
    }
    Ok(Asked { place, answers })
}
