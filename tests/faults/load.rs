//! Clients that post over HTTP as good ones do: with the same key until there is an answer.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{CURRENCY, WALLETS, WORLD};
use crate::seen::{Call, Fate, Log, Sent};
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;

/// What a bulky transfer carries along; metadata may have 16 KiB.
pub(crate) const BULK_BYTES: usize = 16_000;

#[derive(Clone, Copy, Default)]
struct Progress {
    answers: u64,
    unavailable: u64,
}

struct Shared {
    targets: watch::Sender<Vec<String>>,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
    give_up: CancellationToken,
}

/// Clients at work. Dropped, they are gone.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Log>,
}

impl Load {
    /// Lets so many clients post to these daemons, by the choices of the seed.
    pub(crate) fn start(clients: u64, seed: u64, daemons: &[&Daemon]) -> Self {
        Self::with(clients, seed, daemons, false)
    }

    /// At their leisure, and now and then a transfer is [bulky](Sent::bulky).
    pub(crate) fn bulky(clients: u64, seed: u64, daemons: &[&Daemon]) -> Self {
        Self::with(clients, seed, daemons, true)
    }

    fn with(clients: u64, seed: u64, daemons: &[&Daemon], bulky: bool) -> Self {
        let shared = Arc::new(Shared {
            targets: watch::Sender::new(Vec::new()),
            progress: watch::Sender::new(Progress::default()),
            stop: CancellationToken::new(),
            give_up: CancellationToken::new(),
        });
        // Keys of other runs may still be known to a shared cache.
        let run = Uuid::new_v4().simple().to_string();
        let mut load = Self {
            shared,
            clients: JoinSet::new(),
        };
        load.aim(daemons);
        for n in 0..clients {
            let client = Client {
                http: reqwest::Client::builder()
                    .timeout(Duration::from_secs(30))
                    .no_proxy()
                    .build()
                    .unwrap(),
                shared: Arc::clone(&load.shared),
                rng: Rng::with_seed(seed.wrapping_add(n)),
                name: format!("{run}-{n}"),
                bulky,
                next: 0,
                log: Log::default(),
            };
            load.clients.spawn(client.run());
        }
        load
    }

    /// From now on the clients turn to these.
    pub(crate) fn aim(&self, daemons: &[&Daemon]) {
        let targets = daemons.iter().map(|daemon| daemon.address.clone());
        self.shared.targets.send_replace(targets.collect());
    }

    /// Waits for so many more answers.
    pub(crate) async fn answers(&self, more: u64) {
        let until = self.shared.progress.borrow().answers + more;
        self.reaches(|progress| progress.answers >= until, "answers")
            .await;
    }

    /// Waits for so many more answers that say to come again.
    pub(crate) async fn unavailable(&self, more: u64) {
        let until = self.shared.progress.borrow().unavailable + more;
        self.reaches(|progress| progress.unavailable >= until, "503s")
            .await;
    }

    async fn reaches(&self, enough: impl FnMut(&Progress) -> bool, what: &str) {
        let mut progress = self.shared.progress.subscribe();
        let mut enough = enough;
        let waiting = progress.wait_for(|progress| enough(progress));
        let waited = timeout(PATIENCE, waiting).await;
        waited
            .unwrap_or_else(|_| panic!("too few {what}"))
            .expect("it has a sender");
    }

    /// From now on a client that finds nobody gives up.
    pub(crate) fn give_up_on_silence(&self) {
        self.shared.give_up.cancel();
    }

    /// Lets the clients finish what they are at: what they saw.
    pub(crate) async fn finish(mut self) -> Log {
        self.shared.stop.cancel();
        let mut log = Log::default();
        while let Some(client) = self.clients.join_next().await {
            let Log { sent, calls } = client.expect("a client went through");
            log.sent.extend(sent);
            log.calls.extend(calls);
        }
        log
    }
}

struct Client {
    http: reqwest::Client,
    shared: Arc<Shared>,
    rng: Rng,
    name: String,
    bulky: bool,
    next: u64,
    log: Log,
}

impl Client {
    async fn run(mut self) -> Log {
        while !self.shared.stop.is_cancelled() {
            let known = if !self.bulky && self.rng.u8(..8) == 0 {
                self.batch().await
            } else {
                self.transfer().await
            };
            if !known {
                break;
            }
            if self.bulky {
                self.pause(200..400).await;
            }
        }
        self.log
    }

    /// Money comes in, and goes from wallet to wallet as far as it is there.
    fn draft(&mut self, batch: Option<&str>) -> Sent {
        self.next += 1;
        let to = self.rng.usize(..WALLETS.len());
        let (source, amount) = if self.rng.u8(..5) < 2 {
            (WORLD, self.rng.i64(1..=100))
        } else {
            let from = (to + self.rng.usize(1..WALLETS.len())) % WALLETS.len();
            (WALLETS[from], self.rng.i64(1..=120))
        };
        Sent {
            key: format!("{}-{}", self.name, self.next),
            source,
            destination: WALLETS[to],
            amount,
            bulky: self.bulky && self.rng.u8(..6) == 0,
            batch: batch.map(str::to_owned),
            tries: 0,
            fate: Fate::Unknown,
        }
    }

