//! The day: programs, merchants, money in, what goes back, settlement, money out.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::process::Child;

use crate::api::Api;
use crate::evidence::Evidence;
use crate::money::Currency;
use crate::psp::Psp;
use crate::simulator::{SECRET_KEY, Simulator};
use crate::stage::aegisctl::Aegisctl;
use crate::stage::aegisd::{Aegisd, beside_this_program};
use crate::stage::environment::{self, Bus};
use crate::stage::numbers::grouped;
use crate::stage::screen::{Screen, Tone};
use crate::story::{self, Story, When};
use crate::world::{self, Clock, Merchant};

/// How long what is under way may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the relay may need for what is left in the outbox.
pub(crate) const RELAY_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

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
    pub screen: &'s Screen,
    pub size: Size,
    pub bus: Bus,
    pub ledger: String,
    pub aegisctl: Aegisctl,
    pub aegisd: Aegisd,
    pub simulator: Simulator,
    pub psp: Child,
    pub api: Api,
    pub merchants: Vec<Merchant>,
    pub story: Story,
    pub clock: Clock,
    /// When the day of the merchants is over: what is paid from then on counts for tomorrow.
    pub cut_off: OffsetDateTime,
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

    pub(crate) fn head(&self, name: &str, told: &str) {
        let name = self.screen.paint(Tone::Heading, name);
        self.screen.say(&format!("\n{name}"));
        self.screen.say_indented(Some(Tone::Faint), told);
    }
    /// Waits until nothing is on its way any more, or for too long: the tables will show it.
    pub(crate) async fn rest(&self) -> Result<Duration> {
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
        ("PAYMENTS_ASK_AFTER_MS", text("2000")),
        ("PAYMENTS_POLL_MS", text("100")),
        ("REFUNDS_ASK_EVERY_MS", text("1000")),
        ("REFUNDS_ASK_ABOUT_DISPUTES_MS", text("2000")),
        ("REFUNDS_SETTLING_MS", text("1500")),
        ("REFUNDS_POLL_MS", text("100")),
        ("PAYOUTS_ASK_EVERY_MS", text("1000")),
        ("PAYOUTS_SETTLING_MS", text("1500")),
        ("PAYOUTS_POLL_MS", text("100")),
        // Cron settles.
        ("SETTLEMENT_EVERY_MS", text("0")),
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
    let needed = Duration::from_secs(15 + size.payments as u64 / 80);
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
