//! The bus within this process: hands records to subscribers over bounded
//! channels and acknowledges a record once every subscriber of its topic has
//! finished it.
//!
//! - A subscriber that falls behind slows the publisher down; nothing is queued
//!   without a bound.
//! - Records of one key are handed out one after the other, each once the one
//!   before was finished by all; different keys overlap.
//! - A delivery that is dropped, by a panic or a shutdown, counts as
//!   [`PublishError::Outage`]: the record is published again later. With several
//!   subscribers those that had finished it see it twice.
//! - A topic without a subscriber: its records are acknowledged and counted,
//!   since nobody is there whom they could reach. So subscribe before the relay
//!   starts. A subscriber that is *gone* (its [`LocalSubscription`] was dropped)
//!   is something else: its topics' records are `Outage` until it is back under
//!   the same name or has said goodbye with [`LocalSubscription::unsubscribe`].
//!   So a consumer that stops before the relay, or dies, loses nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::{Arrived, BrokerInfo, BusError, PublishError, Record, close_gaps};

/// Deliveries that wait for one subscriber before the publisher does.
const DEFAULT_CAPACITY: usize = 256;

/// A bus without a broker. Cheap to clone; all clones are the same bus.
#[derive(Clone, Debug)]
pub struct LocalBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seats: Mutex<Vec<Seat>>,
    capacity: usize,
    unheard: AtomicU64,
}

/// A subscriber as the publisher sees it. It outlives its subscription.
#[derive(Clone, Debug)]
struct Seat {
    name: String,
    topics: Vec<String>,
    deliveries: mpsc::Sender<Delivery>,
}

/// One subscriber's end.
#[derive(Debug)]
pub struct LocalSubscription {
    name: String,
    deliveries: mpsc::Receiver<Delivery>,
    bus: Weak<Shared>,
}

/// A record in a subscriber's hands. Dropped without an answer it counts as not
/// handled and comes again.
#[derive(Debug)]
#[must_use = "a delivery that is dropped comes again"]
pub struct Delivery {
    /// The record.
    pub record: Record,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

impl Delivery {
    /// Finished: the record is not needed any more.
    pub fn ack(self) {
        self.answer(Ok(()));
    }

    /// Could not be handled now, through no fault of the record: it comes again.
    pub fn nack(self, reason: impl Into<String>) {
        self.answer(Err(PublishError::Outage(reason.into())));
    }

    /// Can't be handled, whatever is tried: the publisher counts it and gives it
    /// up in the end.
    pub fn refuse(self, reason: impl Into<String>) {
        self.answer(Err(PublishError::refused(reason)));
    }

    fn answer(self, answer: Result<(), PublishError>) {
        // The publisher may have given up; then the record comes again.
        let _ = self.answer.send(answer);
    }
}

impl LocalSubscription {
    /// The next record, or `None` once the bus is gone. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }

    /// Ends the subscription for good: records of its topics no longer wait for
    /// this subscriber. Those under way to it come again.
    pub fn unsubscribe(self) {
        if let Some(bus) = self.bus.upgrade() {
            bus.seats().retain(|seat| seat.name != self.name);
        }
    }
}

/// A subscription whose records come in claims; see [`super::Subscription`].
#[derive(Debug)]
pub struct LocalClaims {
    subscription: LocalSubscription,
    claimed: Vec<Delivery>,
}

impl From<LocalSubscription> for LocalClaims {
    fn from(subscription: LocalSubscription) -> Self {
        let claimed = Vec::new();
        Self {
            subscription,
            claimed,
        }
    }
}

impl LocalClaims {
    pub(super) async fn claim(&mut self, most: usize) -> Result<Vec<Arrived>, BusError> {
        let first = self.subscription.recv().await;
        let first = first.ok_or_else(|| BusError::Unreachable("the bus is gone".into()))?;
        self.claimed = vec![first];
        while self.claimed.len() < most
            && let Ok(next) = self.subscription.deliveries.try_recv()
        {
            self.claimed.push(next);
        }
        let arrived = self.claimed.iter().map(|delivery| Arrived {
            record: delivery.record.clone(),
            place: None,
        });
        Ok(arrived.collect())
    }

