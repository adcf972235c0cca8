//! The day: programs, merchants, money in, what goes back, settlement, money out.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tokio::process::Child;

use crate::api::{Answer, Api};
use crate::close::{Close, Read};
use crate::customers::Customers;
use crate::evidence::{Evidence, Findings, GaveBack, Took, Way};
use crate::money::Currency;
use crate::psp::Psp;
use crate::simulator::{SECRET_KEY, Simulator};
use crate::stage::aegisctl::Aegisctl;
use crate::stage::aegisd::{Aegisd, beside_this_program};
use crate::stage::environment::{self, Bus};
use crate::stage::numbers::{grouped, seconds};
use crate::stage::screen::{Screen, Tone};
use crate::story::{self, Order, Story, When};
use crate::tool::{self, Run};
use crate::world::{self, Clock, Merchant};

/// How long what is under way may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the relay may need for what is left in the outbox.
const RELAY_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// What the day is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub seed: u64,
    pub payments: usize,
    pub merchants: usize,
    pub connections: usize,
    pub power_cut: bool,
}

/// A day with its programs, running.
pub(crate) struct Day<'s> {
    screen: &'s Screen,
    size: Size,
    bus: Bus,
    pub ledger: String,
    aegisctl: Aegisctl,
    aegisd: Aegisd,
    simulator: Simulator,
    psp: Child,
    api: Api,
    pub merchants: Vec<Merchant>,
    story: Story,
    clock: Clock,
    /// When the day of the merchants is over: what is paid from then on counts for tomorrow.
    cut_off: OffsetDateTime,
}

impl<'s> Day<'s> {
    /// Draws the story, and starts the programs on a ledger of their own, named after the time.
    pub(crate) async fn begin(screen: &'s Screen, size: Size, bus: Bus) -> Result<Self> {
        let now = OffsetDateTime::now_utc();
        let name = format_description!("payday-[year][month][day]-[hour][minute][second]");
        let ledger = now.format(name)?;
        let mut rng = fastrand::Rng::with_seed(size.seed);
        let merchants = world::merchants(size.merchants, &mut rng);
        let story = story::tell(&merchants, size.payments, &ledger, &mut rng);
        let port = free_port()?;
        let program = beside_this_program("aegisctl")?;
        let alone = Aegisctl::new(program.clone(), &ledger, Vec::new());
        alone.migrate_up().await?;
        let webhook_url = format!("http://127.0.0.1:{port}/v1/webhooks/paystack");
        let log = environment::log("payday-simulator.log");
        let (psp, simulator) = Simulator::start(&alone, size.seed, &webhook_url, &log).await?;
        let settings = settings(&simulator, &bus);
        let log = environment::log("payday.log");
        let aegisd = beside_this_program("aegisd")?;
        let mut aegisd = Aegisd::new(aegisd, bus.name(), settings.clone(), log, port);
        let address = aegisd.start().await?;
        let api = Api::new(&address, &ledger, size.connections)?;
        api.create_ledger().await?;
        let (clock, cut_off) = clock(now, &size)?;
        let day = Self {
            screen,
            size,
            bus,
            aegisctl: Aegisctl::new(program, &ledger, settings),
            ledger,
            aegisd,
            simulator,
            psp,
            api,
            merchants,
            story,
            clock,
            cut_off,
        };
        day.introduce(&address);
        Ok(day)
    }

    /// Where to read what the programs said.
    pub(crate) fn logs(&self) -> String {
        format!(
            "aegisd's log: {}, the simulator's: {}",
            self.aegisd.log.display(),
            self.simulator.log.display()
        )
    }

