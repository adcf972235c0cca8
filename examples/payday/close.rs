//! The end of the day: what all sides know is gathered.

use std::time::Instant;

use anyhow::Result;
use time::format_description::well_known::Rfc3339;

use crate::compare::{self, Compare, Read};
use crate::evidence::{Evidence, Findings, GaveBack, Took};
use crate::psp::Psp;
use crate::run::{Day, LOOK, RELAY_PATIENCE};
use crate::stage::environment;
use crate::stage::numbers::grouped;
use crate::tool::{self, Run};

impl Day<'_> {
    /// Gathers what all sides know, and compares it.
    pub(crate) async fn close(
        &self,
        took: Took,
        gave_back: [Vec<GaveBack>; 3],
        runs: Vec<Run>,
    ) -> Result<Evidence> {
        self.head(
            "Reconciliation",
            "The PSP's export is held against the ledger: each line, and what stands in the \
             clearing wallets.",
        );
        let file = environment::log("payday-settlement.csv");
        std::fs::write(&file, self.simulator.export().await?)?;
        let reconciled = tool::reconcile(&self.aegisctl, &file).await?;
        let returned = self.ask_about_what_came_back().await?;
        let again = tool::reconcile(&self.aegisctl, &file).await?;
        let cleared = tool::clearing(&self.aegisctl).await?;
        let number = |name: &str| reconciled.said[name].as_u64().unwrap_or(0);
        let line = format!(
            "{} lines, {} matched with the ledger, {} discrepancies; the same file again: {} known",
            grouped(number("lines")),
            grouped(number("matched")),
            number("opened"),
            grouped(again.said["known"].as_u64().unwrap_or(0)),
        );
        self.screen.say_indented(None, &line);
        if returned > 0 {
            let line = format!(
                "{returned} of them: a payout came back and its webhook was lost; the PSP was asked \
                 about it, and the second time it agrees"
            );
            self.screen.say_indented(None, &line);
        }
        let psp = Psp::of(&self.simulator.movements().await?, &self.story.orders);
        let read = Read {
            payments: self.api.payments().await?,
            refunds: tool::list(&self.aegisctl, "refund").await?,
            payouts: self.api.all("payouts").await?,
            discrepancies: tool::list(&self.aegisctl, "reconcile").await?,
            balances: self.api.balances().await?,
        };
        let mut findings = Findings::default();
        findings.differences.extend(took.wrong.iter().cloned());
        // Without the zone, as a beginning that times of the PSP are compared with.
        let cut_off = self.cut_off.format(&Rfc3339)?;
        let cut_off = cut_off.trim_end_matches('Z');
        let compare = Compare {
            merchants: &self.merchants,
            orders: &self.story.orders,
            gave_back: &gave_back,
            cut_off,
            psp: &psp,
            read: &read,
        };
        let (flows, balances) = compare.compare(&runs, &mut findings);
        let runs = [&reconciled, &again];
        compare::reconciliation(runs, returned, &cleared, &compare, &mut findings);
        let verification = self.aegisctl.verify().await?;
        findings.same("ledger verify, ok", &true, &verification.ok);
        findings.same(
            "events left in the outbox",
            &0,
            &self.left_in_outbox().await?,
        );
        let traced = gave_back[0].first().map_or(0, |back| back.order);
        let reference = &self.story.orders[traced].reference;
        Ok(Evidence {
            flows,
            balances,
            findings,
            faults: self.simulator.happened().await?,
            verification,
            trace: tool::trace(&self.aegisctl, reference).await?,
        })
    }

    /// What an operator does about a payout that the statement has back and the ledger has not: no webhook
    /// told of it, so the PSP is asked. How many there were.
    async fn ask_about_what_came_back(&self) -> Result<i64> {
        let mut returned = 0;
        for found in tool::list(&self.aegisctl, "reconcile").await? {
            let is_back = found["class"] == "missing_here" && found["subject_kind"] == "payout";
            if let (true, Some(id)) = (is_back, found["subject_id"].as_str()) {
                tool::ask_until_returned(&self.aegisctl, id).await?;
                returned += 1;
            }
        }
        Ok(returned)
    }

    async fn left_in_outbox(&self) -> Result<usize> {
        let began = Instant::now();
        while began.elapsed() < RELAY_PATIENCE && self.aegisctl.events_wait().await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.aegisctl.waiting_events().await?.len())
    }
}
