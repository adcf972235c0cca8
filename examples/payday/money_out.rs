//! What has matured is settled, and paid out.

use std::time::Duration;

use anyhow::Result;
use time::OffsetDateTime;

use crate::money::Currency;
use crate::run::Day;
use crate::stage::numbers::seconds;
use crate::stage::screen::Tone;
use crate::tool::{self, Run};

impl Day<'_> {
    /// What has matured becomes the merchants' to have, once, however often it is run.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.head(
            "Settlement",
            "The merchants' day ends. What was paid before moves from pending to available, less \
             the reserve;\ncron starts the run twice.",
        );
        let wait = self.cut_off - OffsetDateTime::now_utc();
        if let Ok(wait) = Duration::try_from(wait) {
            let line = format!("{} until their day ends", seconds(wait));
            self.screen.say_indented(None, &line);
            tokio::time::sleep(wait + Duration::from_secs(1)).await;
        }
        let first = tool::settle(&self.aegisctl).await?;
        let second = tool::settle(&self.aegisctl).await?;
        let line = format!(
            "{} periods of merchants settled; the second run settled {}",
            first["settled"], second["settled"]
        );
        self.screen.say_indented(None, &line);
        Ok(())
    }

    /// Merchants are paid out, by a run for each currency.
    pub(crate) async fn pay_out(&self) -> Result<Vec<Run>> {
        self.head(
            "Money out",
            "A payout run for each currency. The larger one is killed half-way (SIGKILL) and \
             started again with\nthe same key, then once more, as cron might: nobody is paid \
             twice.",
        );
        let mut runs = Vec::new();
        for currency in Currency::ALL {
            let code = currency.code();
            // About half of those that are due.
            let half = self.merchants.len() as u64 / 6;
            let kill = (self.size.power_cut && currency == Currency::Ngn).then_some(half);
            let key = format!("{}-{}", self.ledger, code.to_lowercase());
            let run = tool::pay_out(&self.aegisctl, &self.simulator, key, currency, kill).await?;
            if let Some(sent) = run.killed_after {
                let line = format!("{}: killed after {sent} transfers", run.key);
                self.screen.say_indented(Some(Tone::Heading), &line);
            }
            let line = format!(
                "{}: {} payouts of {}; {} succeeded, {} failed; exit codes {:?}",
                run.key,
                run.count("count"),
                currency.show(run.count("total")),
                run.count("succeeded"),
                run.count("failed"),
                run.codes
            );
            self.screen.say_indented(None, &line);
            runs.push(run);
        }
        let rested = self.rest().await?;
        let line = format!("at rest after {}", seconds(rested));
        self.screen.say_indented(None, &line);
        Ok(runs)
    }
}
