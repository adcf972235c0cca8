//! The context of a log line: what is logged while a request is worked on says which request.

use std::fmt;
use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// What names the work that a line is logged in.
pub trait LogContext: Send + Sync {
    /// Tells each name with its value. Never a payload or a secret.
    fn tell(&self, each: &mut dyn FnMut(&'static str, &str));
}

tokio::task_local! {
    static CURRENT: Arc<dyn LogContext>;
}

/// Does work whose log lines carry this context.
pub fn in_context<F: Future>(
    context: Arc<dyn LogContext>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    CURRENT.scope(context, work)
}

/// What a line tells of the request that caused the work: a message's, a payment's, a payout's.
#[derive(Debug)]
struct Cause {
    correlation_id: Option<String>,
    trace_id: Option<String>,
}

impl LogContext for Cause {
    fn tell(&self, each: &mut dyn FnMut(&'static str, &str)) {
        let named = [
            ("correlation_id", &self.correlation_id),
            ("trace_id", &self.trace_id),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                each(name, value);
            }
        }
    }
}

/// Does work that a request caused, by the ids that were handed on with it: its log lines carry them.
pub fn caused_by<F: Future>(
    correlation_id: Option<&str>,
    traceparent: Option<&str>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let of_it = Cause {
        correlation_id: correlation_id.map(shortened),
        trace_id: traceparent.and_then(trace_id).map(str::to_owned),
    };
    in_context(Arc::new(of_it), work)
}

/// As much as a well-formed one can have.
fn shortened(id: &str) -> String {
    id.chars().take(255).collect()
}

/// Of a `traceparent` that is one.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let is_one = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_one.then_some(id)
}

/// The context to take along into a task of its own.
pub(super) fn current() -> Option<Arc<dyn LogContext>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Lines of another format with the context behind their own fields.
pub(super) struct InContext<F> {
    format: F,
    write: fn(&mut String, &str, &str),
}

impl<F> InContext<F> {
    /// Of a format whose lines are JSON objects.
    pub(super) fn json(format: F) -> Self {
        let write = |line: &mut String, name: &str, value: &str| {
            let value = serde_json::Value::from(value);
            // The object is opened again, which the format had closed.
            if line.ends_with('}') {
                line.truncate(line.len().saturating_sub(1));
                line.push_str(&format!(",\"{name}\":{value}}}"));
            }
        };
        Self { format, write }
    }

    /// Of a format for people.
    pub(super) fn text(format: F) -> Self {
        let write = |line: &mut String, name: &str, value: &str| {
            line.push_str(&format!(" {name}={value:?}"));
        };
        Self { format, write }
    }
}

impl<S, N, F> FormatEvent<S, N> for InContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(current) = current() else {
            return self.format.format_event(context, writer, event);
        };
        let mut line = String::with_capacity(512);
        let inner = Writer::new(&mut line);
        self.format.format_event(context, inner, event)?;
        line.truncate(line.trim_end().len());
        let own = event.metadata().fields();
        current.tell(&mut |name, value| {
            // What the line itself says is nearer.
            if own.field(name).is_none() {
                (self.write)(&mut line, name, value);
            }
        });
        writeln!(writer, "{line}")
    }
}
