//! Sends spans to a collector, by OTLP over HTTP.
//!
//! A span that ends goes into a queue of bounded length, which costs whoever ends it a short lock,
//! and a task of its own sends what is there, once a second or when there is enough. What finds no
//! room, and what could not be sent at the first attempt, is dropped and counted: a collector that
//! is slow or away holds nothing up and takes no memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData};
use prost::Message as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::queue::{Queue, Queued, dropped};
use super::sampling::{Ids, Sampling};
use super::span;
use crate::config::TelemetryConfig;

/// How long a span waits for others.
const EVERY: Duration = Duration::from_secs(1);
/// Of an answer nothing is read but that it ends.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why traces can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The address doesn't hold.
    #[error(
        "the address for traces, {address}, can't be read: {reason}; check \
             OTEL_EXPORTER_OTLP_ENDPOINT"
    )]
    Address {
        /// As it was made of the configuration.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header doesn't hold. It may be a secret, and is not shown.
    #[error(
        "a header for traces can't be sent: write name=value in OTEL_EXPORTER_OTLP_HEADERS, \
             and printable characters in NEW_RELIC_LICENSE_KEY"
    )]
    Header,
    /// TLS can't be set up.
    #[error("traces can't be sent over TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Traces of this process, on their way to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    stop: CancellationToken,
    sending: JoinHandle<()>,
    timeout: Duration,
}

impl Traces {
    /// Records traces from here on, if the configuration says where they go. Within a runtime.
    ///
    /// # Errors
    /// See [`TracesError`].
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>, TracesError> {
        let Some(address) = config.destination() else {
            return Ok(None);
        };
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let queue = Arc::new(Queue::new(config.queue_spans_max));
        let sender = Sender {
            queue: Arc::clone(&queue),
            resource: (&resource).into(),
            address: address.parse().map_err(|reason| TracesError::Address {
                address,
                reason: format!("{reason}"),
            })?,
            headers: headers(config)?,
            client: client(config.export_timeout)?,
            timeout: config.export_timeout,
        };
        // What begins here was drawn before its first span is made.
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler)
            .with_id_generator(Ids::default())
            .with_span_processor(Queued(queue))
            .build();
        let sampling = Sampling::new(config.sample_per_mille, config.traces_per_second_max);
        span::record_with(provider.tracer("aegis"), sampling);
        let stop = CancellationToken::new();
        Ok(Some(Self {
            provider,
            sending: tokio::spawn(sender.run(stop.clone())),
            stop,
            timeout: config.export_timeout,
        }))
    }

    /// Records nothing more, and sends what waits, for as long as one request may take.
    pub async fn stop(self) {
        drop(self.provider.shutdown());
        self.stop.cancel();
        let sending = self.sending.abort_handle();
        if tokio::time::timeout(self.timeout, self.sending)
            .await
            .is_err()
        {
            sending.abort();
            tracing::warn!("the last spans were not sent in time");
        }
    }
}

struct Sender {
    queue: Arc<Queue>,
    resource: ResourceAttributesWithSchema,
    address: Uri,
    headers: HeaderMap,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl Sender {
    async fn run(self, stop: CancellationToken) {
        let mut away = false;
        loop {
            let stopping = stop.is_cancelled();
            let mut all_sent = true;
            loop {
                let spans = self.queue.take();
                let count = spans.len();
                if count == 0 {
                    break;
                }
                let sent = self.send(spans).await;
                all_sent = sent.is_ok();
                match sent {
                    Ok(()) => {
                        let count = u64::try_from(count).unwrap_or(u64::MAX);
                        metrics::counter!("aegis_traces_sent_total").increment(count);
                        if std::mem::take(&mut away) {
                            tracing::info!("spans are sent again");
                        }
                    }
                    Err(reason) => {
                        dropped(count, "not_sent");
                        if !std::mem::replace(&mut away, true) {
                            tracing::warn!(reason, "spans can't be sent; they are dropped");
                        }
                        break;
                    }
                }
            }
            if stopping {
                // What is left has nobody to take it.
                dropped(self.queue.len(), "not_sent");
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                // Where the collector is away, it is left alone for the while.
                () = self.queue.enough(), if all_sent => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn send(&self, spans: Vec<SpanData>) -> Result<(), String> {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut request = Request::post(self.address.clone())
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        request.headers_mut().clone_from(&self.headers);
        let answered = tokio::time::timeout(self.timeout, async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| error.to_string())?;
            let status = response.status();
            // Read to its end, so that the connection is used again.
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            drop(body.collect().await);
            match status.is_success() {
                true => Ok(()),
                false => Err(format!("the collector answered {status}")),
            }
        });
        let too_late = |_| format!("no answer within {} ms", self.timeout.as_millis());
        answered.await.map_err(too_late)?
    }
}

fn client(
    timeout: Duration,
) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, rustls::Error> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(timeout));
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector))
}

fn headers(config: &TelemetryConfig) -> Result<HeaderMap, TracesError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    let mut put = |name: &str, value: &str| {
        let name = HeaderName::try_from(name.trim()).map_err(|_| TracesError::Header)?;
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| TracesError::Header)?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok::<(), TracesError>(())
    };
    if let Some(key) = &config.new_relic_license_key {
        put("api-key", key.expose())?;
    }
    let given = config.otlp_headers.as_ref().map_or("", |all| all.expose());
    for pair in given.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(TracesError::Header)?;
        put(name, value)?;
    }
    Ok(headers)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use crate::config::{Config, Secret};

    fn config(headers: Option<&str>, key: Option<&str>) -> TelemetryConfig {
        TelemetryConfig {
            otlp_headers: headers.map(Secret::new),
            new_relic_license_key: key.map(Secret::new),
            ..Config::default().telemetry
        }
    }

    #[test]
    fn headers_are_names_and_values_and_new_relic_has_its_own() {
        let made = headers(&config(Some("x-a=1, x-b=2=3"), Some("nr-key"))).unwrap();
        assert_eq!(made["x-a"], "1");
        assert_eq!(made["x-b"], "2=3");
        assert_eq!(made["api-key"], "nr-key");
    }

    #[test]
    fn a_header_that_does_not_hold_is_refused_and_not_shown() {
        for given in ["hunter2", "a b=hunter2", "a=hunter2\nb"] {
            let error = headers(&config(Some(given), None)).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn new_relic_alone_is_a_destination_and_an_endpoint_goes_before_it() {
        assert_eq!(config(None, None).destination(), None);
        let alone = config(None, Some("nr-key")).destination();
        assert_eq!(alone.as_deref(), Some("https://otlp.nr-data.net/v1/traces"));
    }
}
