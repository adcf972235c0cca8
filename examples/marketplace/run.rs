//! The run: programs, ledger, the day phase by phase, and the evidence afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::client::Client;
use crate::consumer::Consumer;
use crate::day::{self, Day, Phase, Size};
use crate::evidence::{Evidence, Source};
use crate::money::Currency;
use crate::published::Counter;
use crate::stage::aegisctl::Aegisctl;
use crate::stage::aegisd::{Aegisd, beside_this_program};
use crate::stage::environment::{self, Bus};
use crate::stage::numbers::{grouped, seconds};
use crate::stage::screen::{Screen, Tone};
use crate::tally::{self, Tally};
use crate::traffic::{self, Sent};
use crate::witness::Witness;
use crate::world::World;

/// How long the relay may need for what is left in the outbox.
const RELAY_PATIENCE: Duration = Duration::from_secs(30);

/// A run of the demo.
pub(crate) struct Run<'s> {
    pub screen: &'s Screen,
    pub size: Size,
    pub bus: Bus,
    pub ledger: String,
    pub aegisctl: Aegisctl,
}

impl<'s> Run<'s> {
    /// A run with a ledger of its own, named after the time.
    pub(crate) fn new(screen: &'s Screen, size: Size, bus: Bus) -> Result<Self> {
        let name = format_description!("market-[year][month][day]-[hour][minute][second]");
        let ledger = OffsetDateTime::now_utc().format(name)?;
        Ok(Self {
            screen,
            size,
            bus,
            aegisctl: Aegisctl::new(beside_this_program("aegisctl")?, &ledger, Vec::new()),
            ledger,
        })
    }

    /// The daemon that serves it, not started yet.
    pub(crate) fn aegisd(&self) -> Result<Aegisd> {
        let topic = match &self.bus {
            Bus::Kafka { topic, .. } => topic.clone(),
            Bus::Local => "aegis.transactions".to_owned(),
        };
        Ok(Aegisd::new(
            beside_this_program("aegisd")?,
            self.bus.name(),
            vec![("KAFKA_TOPIC_TRANSACTIONS", topic)],
            environment::log("marketplace.log"),
            0,
        ))
    }

    /// Goes through the day, and gathers the evidence while aegisd still runs.
    pub(crate) async fn day(&self, aegisd: &mut Aegisd) -> Result<Evidence> {
        // Yesterday: the books of today are not done yet.
        let date = OffsetDateTime::now_utc().date();
        let date = date.previous_day().unwrap_or(date);
        let (world, day) = day::plan(self.size, date);
        let world = Arc::new(world);
        let predicted = tally::predicted(&day.phases);
        let events: u64 = predicted.iter().map(|count| count.posted).sum();
        self.aegisctl.migrate_up().await?;
        let address = aegisd.start().await?;
        let client = Client::new(&address, &self.ledger, self.size.connections)?;
        client.create_ledger().await?;
        self.introduce(&address, aegisd);
        let bar = self.screen.bar("consumed", events);
        let witness = Witness::new(Arc::clone(&world));
        let consumer = match &self.bus {
            Bus::Kafka { brokers, topic } => {
                let counter = Counter::start(brokers, topic, &self.ledger).await?;
                let bar = bar.clone();
                let consumer = Consumer::start(brokers, topic, &self.ledger, witness, bar).await?;
                Ok((consumer, counter))
            }
            Bus::Local => {
                bar.finish_and_clear();
                Err(witness)
            }
        };
        self.open(&client, &world).await?;
        let began = Instant::now();
        let (tally, sending) = self.send(&client, &world, &day, aegisd).await?;
        let answered = Instant::now();
        self.empty_outbox().await?;
        let waiting = waiting(&self.aegisctl.waiting_events().await?)?;
        let (source, (witness, came)) = match consumer {
            Ok((consumer, counter)) => {
                let read = consumer.finish().await?;
                (Source::Events(counter.count().await?), read)
            }
            Err(witness) => {
                let read = self.read_statements(&client, witness).await?;
                (Source::Statements, (read, Instant::now()))
            }
        };
        bar.finish_and_clear();
        Ok(Evidence {
            predicted,
            predicted_balances: day.balances,
            tally,
            listed: client.balances().await?,
            waiting,
            source,
            account: witness.close(),
            verification: self.aegisctl.verify().await?,
            world,
            sending,
            reading: came.duration_since(began),
            lag: came.saturating_duration_since(answered),
        })
    }

