//! What a test's own thread logs.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{DefaultGuard, set_default};
use tracing_subscriber::fmt::MakeWriter;

/// Collects the lines of this thread, as JSON, from here on.
pub struct CapturedLog {
    lines: Lines,
    _guard: DefaultGuard,
    _second: Dispatch,
}

impl CapturedLog {
    /// Starts to collect.
    pub fn start() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(lines.clone())
            .finish();
        Self {
            // While a process has a single subscriber, a statement that is first reached by a thread
            // without it is switched off for all threads. With two, all are asked.
            _second: Dispatch::new(tracing_subscriber::registry()),
            _guard: set_default(&Dispatch::new(subscriber)),
            lines,
        }
    }

    /// The lines so far of a target, such as `aegis::request`, and of what lies below it.
    pub fn of_target(&self, target: &str) -> Vec<Value> {
        let bytes = self.lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| line["target"].as_str().unwrap().starts_with(target))
            .collect()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
