//! The provider over HTTP.

mod admin;
mod answer;
mod api;
mod page;
mod server;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::Uri;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::books::{Books, Fees, Happened};
use super::courier::{Courier, CourierOptions, Webhooks};
use super::fault::{Armed, Call, Fault, Faults, Rate};
use super::provider::Provider;
use crate::config::Secret;
use crate::ledger::Currency;

/// How a simulator runs.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What calls must carry, and webhooks are signed with.
    pub secret_key: Secret,
    /// Where webhooks go; none: nowhere.
    pub webhook_url: Option<String>,
    /// The waits between the attempts of a webhook.
    pub webhook_retries: Vec<Duration>,
    /// What is charged.
    pub fees: Fees,
    /// What is in the balance at the start.
    pub balances: Vec<(Currency, i64)>,
    /// How often what goes wrong.
    pub rates: Vec<Rate>,
    /// By which chance.
    pub seed: u64,
    /// How long after it is begun a transfer or refund ends by itself; none: when told.
    pub settle_after: Option<Duration>,
    /// How long after it is opened a payment is paid by itself; none: when told.
    pub pay_after: Option<Duration>,
    /// How late a slow answer and a late webhook are.
    pub late: Duration,
    /// How long a webhook that is to come after the next one waits for a next one.
    pub held_max: Duration,
}

impl SimulatorOptions {
    /// On the loopback address, without webhooks, money and faults; transfers end at once.
    #[must_use]
    pub fn new(secret_key: Secret) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            secret_key,
            webhook_url: None,
            webhook_retries: [1, 2, 4, 8, 16].map(Duration::from_secs).to_vec(),
            fees: Fees::default(),
            balances: Vec::new(),
            rates: Vec::new(),
            seed: 0,
            settle_after: Some(Duration::ZERO),
            pay_after: None,
            late: Duration::from_secs(2),
            held_max: Duration::from_secs(1),
        }
    }
}

/// Why a simulator does not run.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is taken, or not this machine's.
    #[error("{address} can't be listened on: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// Webhooks can't go there.
    #[error("webhooks can't be sent to {url:?}: it is not http://host/path or https://host/path")]
    WebhookUrl {
        /// Where.
        url: String,
    },
    /// TLS can't be set up.
    #[error("TLS for webhooks can't be set up: {0}")]
    Tls(String),
    /// The balance to start with is not possible.
    #[error("the balance can't begin with {amount} {currency}: {reason}")]
    Balance {
        /// In minor units.
        amount: i64,
        /// Of which currency.
        currency: Currency,
        /// Why not.
        reason: String,
    },
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Payments opened.
    pub payments: usize,
    /// Payments paid.
    pub paid: usize,
    /// Transfers begun.
    pub transfers: usize,
    /// Refunds begun.
    pub refunds: usize,
    /// Disputes opened.
    pub disputes: usize,
    /// What is in the balance, in minor units.
    pub balances: Vec<(Currency, i64)>,
    /// What went wrong on request, and how often.
    pub faults: Vec<(Fault, u64)>,
    /// Webhooks.
    pub webhooks: Webhooks,
}

