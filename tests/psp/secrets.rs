//! The key is in nothing that a person or a log could see.

use std::io::Write;
use std::sync::{Arc, Mutex};

use aegis::psp::Psp;
use aegis::simulator::Fault;
use tracing::level_filters::LevelFilter;

use crate::scene::{KEY, Scene, payment, transfer};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_key_is_in_no_error_and_no_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // A statement that is first reached by a thread without a subscriber would stay switched off.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    let mut shown = Vec::new();
    for fault in Fault::ALL.iter().filter(|fault| fault.is_of_the_answer()) {
        let psp = scene.impatient();
        scene.arm(*fault);
        let reference = format!("po_{fault}");
        let sent = psp.transfer(&transfer(&reference, 1_000, &recipient)).await;
        shown.push(format!("{sent:?} {psp:?}"));
        if let Err(error) = sent {
            shown.push(error.to_string());
        }
        scene.arm(*fault);
        let opened = psp
            .initialize(&payment(&format!("pay-{fault}"), 1_000))
            .await;
        shown.push(format!("{opened:?}"));
    }
    for _ in 0..6 {
        scene.arm(Fault::ServerError);
        shown.push(format!("{:?}", scene.psp.verify("pay-1").await));
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("paystack"),
        "the opened breaker is logged: {log}"
    );
    shown.push(log);
    for shown in shown {
        assert!(
            !shown.contains(KEY) && !shown.contains(&KEY[8..]),
            "{shown}"
        );
    }
}
