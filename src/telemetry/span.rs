//! The spans of a trace: what was done for one request, by which part, for how long.
//!
//! A span that is under way is current in the future that it is [`Span::within`]; what begins in
//! there is its child. Whether a trace is recorded is decided where it begins, before any span of it
//! is made: of one that isn't, and where traces are off, every [`Span`] here is empty and costs a
//! look at a thread's own memory.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::SystemTime;

use futures_util::future::Either;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::sampling::{self, Sampling};
use super::{lines, traceparent, unrecorded_traceparent};

static TRACER: OnceLock<(SdkTracer, Sampling)> = OnceLock::new();

/// From here on traces are recorded. A process has one tracer; a second one is not used.
pub(super) fn record_with(tracer: SdkTracer, sampling: Sampling) {
    drop(TRACER.set((tracer, sampling)));
}

fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get().map(|(tracer, _)| tracer)
}

/// What a span is to its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A step within the process.
    Internal,
    /// It answers somebody.
    Server,
    /// It waits for somebody's answer.
    Client,
    /// It hands a message on.
    Producer,
    /// It takes a message.
    Consumer,
}

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Internal => Self::Internal,
            Kind::Server => Self::Server,
            Kind::Client => Self::Client,
            Kind::Producer => Self::Producer,
            Kind::Consumer => Self::Consumer,
        }
    }
}

/// A span under way, which ends when it is dropped. Empty where its trace is not recorded.
#[derive(Debug, Default)]
pub struct Span(Option<Context>);

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

impl Span {
    /// The span of a request that came in with this `traceparent`, or with none: then the trace
    /// begins here. Beside it the `traceparent` to answer with and to hand on.
    pub fn request(came_with: Option<String>, name: impl FnOnce() -> String) -> (Self, String) {
        let Some((tracer, sampling)) = TRACER.get() else {
            let made = came_with.unwrap_or_else(unrecorded_traceparent);
            return (Self(None), made);
        };
        let builder = || tracer.span_builder(name()).with_kind(SpanKind::Server);
        let context = match &came_with {
            None => {
                let trace = sampling::new_trace();
                if !sampling.draw(trace, SystemTime::now()) {
                    return (Self(None), traceparent(&trace.to_string(), "00"));
                }
                let parent = Context::new();
                let begun = || builder().start_with_context(tracer, &parent);
                parent.with_span(sampling::begin(trace, begun))
            }
            Some(text) => {
                let Some(context) = sampled(text) else {
                    return (Self(None), text.clone());
                };
                let parent = Context::new().with_remote_span_context(context);
                let span = builder().start_with_context(tracer, &parent);
                parent.with_span(span)
            }
        };
        let traceparent = written(context.span().span_context());
        let span = context.span().is_recording().then_some(context.clone());
        (Self(span), traceparent)
    }

    /// A child of the current span.
    pub fn child(kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        match Context::map_current(recorded) {
            Some(parent) => Self::under(&parent, kind, name.into()),
            None => Self(None),
        }
    }

    /// A child of the current span; where there is none, goes on with the trace that a stored or
    /// received `traceparent` tells of.
    pub fn going_on(
        traceparent: Option<&str>,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
    ) -> Self {
        match Context::map_current(recorded).or_else(|| remote(traceparent)) {
            Some(parent) => Self::under(&parent, kind, name.into()),
            None => Self(None),
        }
    }

    /// An SQL statement, for those that the driver does not tell of by itself: COPY.
    #[must_use]
    pub fn statement(text: &str) -> Self {
        let operation = text.split_whitespace().next().unwrap_or_default();
        let span = Self::child(Kind::Client, operation.to_owned());
        if span.is_recorded() {
            span.set("db.system.name", "postgresql");
            span.set("db.operation.name", operation.to_owned());
            span.set("db.query.text", super::statements::in_one_line(text));
        }
        span
    }

    /// A child of this one, whoever is current.
    pub fn step(&self, kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        match &self.0 {
            Some(parent) => Self::under(parent, kind, name.into()),
            None => Self(None),
        }
    }

    fn under(parent: &Context, kind: Kind, name: Cow<'static, str>) -> Self {
        let Some(tracer) = tracer() else {
            return Self(None);
        };
        let builder = tracer.span_builder(name).with_kind(kind.into());
        let span = builder.start_with_context(tracer, parent);
        Self(Some(parent.with_span(span)))
    }