/// A simulator that runs.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    app: App,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct App {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    provider: Mutex<Provider>,
    courier: Courier,
    options: SimulatorOptions,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Listens, and serves until it is stopped.
    ///
    /// # Errors
    /// [`SimulatorError`].
    pub async fn start(options: SimulatorOptions) -> Result<Self, SimulatorError> {
        let url = options
            .webhook_url
            .as_deref()
            .map(webhook_uri)
            .transpose()?;
        let now = OffsetDateTime::now_utc();
        // A provider never gives a number twice, and neither does one that is started again: events
        // of the same number would be taken for repeats.
        let micros = now.unix_timestamp_nanos() / 1_000;
        let mut books = Books::numbered_after(u64::try_from(micros).unwrap_or(1_000), options.fees);
        for &(currency, amount) in &options.balances {
            let begun = books.top_up(amount, currency, now);
            begun.map_err(|no| SimulatorError::Balance {
                amount,
                currency,
                reason: no.message,
            })?;
        }
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let courier = CourierOptions {
            url,
            secret_key: options.secret_key.clone(),
            retries: options.webhook_retries.clone(),
            late: options.late,
            held_max: options.held_max,
        };
        let courier = Courier::new(courier, stop.clone(), tasks.clone())
            .map_err(|error| SimulatorError::Tls(error.to_string()))?;
        let cannot = |error| SimulatorError::Listen {
            address: options.listen,
            error,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let app = App {
            shared: Arc::new(Shared {
                provider: Mutex::new(Provider {
                    books,
                    faults: Faults::new(options.seed, options.rates.clone()),
                }),
                courier,
                options,
                address,
                stop: stop.clone(),
                tasks: tasks.clone(),
            }),
        };
        tasks.spawn(server::serve(listener, app.router(), stop.clone()));
        Ok(Self {
            address,
            app,
            stop,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What Aegis is given as `PAYSTACK_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where webhooks go.
    #[must_use]
    pub fn webhook_url(&self) -> Option<&str> {
        self.app.shared.options.webhook_url.as_deref()
    }

    /// Looks at the books.
    pub fn with_books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.app.provider().books)
    }

    /// Lets a fault wait for its call.
    pub fn arm(&self, armed: Armed) {
        self.app.provider().faults.arm(armed);
    }

    /// What became of the webhooks so far.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks {
        self.app.shared.courier.report()
    }

    /// Takes no more calls, drops what is under way, and tells what the run came to.
    pub async fn stop(self) -> Summary {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.app.summary()
    }
}

fn webhook_uri(url: &str) -> Result<Uri, SimulatorError> {
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    });
    uri.ok_or_else(|| SimulatorError::WebhookUrl {
        url: url.to_owned(),
    })
}

impl App {
    fn router(&self) -> Router {
        Router::new()
            .merge(api::routes())
            .nest("/simulator", admin::routes())
            .fallback(answer::no_such_route)
            .with_state(self.clone())
    }

    fn provider(&self) -> MutexGuard<'_, Provider> {
        let provider = self.shared.provider.lock();
        provider.unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends webhooks about all that happened, each with faults of its own.
    fn tell(&self) {
        for (happened, faults) in self.happened() {
            self.shared.courier.post(&happened, &faults);
        }
    }

    /// A caller that hangs up meanwhile takes no webhook with it.
    async fn tell_now(&self) {
        let app = self.clone();
        let told = self.shared.tasks.spawn(async move {
            let telling = async {
                for (happened, faults) in app.happened() {
                    app.shared.courier.post_now(&happened, &faults).await;
                }
            };
            tokio::select! {
                () = telling => {}
                () = app.shared.stop.cancelled() => {}
            }
        });
        drop(told.await);
    }

    fn happened(&self) -> Vec<(Happened, Vec<Fault>)> {
        let mut provider = self.provider();
        let happened = provider.books.take_happened();
        happened
            .into_iter()
            .map(|happened| {
                let faults = provider
                    .faults
                    .take(Call::Webhook, happened.reference(), &[]);
                (happened, faults)
            })
            .collect()
    }

    /// Does something later, unless the simulator is stopped before.
    fn after(&self, wait: Duration, act: impl FnOnce(&mut Provider) + Send + 'static) {
        let app = self.clone();
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = app.shared.stop.cancelled() => return,
            }
            act(&mut app.provider());
            app.tell();
        });
    }

    fn summary(&self) -> Summary {
        let provider = self.provider();
        let books = &provider.books;
        let balances = books.balances().iter();
        Summary {
            payments: books.payments().count(),
            paid: books.payments().filter(|p| p.paid_at.is_some()).count(),
            transfers: books.transfers().count(),
            refunds: books.refunds().count(),
            disputes: books.disputes().count(),
            balances: balances
                .filter(|((account, _), _)| *account == super::Account::Balance)
                .map(|((_, currency), balance)| (*currency, *balance))
                .collect(),
            faults: provider
                .faults
                .happened()
                .iter()
                .map(|(f, n)| (*f, *n))
                .collect(),
            webhooks: self.shared.courier.report(),
        }
    }
}
