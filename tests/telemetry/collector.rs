//! An OTLP collector: takes spans over HTTP and decodes them.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::PATIENCE;

/// A span as it came over the wire.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: HashMap<String, String>,
    /// The spans that it points to.
    pub links: Vec<String>,
    pub service: String,
}

impl Span {
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub fn statement(&self) -> &str {
        self.attribute("db.query.text")
    }
}

/// What it was sent.
#[derive(Debug, Default)]
struct Taken {
    spans: Vec<Span>,
    headers: Vec<HeaderMap>,
}

pub struct Collector {
    address: SocketAddr,
    taken: watch::Sender<Taken>,
    serving: JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let taken = watch::Sender::new(Taken::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(taken.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            taken,
            serving,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for spans that satisfy a test: all that came up to then.
    pub async fn until(&self, what: &str, holds: impl Fn(&[Span]) -> bool) -> Trace {
        let mut taken = self.taken.subscribe();
        let came = taken.wait_for(|taken| holds(&taken.spans));
        match tokio::time::timeout(PATIENCE, came).await {
            Ok(taken) => Trace(taken.unwrap().spans.clone()),
            Err(_) => panic!("{what} never came:\n{}", Trace(self.spans()).drawn()),
        }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.taken.borrow().spans.clone()
    }

    pub fn headers(&self) -> Vec<HeaderMap> {
        self.taken.borrow().headers.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(
    State(taken): State<watch::Sender<Taken>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    taken.send_modify(|taken| {
        taken.headers.push(headers);
        taken.spans.extend(read(request));
    });
    StatusCode::OK
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let of_resource = resource.resource.unwrap().attributes;
        let service = of_resource
            .into_iter()
            .find(|pair| pair.key == "service.name")
            .map(|pair| text(pair.value.unwrap().value.unwrap()))
            .unwrap();
        for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind(),
                start_ns: span.start_time_unix_nano,
                end_ns: span.end_time_unix_nano,
                links: span.links.iter().map(|l| hex(&l.span_id)).collect(),
                name: span.name,
                attributes: span
                    .attributes
                    .into_iter()
                    .map(|pair| (pair.key, text(pair.value.unwrap().value.unwrap())))
                    .collect(),
                service: service.clone(),
            });
        }
    }
    spans
}

fn text(value: Value) -> String {
    match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Spans, with the questions that tests put.
#[derive(Debug)]
pub struct Trace(pub Vec<Span>);

impl Trace {
    /// Only those of one trace.
    pub fn of(self, trace: &str) -> Self {
        Self(self.0.into_iter().filter(|s| s.trace == trace).collect())
    }

    /// The only span of this name.
    pub fn one(&self, name: &str) -> &Span {
        let found: Vec<&Span> = self.0.iter().filter(|span| span.name == name).collect();
        match found[..] {
            [one] => one,
            _ => panic!("{} spans {name:?}:\n{}", found.len(), self.drawn()),
        }
    }

    pub fn children(&self, parent: &Span) -> Vec<&Span> {
        let children = self.0.iter().filter(|span| span.parent == parent.id);
        children.collect()
    }

    /// The child with this name.
    pub fn child(&self, parent: &Span, name: &str) -> &Span {
        let children = self.children(parent);
        let found = children.into_iter().find(|span| span.name == name);
        found
            .unwrap_or_else(|| panic!("{:?} has no child {name:?}:\n{}", parent.name, self.drawn()))
    }

    /// A statement below a span, by what stands in its text.
    pub fn statement(&self, parent: &Span, words: &str) -> &Span {
        let children = self.children(parent);
        let found = children
            .into_iter()
            .find(|span| span.statement().contains(words));
        found.unwrap_or_else(|| {
            panic!(
                "no statement with {words:?} below {:?}:\n{}",
                parent.name,
                self.drawn()
            )
        })
    }

    /// For people, as a tree.
    pub fn drawn(&self) -> String {
        let is_root = |span: &&Span| !self.0.iter().any(|other| other.id == span.parent);
        let mut drawn = String::new();
        for root in self.0.iter().filter(is_root) {
            self.draw(root, 0, &mut drawn);
        }
        drawn
    }

    fn draw(&self, span: &Span, depth: usize, drawn: &mut String) {
        let (indent, us) = ("  ".repeat(depth), (span.end_ns - span.start_ns) / 1_000);
        let statement: String = span.statement().chars().take(60).collect();
        drawn.push_str(&format!("{indent}{} {us} us {statement}\n", span.name));
        for child in self.children(span) {
            self.draw(child, depth + 1, drawn);
        }
    }
}