    fn introduce(&self, address: &str, aegisd: &Aegisd) {
        let screen = self.screen;
        let Size {
            seed,
            orders,
            merchants,
            ..
        } = self.size;
        let title = format!(
            "A day of a marketplace: {} orders, {merchants} merchants, in JPY, KWD and NGN",
            grouped(u64::from(orders))
        );
        screen.say(&screen.paint(Tone::Heading, &title));
        screen.say(&format!(
            "seed     {seed} (--seed {seed} makes the same day again)"
        ));
        screen.say(&format!(
            "ledger   {}, a new one in this database",
            self.ledger
        ));
        screen.say(&format!(
            "aegisd   {address}, its log: {}",
            aegisd.log.display()
        ));
        match &self.bus {
            Bus::Kafka { brokers, topic } => screen.say(&format!(
                "events   Kafka at {brokers}, topic {topic}, read back as another service would"
            )),
            Bus::Local => screen.say(
                "events   BUS=local: there is no Kafka here. Events leave the outbox within aegisd's \
                 own\n         process; in their place the wallets' statements are read, through the \
                 API.",
            ),
        }
    }

    async fn open(&self, client: &Client, world: &World) -> Result<()> {
        self.head("06:00", "opening");
        self.screen.say_indented(
            Some(Tone::Faint),
            "A wallet is an address and a currency. Merchants have one for what came in (pending) \
             and one\nfor what they may take out (available). The world outside, psp:paystack and \
             bank:main, may go\nbelow zero; nobody else may.",
        );
        let began = Instant::now();
        traffic::open(client, world, self.size.connections).await?;
        let wallets = world.wallets.len();
        let line = format!("{wallets} wallets in {}", seconds(began.elapsed()));
        self.screen.say_indented(None, &line);
        Ok(())
    }

    async fn send(
        &self,
        client: &Client,
        world: &Arc<World>,
        day: &Day,
        aegisd: &mut Aegisd,
    ) -> Result<(Tally, Duration)> {
        let (mut tally, mut sending) = (Tally::default(), Duration::ZERO);
        for phase in &day.phases {
            self.head(phase.clock, phase.name);
            self.screen.say_indented(Some(Tone::Faint), phase.told);
            let bar = self.screen.bar("answered", phase.requests().count() as u64);
            let sent = traffic::send(client, world, phase, aegisd, &bar).await?;
            bar.finish_and_clear();
            self.tell(phase, &sent);
            sending += sent.took;
            tally.merge(sent.tally);
        }
        Ok((tally, sending))
    }

    fn head(&self, clock: &str, name: &str) {
        let name = self.screen.paint(Tone::Heading, name);
        self.screen.say(&format!("\n{clock}  {name}"));
    }

    fn tell(&self, phase: &Phase, sent: &Sent) {
        let requests = sent.tally.requests;
        let lanes = phase.lanes.iter().filter(|lane| !lane.is_empty()).count();
        let rate = requests as f64 / sent.took.as_secs_f64().max(0.001);
        let counts = &sent.tally.counts;
        let sum = |of: fn(&tally::Count) -> u64| grouped(counts.iter().map(of).sum());
        let line = format!(
            "{} requests over {lanes} connections in {}, {}/s: {} postings, {} posted, {} \
             replayed, {} refused",
            grouped(requests),
            seconds(sent.took),
            grouped(rate as u64),
            sum(|count| count.sent),
            sum(|count| count.posted),
            sum(|count| count.replayed),
            sum(|count| count.refused.values().sum()),
        );
        self.screen.say_indented(None, &line);
        if let Some((after, away)) = sent.power_cut {
            let line = format!(
                "Power cut: after {} answers aegisd was killed without warning (SIGKILL); it was \
                 back after {}.\n{} requests had no answer and were asked again with their keys: \
                 {} of them had taken effect\nbefore the cut and were found, the others were \
                 decided now.",
                grouped(after),
                seconds(away),
                grouped(sent.tally.asked_again),
                grouped(sent.tally.found_again),
            );
            self.screen.say_indented(Some(Tone::Heading), &line);
        }
        if sent.tally.wrong > 0 {
            let line = format!(
                "{} answers differ from what was predicted",
                sent.tally.wrong
            );
            self.screen.say_indented(Some(Tone::Bad), &line);
        }
    }

    /// Waits until the relay has brought all events to the bus, or takes too long.
    async fn empty_outbox(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < RELAY_PATIENCE && self.aegisctl.events_wait().await? {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn read_statements(&self, client: &Client, mut witness: Witness) -> Result<Witness> {
        let world = witness.world();
        let bar = self.screen.bar("statements", world.wallets.len() as u64);
        for (id, wallet) in world.wallets.iter().enumerate() {
            client
                .statement(wallet, |line| witness.line(id, line))
                .await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(witness)
    }
}

/// How many of the events are there, by currency.
fn waiting(events: &[Value]) -> Result<[u64; 3]> {
    let mut waiting = [0; 3];
    for event in events {
        let code = &event["payload"]["entries"][0]["currency"];
        let currency = Currency::from_code(code.as_str().unwrap_or_default());
        let currency = currency
            .with_context(|| format!("an event in the outbox is of the currency {code}"))?;
        waiting[currency.index()] += 1;
    }
    Ok(waiting)
}