    /// Posts one transfer: whether an answer came.
    async fn transfer(&mut self) -> bool {
        let mut sent = self.draft(None);
        let body = body_of(&sent);
        let answer = self.ask("transfers", &sent.key, &body, &mut sent.tries);
        sent.fate = match answer.await {
            Some(answer) if answer.status == 201 => posted(&answer.body, answer.replayed),
            Some(answer) => rejected(&answer.body),
            None => Fate::Unknown,
        };
        let known = sent.fate != Fate::Unknown;
        self.log.sent.push(sent);
        known
    }

    /// Posts some transfers at once: whether an answer came.
    async fn batch(&mut self) -> bool {
        let atomic = self.rng.bool();
        let name = format!("{}-batch-{}", self.name, self.next);
        let count = self.rng.usize(2..20);
        let mut batch: Vec<Sent> = (0..count)
            .map(|_| self.draft(atomic.then_some(&*name)))
            .collect();
        let transfers: Vec<Value> = batch
            .iter()
            .map(|sent| {
                let mut body = body_of(sent);
                body["idempotency_key"] = json!(sent.key);
                body
            })
            .collect();
        let body = json!({"transfers": transfers, "atomic": atomic});
        let mut tries = 0;
        let answer = self.ask("transfers/batch", &name, &body, &mut tries).await;
        let known = answer.is_some();
        for (n, sent) in batch.iter_mut().enumerate() {
            sent.tries = tries;
            if let Some(Answer { status, body, .. }) = &answer {
                assert_eq!(*status, 200, "a batch gave {body}");
                let result = &body["results"][n];
                sent.fate = match result["status"].as_str() {
                    Some("posted") => posted(result, false),
                    Some("replayed") => posted(result, true),
                    _ => rejected(result),
                };
            }
        }
        self.log.sent.extend(batch);
        known
    }

    /// Asks until there is an answer to go by: 200, 201 or a rule's no.
    async fn ask(
        &mut self,
        what: &str,
        key: &str,
        body: &Value,
        tries: &mut u32,
    ) -> Option<Answer> {
        let started = Instant::now();
        loop {
            let target = self.target().await;
            *tries += 1;
            let url = format!("http://{target}/v1/ledgers/main/{what}");
            let (call, answer) = self.call(&url, key, body).await;
            let unavailable = call.status == Some(503);
            let silent = call.status.is_none();
            self.log.calls.push(call);
            if let Some(answer) = answer {
                self.progress(|progress| progress.answers += 1);
                return Some(answer);
            }
            if unavailable {
                self.progress(|progress| progress.unavailable += 1);
            }
            if silent && self.shared.give_up.is_cancelled() {
                return None;
            }
            assert!(started.elapsed() < PATIENCE, "no answer to {key}");
            self.pause(20..80).await;
        }
    }

    async fn pause(&mut self, ms: Range<u64>) {
        let pause = self.rng.u64(ms);
        sleep(Duration::from_millis(pause)).await;
    }

    async fn target(&mut self) -> String {
        let mut targets = self.shared.targets.subscribe();
        let targets = targets.wait_for(|targets| !targets.is_empty()).await;
        let targets = targets.expect("it has a sender");
        targets[self.rng.usize(..targets.len())].clone()
    }

    fn progress(&self, change: impl FnOnce(&mut Progress)) {
        self.shared.progress.send_modify(change);
    }

    async fn call(&self, url: &str, key: &str, body: &Value) -> (Call, Option<Answer>) {
        let at = Instant::now();
        let request = self
            .http
            .post(url)
            .header("Idempotency-Key", key)
            .json(body);
        let answered = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let retry_after = response.headers().contains_key("retry-after");
            let replayed = response.headers().contains_key("idempotent-replayed");
            let body = response.json::<Value>().await?;
            let answer = Answer {
                status,
                replayed,
                body,
            };
            Ok::<_, reqwest::Error>((retry_after, answer))
        };
        let answered = answered.await;
        let mut call = Call {
            at,
            took: at.elapsed(),
            status: None,
            unconnected: false,
            retry_after: false,
            problem: None,
        };
        match answered {
            Ok((retry_after, answer)) => {
                call.status = Some(answer.status);
                call.retry_after = retry_after;
                if matches!(answer.status, 200 | 201 | 422) {
                    return (call, Some(answer));
                }
                call.problem = Some(answer.body.to_string());
            }
            Err(error) => {
                call.unconnected = error.is_connect();
                call.problem = Some(format!("{error:?}"));
            }
        }
        (call, None)
    }
}

/// An answer to go by.
struct Answer {
    status: u16,
    replayed: bool,
    body: Value,
}

fn body_of(sent: &Sent) -> Value {
    let mut body = json!({
        "source": sent.source,
        "destination": sent.destination,
        "currency": CURRENCY,
        "amount": sent.amount,
    });
    if sent.bulky {
        // By chance, so that no compression makes it small.
        let bulk = std::iter::repeat_with(fastrand::alphanumeric).take(BULK_BYTES);
        body["metadata"] = json!({"bulk": bulk.collect::<String>()});
    }
    body
}

fn posted(answer: &Value, replayed: bool) -> Fate {
    let id = answer["transaction_id"].as_str();
    let id = id.and_then(|id| id.parse().ok());
    Fate::Posted {
        id: id.unwrap_or_else(|| panic!("no transaction in {answer}")),
        replayed,
    }
}

fn rejected(problem: &Value) -> Fate {
    let code = problem["code"].as_str();
    Fate::Rejected(
        code.unwrap_or_else(|| panic!("no code in {problem}"))
            .to_owned(),
    )
}