    pub(super) fn settle(&mut self, done: usize) {
        for (at, delivery) in self.claimed.drain(..).enumerate() {
            match at < done {
                true => delivery.ack(),
                false => delivery.nack("its consumer could not handle it now"),
            }
        }
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl LocalBus {
    /// A bus whose subscribers have up to `capacity` deliveries waiting each, 1 at least.
    pub fn new(capacity: usize) -> Self {
        let shared = Shared {
            seats: Mutex::default(),
            capacity: capacity.max(1),
            unheard: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// From now on every record of these topics waits for this subscriber. The
    /// name says who it is: one that is gone is replaced by its namesake.
    ///
    /// # Errors
    /// [`BusError::Subscribed`] while a subscription of that name is alive.
    pub fn subscribe(&self, name: &str, topics: &[&str]) -> Result<LocalSubscription, BusError> {
        let mut seats = self.shared.seats();
        let namesake = seats.iter().position(|seat| seat.name == name);
        if let Some(at) = namesake {
            if !seats[at].deliveries.is_closed() {
                return Err(BusError::Subscribed(name.to_owned()));
            }
            seats.swap_remove(at);
        }
        let (sender, receiver) = mpsc::channel(self.shared.capacity);
        seats.push(Seat {
            name: name.to_owned(),
            topics: topics.iter().map(ToString::to_string).collect(),
            deliveries: sender,
        });
        Ok(LocalSubscription {
            name: name.to_owned(),
            deliveries: receiver,
            bus: Arc::downgrade(&self.shared),
        })
    }

    /// Records that were acknowledged because their topic had no subscriber.
    pub fn unheard(&self) -> u64 {
        self.shared.unheard.load(Ordering::Relaxed)
    }

    /// See [`super::Bus::publish`].
    pub async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let seats = self.shared.seats().clone();
        let mut lanes: HashMap<(&str, &[u8]), usize> = HashMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, record) in records.iter().enumerate() {
            if record.key.is_empty() {
                groups.push(vec![at]);
                continue;
            }
            let lane = (record.topic.as_str(), record.key.as_slice());
            let group = *lanes.entry(lane).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(at);
        }

        let mut under_way: FuturesUnordered<_> = groups
            .into_iter()
            .map(|group| self.hand_out(records, group, &seats))
            .collect();
        // What a group left out stands behind its failure; `close_gaps` says so.
        let mut results = vec![Err(PublishError::Held); records.len()];
        while let Some(settled) = under_way.next().await {
            for (at, result) in settled {
                results[at] = result;
            }
        }
        close_gaps(records, &mut results);
        results
    }

    /// One key's records, one after the other, up to the first that fails.
    async fn hand_out(
        &self,
        records: &[Record],
        group: Vec<usize>,
        seats: &[Seat],
    ) -> Vec<(usize, Result<(), PublishError>)> {
        let mut settled = Vec::with_capacity(group.len());
        for at in group {
            let result = self.deliver(&records[at], seats).await;
            let failed = result.is_err();
            settled.push((at, result));
            if failed {
                break;
            }
        }
        settled
    }

    /// One record to every subscriber of its topic; waits for all of them.
    async fn deliver(&self, record: &Record, seats: &[Seat]) -> Result<(), PublishError> {
        let mut answers = Vec::new();
        for seat in seats
            .iter()
            .filter(|seat| seat.topics.contains(&record.topic))
        {
            let (answer, answered) = oneshot::channel();
            let delivery = Delivery {
                record: record.clone(),
                answer,
            };
            // A closed channel drops the delivery, which answers by itself.
            let _ = seat.deliveries.send(delivery).await;
            answers.push((&seat.name, answered));
        }
        if answers.is_empty() {
            self.shared.unheard.fetch_add(1, Ordering::Relaxed);
        }
        let mut result = Ok(());
        for (name, answered) in answers {
            let answer = answered.await.unwrap_or_else(|_| {
                let reason = format!("{name} dropped the delivery");
                Err(PublishError::Outage(reason))
            });
            result = result.and(answer);
        }
        result
    }

    pub(super) fn info(&self) -> BrokerInfo {
        let seats = self.shared.seats();
        let mut topics: Vec<String> = seats
            .iter()
            .flat_map(|seat| seat.topics.iter().cloned())
            .collect();
        topics.sort();
        topics.dedup();
        BrokerInfo {
            brokers: Vec::new(),
            topics,
        }
    }
}

impl Shared {
    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        // The list is whole whatever panicked: every change to it is one step.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    fn record(topic: &str, key: &str, number: usize) -> Record {
        Record {
            topic: topic.into(),
            key: key.into(),
            headers: Vec::new(),
            payload: number.to_string().into_bytes(),
        }
    }

    /// Handles everything until the bus is gone; what `fails` says is nacked.
    fn handle(
        mut subscription: LocalSubscription,
        fails: impl Fn(&Record) -> bool + Send + 'static,
    ) -> tokio::task::JoinHandle<Vec<Record>> {
        tokio::spawn(async move {
            let mut handled = Vec::new();
            while let Some(delivery) = subscription.recv().await {
                if fails(&delivery.record) {
                    delivery.nack("not now");
                } else {
                    handled.push(delivery.record.clone());
                    delivery.ack();
                }
            }
            handled
        })
    }

    #[tokio::test]
    async fn every_subscriber_of_the_topic_gets_every_record_in_order() {
        let bus = LocalBus::new(4);
        let all = handle(bus.subscribe("all", &["a", "b"]).unwrap(), |_| false);
        let one = handle(bus.subscribe("one", &["a"]).unwrap(), |_| false);
        let claim: Vec<Record> = (0..100)
            .map(|at| record(["a", "b"][at % 2], ["x", "y", "z"][at % 3], at))
            .collect();
        assert!(bus.publish(&claim).await.iter().all(Result::is_ok));
        drop(bus);
        assert_eq!(all.await.unwrap().len(), 100);
        let one = one.await.unwrap();
        for key in ["x", "y", "z"] {
            let of = |records: &[Record]| -> Vec<Record> {
                let records = records.iter();
                let records = records.filter(|r| r.topic == "a" && r.key == key.as_bytes());
                records.cloned().collect()
            };
            assert_eq!(of(&one), of(&claim));
        }
    }

    #[tokio::test]
    async fn a_topic_without_subscribers_is_acknowledged_and_counted() {
        let bus = LocalBus::default();
        let _other = bus.subscribe("other", &["b"]).unwrap();
        let claim = [record("a", "k", 0), record("a", "", 1)];
        assert_eq!(bus.publish(&claim).await, [Ok(()), Ok(())]);
        assert_eq!(bus.unheard(), 2);
    }

    #[tokio::test]
    async fn a_record_that_fails_holds_its_key_and_no_other() {
        let bus = LocalBus::default();
        let subscription = bus.subscribe("s", &["a"]).unwrap();
        let handler = handle(subscription, |record| record.payload == b"1");
        let claim = [
            record("a", "x", 0),
            record("a", "x", 1),
            record("a", "y", 2),
            record("a", "x", 3),
        ];
        let results = bus.publish(&claim).await;
        let outage = Err(PublishError::Outage("not now".into()));
        assert_eq!(results, [Ok(()), outage.clone(), Ok(()), outage]);
        drop(bus);
        let handled = handler.await.unwrap();
        assert_eq!(handled, [claim[0].clone(), claim[2].clone()], "3 waits");
    }

    #[tokio::test]
    async fn a_refused_record_is_told_from_an_outage() {
        let bus = LocalBus::default();
        let mut subscription = bus.subscribe("s", &["a"]).unwrap();
        let claim = [record("a", "x", 0), record("a", "x", 1)];
        let (results, ()) = tokio::join!(bus.publish(&claim), async {
            subscription.recv().await.unwrap().refuse("no such wallet");
        });
        assert_eq!(results[0], Err(PublishError::refused("no such wallet")));
        assert_eq!(results[1], Err(PublishError::Held));
    }

    #[tokio::test]
    async fn a_record_is_acknowledged_once_it_is_finished() {
        let bus = LocalBus::default();
        let mut subscription = bus.subscribe("s", &["a"]).unwrap();
        let finish = Arc::new(Notify::new());
        let claim = [record("a", "x", 0)];
        let publishing = {
            let (bus, claim) = (bus.clone(), claim.clone());
            tokio::spawn(async move { bus.publish(&claim).await })
        };
        let delivery = subscription.recv().await.unwrap();
        let handler = {
            let finish = Arc::clone(&finish);
            tokio::spawn(async move {
                finish.notified().await;
                delivery.ack();
            })
        };
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!publishing.is_finished(), "taken is not finished");
        finish.notify_one();
        handler.await.unwrap();
        assert_eq!(publishing.await.unwrap(), [Ok(())]);
    }