    /// Whether anything is recorded of it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Says something about it. Never a payload or a secret.
    pub fn set(&self, name: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(name, value));
        }
    }

    /// It failed.
    pub fn fail(&self, why: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(why));
        }
    }

    /// Points at a span that worked for this one and has another parent.
    pub fn link(&self, other: &Self) {
        if let (Some(context), Some(other)) = (&self.0, &other.0) {
            let other = other.span().span_context().clone();
            context.span().add_link(other, Vec::new());
        }
    }

    /// Does work with this span as the current one.
    pub fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(context) => Either::Left(work.with_context(context.clone())),
            None => Either::Right(work),
        }
    }

    /// To be handed on, so that what follows is its child.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?;
        Some(written(context.span().span_context()))
    }
}

/// The current span, to be handed on.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    Context::map_current(|context| {
        let context = recorded(context)?;
        Some(written(context.span().span_context()))
    })
}

/// Takes the current span along into a task of its own, and what log lines there say of the request.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let work = match lines::current() {
        Some(context) => Either::Left(lines::in_context(context, work)),
        None => Either::Right(work),
    };
    match Context::map_current(recorded) {
        Some(context) => Either::Left(work.with_context(context)),
        None => Either::Right(work),
    }
}

/// A step that is over, in the trace that a `traceparent` tells of.
pub fn finished<const N: usize>(
    traceparent: Option<&str>,
    kind: Kind,
    name: impl FnOnce() -> String,
    start: SystemTime,
    attributes: impl FnOnce() -> [(&'static str, Value); N],
    failure: Option<&str>,
) {
    if let (Some(parent), Some(tracer)) = (remote(traceparent), tracer()) {
        let attributes = attributes().map(|(name, value)| KeyValue::new(name, value));
        let builder = tracer.span_builder(name()).with_kind(kind.into());
        let span = builder
            .with_start_time(start)
            .with_attributes(attributes)
            .start_with_context(tracer, &parent);
        let context = parent.with_span(span);
        if let Some(why) = failure {
            context.span().set_status(Status::error(why.to_owned()));
        }
        context.span().end();
    }
}

/// A child of the current span that is over.
pub(super) fn finished_here(
    kind: Kind,
    name: String,
    (start, end): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
) {
    use opentelemetry::trace::Span as _;
    if let (Some(parent), Some(tracer)) = (Context::map_current(recorded), tracer()) {
        let builder = tracer.span_builder(name).with_kind(kind.into());
        let mut span = builder
            .with_start_time(start)
            .with_attributes(attributes)
            .start_with_context(tracer, &parent);
        span.end_with_timestamp(end);
    }
}

/// Whether what is done now belongs to a trace that is recorded.
pub(super) fn is_current() -> bool {
    Context::map_current(|context| context.span().is_recording())
}

fn recorded(context: &Context) -> Option<Context> {
    context.span().is_recording().then(|| context.clone())
}

fn remote(traceparent: Option<&str>) -> Option<Context> {
    TRACER.get()?;
    let context = sampled(traceparent?)?;
    Some(Context::new().with_remote_span_context(context))
}

/// A `traceparent` of version 00 whose trace is recorded.
fn sampled(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-').skip(1);
    let trace_id = TraceId::from_hex(parts.next()?).ok()?;
    let span_id = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::default());
    (flags.is_sampled() && context.is_valid()).then_some(context)
}

fn written(context: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_it_is_written() {
        assert_eq!(written(&sampled(TRACEPARENT).unwrap()), TRACEPARENT);
    }

    #[test]
    fn a_trace_that_is_not_recorded_is_not_gone_on_with() {
        let not_sampled = format!("{}00", &TRACEPARENT[..53]);
        for text in [
            not_sampled.as_str(),
            "",
            "00-4bf9",
            "00-zz-00f067aa0ba902b7-01",
        ] {
            assert!(sampled(text).is_none(), "{text}");
        }
    }

    #[test]
    fn without_a_tracer_a_request_keeps_the_traceparent_that_it_came_with() {
        let (span, traceparent) = Span::request(Some(TRACEPARENT.to_owned()), String::new);
        assert!(!span.is_recorded());
        assert_eq!(traceparent, TRACEPARENT);
    }

    #[test]
    fn without_a_tracer_a_traceparent_that_is_made_says_that_nothing_is_recorded() {
        let (span, traceparent) = Span::request(None, String::new);
        assert!(!span.is_recorded());
        assert!(traceparent.ends_with("-00"), "{traceparent}");
    }
}
