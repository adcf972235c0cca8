//! Money goes back to customers.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::evidence::{GaveBack, Took, Way};
use crate::run::Day;
use crate::stage::numbers::seconds;
use crate::story::When;

impl Day<'_> {
    /// Merchants give money back, and customers complain at their banks.
    pub(crate) async fn give_back(&self, when: When, took: &Took) -> Result<Vec<GaveBack>> {
        let (story, orders) = (&self.story, &self.story.orders);
        let refunds = story.refunds.iter().filter(|refund| refund.when == when);
        let mut gave_back: Vec<GaveBack> = stream::iter(refunds)
            .map(|refund| async move {
                let payment = took.payment(refund.order)?;
                let answer = self.api.refund(payment, refund).await?;
                anyhow::Ok(GaveBack {
                    order: refund.order,
                    amount: refund.amount,
                    way: match answer {
                        Ok(_) => Way::Refund,
                        Err(code) => Way::Refused(code),
                    },
                })
            })
            .buffered(self.size.connections)
            .try_collect()
            .await?;
        let asked = gave_back.len();
        for dispute in story.disputes.iter().filter(|dispute| dispute.when == when) {
            let reference = &orders[dispute.order].reference;
            let id = self.simulator.dispute(reference, dispute.amount).await?;
            let act = if dispute.lost { "accept" } else { "decline" };
            self.simulator.act(&format!("disputes/{id}/{act}")).await?;
            if dispute.lost {
                gave_back.push(GaveBack {
                    order: dispute.order,
                    amount: dispute.amount,
                    way: Way::Chargeback,
                });
            }
        }
        let lost = gave_back.len() - asked;
        let disputes = story.disputes.iter().filter(|d| d.when == when).count();
        let rested = self.rest().await?;
        let line = format!(
            "{asked} refunds, {disputes} disputes of which {lost} were lost; at rest after {}",
            seconds(rested)
        );
        self.screen.say_indented(None, &line);
        Ok(gave_back)
    }
}