    #[tokio::test]
    async fn a_subscriber_that_falls_behind_slows_the_publisher_down() {
        let bus = LocalBus::new(2);
        let mut subscription = bus.subscribe("s", &["a"]).unwrap();
        let claim: Vec<Record> = (0..50).map(|at| record("a", "", at)).collect();
        let publishing = {
            let bus = bus.clone();
            tokio::spawn(async move { bus.publish(&claim).await })
        };
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(subscription.deliveries.len(), 2);
        for _ in 0..50 {
            subscription.recv().await.unwrap().ack();
        }
        assert!(publishing.await.unwrap().iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_subscriber_that_is_gone_is_an_outage_until_it_is_back() {
        let bus = LocalBus::new(1);
        let claim = [
            record("a", "x", 0),
            record("a", "y", 1),
            record("a", "z", 2),
        ];
        let outage = |result: &Result<(), PublishError>| matches!(result, Err(PublishError::Outage(reason)) if reason.contains('s'));

        // Gone in the middle: with one in its hands, one queued, one on its way.
        let mut subscription = bus.subscribe("s", &["a"]).unwrap();
        let (results, ()) = tokio::join!(bus.publish(&claim), async {
            drop(subscription.recv().await.unwrap());
            drop(subscription);
        });
        assert!(results.iter().all(outage), "{results:?}");
        assert!(bus.publish(&claim).await.iter().all(outage));

        let handler = handle(bus.subscribe("s", &["a"]).unwrap(), |_| false);
        assert!(bus.publish(&claim).await.iter().all(Result::is_ok));
        drop(bus);
        assert_eq!(handler.await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_subscriber_that_said_goodbye_is_not_waited_for() {
        let bus = LocalBus::default();
        let subscription = bus.subscribe("s", &["a"]).unwrap();
        assert_eq!(
            bus.subscribe("s", &["b"]).unwrap_err(),
            BusError::Subscribed("s".into())
        );
        assert_eq!(bus.info().topics, ["a"]);
        subscription.unsubscribe();
        assert_eq!(bus.publish(&[record("a", "x", 0)]).await, [Ok(())]);
        assert_eq!(bus.unheard(), 1);
    }

    #[tokio::test]
    async fn a_subscription_ends_with_the_bus() {
        let bus = LocalBus::default();
        let mut subscription = bus.subscribe("s", &["a"]).unwrap();
        drop(bus);
        assert!(subscription.recv().await.is_none());
    }
}