    /// Asks aegisd to stop, and waits until it has drained; then the PSP goes.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let stopped = self.aegisd.stop().await;
        self.psp.kill().await.context("the simulator had ended")?;
        stopped
    }

    /// Goes through the day, and gathers the evidence while aegisd still runs.
    pub(crate) async fn run(&mut self) -> Result<Evidence> {
        self.open().await?;
        let took = self.take_payments().await?;
        self.head(
            "Money back",
            "Merchants refund, customers complain at their banks. What the fee's fate is, the \
             merchant's terms say.",
        );
        let before = self.give_back(When::BeforeSettlement, &took).await?;
        self.settle().await?;
        let between = self.give_back(When::AfterSettlement, &took).await?;
        let runs = self.pay_out().await?;
        self.head(
            "Money back, too late",
            "The money is paid out by now: refunds take merchants below zero as far as their \
             terms allow, and\nwhat chargebacks take beyond that is owed.",
        );
        let after = self.give_back(When::AfterPayouts, &took).await?;
        self.close(took, [before, between, after], runs).await
    }

    fn introduce(&self, address: &str) {
        let Size {
            seed,
            payments,
            merchants,
            ..
        } = self.size;
        let screen = self.screen;
        let title = format!(
            "A payday: {} payments for {merchants} merchants, in GHS and NGN",
            grouped(payments as u64)
        );
        screen.say(&screen.paint(Tone::Heading, &title));
        screen.say(&format!(
            "seed     {seed} (--seed {seed} draws the same merchants and orders again)"
        ));
        screen.say(&format!(
            "ledger   {}, a new one in this database",
            self.ledger
        ));
        screen.say(&format!(
            "aegisd   {address}, its log: {}",
            self.aegisd.log.display()
        ));
        screen.say(&format!(
            "the PSP  {}, aegisctl simulator run with faults on, its log: {}",
            self.simulator.url,
            self.simulator.log.display()
        ));
        screen.say(&match &self.bus {
            Bus::Kafka { brokers, topic } => {
                format!("events   Kafka at {brokers}, topic {topic}")
            }
            Bus::Local => "events   BUS=local: there is no Kafka here".to_owned(),
        });
    }

    fn head(&self, name: &str, told: &str) {
        let name = self.screen.paint(Tone::Heading, name);
        self.screen.say(&format!("\n{name}"));
        self.screen.say_indented(Some(Tone::Faint), told);
    }

    /// Makes the merchants.
    async fn open(&self) -> Result<()> {
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
    async fn take_payments(&mut self) -> Result<Took> {
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

    /// Merchants give money back, and customers complain at their banks.
    async fn give_back(&self, when: When, took: &Took) -> Result<Vec<GaveBack>> {
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

    /// What has matured becomes the merchants' to have, once, however often it is run.
    async fn settle(&self) -> Result<()> {
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
        for _ in 0..2 {
            let said = tool::settle(&self.aegisctl).await?;
            self.screen.say_indented(None, &format!("{said}"));
        }
        Ok(())
    }

    /// Merchants are paid out, by a run for each currency.
    async fn pay_out(&self) -> Result<Vec<Run>> {
        self.head(
            "Money out",
            "A payout run for each currency. The larger one is killed half-way (SIGKILL) and \
             started again with\nthe same key, then once more, as cron might: nobody is paid \
             twice.",
        );
        let mut runs = Vec::new();
        for currency in Currency::ALL {
            let code = currency.code();
            let kill = (self.size.power_cut && currency == Currency::Ngn).then_some(3);
            let key = format!("{}-{}", self.ledger, code.to_lowercase());
            let run = tool::pay_out(&self.aegisctl, &self.simulator, key, code, kill).await?;
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

    /// Gathers what all sides know, and compares it.
    async fn close(
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
        let cleared = tool::clearing(&self.aegisctl).await?;
        let said = format!("{}\n{}", reconciled.said, cleared.said);
        self.screen.say_indented(None, &said);
        let psp = Psp::of(&self.simulator.movements().await?, &self.story.orders);
        let read = Read {
            payments: self.api.payments().await?,
            refunds: self.api.all("refunds").await?,
            payouts: self.api.all("payouts").await?,
            discrepancies: self.api.all("discrepancies").await?,
            balances: self.api.balances().await?,
        };
        let mut findings = Findings::default();
        findings.differences.extend(took.wrong.iter().cloned());
        // Without the zone, as a beginning that times of the PSP are compared with.
        let cut_off = self.cut_off.format(&Rfc3339)?;
        let cut_off = cut_off.trim_end_matches('Z');
        let close = Close {
            merchants: &self.merchants,
            orders: &self.story.orders,
            gave_back: &gave_back,
            cut_off,
            psp: &psp,
            read: &read,
        };
        let (flows, balances) = close.compare(&mut findings);
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
            runs,
            reconciled,
            verification,
            trace: tool::trace(&self.aegisctl, reference).await?,
        })
    }

    async fn left_in_outbox(&self) -> Result<usize> {
        let began = Instant::now();
        while began.elapsed() < RELAY_PATIENCE && self.aegisctl.events_wait().await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.aegisctl.waiting_events().await?.len())
    }

    /// Waits until nothing is on its way any more, or for too long: the tables will show it.
    async fn rest(&self) -> Result<Duration> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE && !self.is_at_rest().await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(began.elapsed())
    }

    /// Whether the ledger and the PSP have the same, and nothing is in transit at either.
    async fn is_at_rest(&self) -> Result<bool> {
        let there = Psp::of(&self.simulator.movements().await?, &self.story.orders);
        let here = self.api.balances().await?;
        Ok(Currency::ALL.into_iter().all(|currency| {
            let balance = |address: &str| {
                let wallet = (address.to_owned(), currency.code().to_owned());
                here.get(&wallet).copied().unwrap_or(0)
            };
            let there = there.of_currency(currency);
            balance("psp:paystack") == -there.owed()
                && balance("payouts:in_transit") == 0
                && balance("refunds:in_transit") == 0
                && there.in_transit == 0
        }))
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

/// What aegisd and the tool are told beside what the environment says.
fn settings(simulator: &Simulator, bus: &Bus) -> Vec<(&'static str, String)> {
    let text = |value: &str| value.to_owned();
    let mut settings = vec![
        ("PAYSTACK_BASE_URL", simulator.url.clone()),
        ("PAYSTACK_SECRET_KEY", text(SECRET_KEY)),
        // The simulator is near: who waits longer than this waits for nothing.
        ("PAYSTACK_TIMEOUT_MS", text("500")),
        // A day passes in two minutes, and so do waits.
        ("BACKOFF_FIRST_MS", text("200")),
        ("BREAKER_OPEN_MS", text("500")),
    ];
    if let Bus::Kafka { topic, .. } = bus {
        settings.push(("KAFKA_TOPIC_SETTLEMENTS", topic.clone()));
    }
    settings
}

/// A port that was free a moment ago: the simulator has to know where webhooks go before aegisd is
/// there.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// The merchants' clock: a zone where it is about noon, whatever the hour here, so that the day of
/// the demo does not change within it; and an end of the day soon after the last payment.
fn clock(now: OffsetDateTime, size: &Size) -> Result<(Clock, OffsetDateTime)> {
    let offset = 12 - i64::from(now.hour());
    // The names of the tz database count from Greenwich to the west.
    let zone = match offset {
        0 => "Etc/GMT".to_owned(),
        offset => format!("Etc/GMT{:+}", -offset),
    };
    let needed = Duration::from_secs(40 + size.payments as u64 / 50);
    let cut_off = now + needed + Duration::from_secs(60);
    let cut_off = cut_off.replace_second(0)?.replace_nanosecond(0)?;
    let local = cut_off + time::Duration::hours(offset);
    let cut_off_text = local.format(format_description!("[hour]:[minute]"))?;
    let clock = Clock {
        zone,
        cut_off: cut_off_text,
    };
    Ok((clock, cut_off))
}
