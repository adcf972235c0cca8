//! The day: programs, merchants, money in, what goes back, settlement, money out.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::process::Child;

use crate::api::{Answer, Api, Payment};
use crate::customers::Customers;
use crate::evidence::{Evidence, GaveBack, Took};
use crate::simulator::{Movement, SECRET_KEY, Simulator};
use crate::stage::aegisctl::Aegisctl;
use crate::stage::aegisd::{Aegisd, beside_this_program};
use crate::stage::environment::{self, Bus};
use crate::stage::numbers::{grouped, seconds};
use crate::stage::screen::{Screen, Tone};
use crate::story::{self, Customer, Order, Story, When};
use crate::tool::{self, Run};
use crate::world::{self, Clock, Merchant};

/// How long what is under way may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);
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
        let mut gave_back = self.give_back(When::BeforeSettlement).await?;
        let settled = self.settle().await?;
        gave_back.extend(self.give_back(When::AfterSettlement).await?);
        let run = self.pay_out().await?;
        gave_back.extend(self.give_back(When::AfterPayouts).await?);
        self.close(took, gave_back, settled, run).await
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
        let bar = self
            .screen
            .bar("asked for", self.story.orders.len() as u64);
        let answered = Arc::new(AtomicUsize::new(0));
        let (api, merchants, orders) = (&self.api, &self.merchants, &self.story.orders);
        let mut customers = Customers::new(self.simulator.clone());
        let mut took = Took::default();
        let asking = async {
            let mut asked = stream::iter(orders)
                .map(|order| ask(api, &merchants[order.merchant], order))
                .buffer_unordered(self.size.connections);
            while let Some(asked) = asked.next().await {
                let asked = asked?;
                customers.send(&orders[asked.place]);
                took.take(asked);
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
        let began = Instant::now();
        took.paid = self.wait_for_credits().await?;
        let line = format!(
            "{} were paid; the last webhook or answer took effect {} after the last customer left",
            grouped(took.paid as u64),
            seconds(began.elapsed())
        );
        self.screen.say_indented(None, &line);
        Ok(took)
    }

    /// Until every payment that the PSP has as paid in full is credited.
    async fn wait_for_credits(&self) -> Result<usize> {
        let amounts: BTreeMap<&str, i64> = self
            .story
            .orders
            .iter()
            .map(|order| (order.reference.as_str(), order.amount))
            .collect();
        let movements = self.simulator.movements().await?;
        let paid: Vec<&Movement> = movements.iter().filter(|m| m.kind == "payment").collect();
        self.rest("payments", async || {
            let payments = self.api.payments().await?;
            let missing = paid.iter().filter(|movement| {
                let reference = movement.reference.as_str();
                let asked_for = amounts.get(reference).copied();
                let in_full = asked_for == Some(-movement.change("customers"));
                let here = payments.get(reference).is_some_and(Payment::is_paid);
                in_full && !here
            });
            let missing: Vec<&str> = missing.map(|m| m.reference.as_str()).collect();
            Ok(match missing.first() {
                None => None,
                Some(first) => Some(format!("{} such as {first}", missing.len())),
            })
        })
        .await?;
        Ok(paid.len())
    }

    /// Looks again and again until nothing is under way any more.
    async fn rest(
        &self,
        what: &str,
        look: impl AsyncFn() -> Result<Option<String>>,
    ) -> Result<()> {
        let began = Instant::now();
        loop {
            match look().await? {
                None => return Ok(()),
                Some(still) if began.elapsed() > PATIENCE => {
                    bail!("{what} are still under way after {PATIENCE:?}: {still}")
                }
                Some(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}
