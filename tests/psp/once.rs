//! With everything going wrong at once, a caller that goes by the errors pays everybody once.

use std::collections::HashSet;

use aegis::psp::{Lookup, NewTransfer, Psp, PspError};
use aegis::resilience::breaker::BreakerOptions;
use aegis::simulator::Account;

use crate::scene::{Scene, adapter, ngn, options, transfer};

/// Sends it, and asks for what is not known, until it is known that it is there.
async fn pay_out(psp: &impl Psp, wanted: &NewTransfer) {
    loop {
        match psp.transfer(wanted).await {
            Ok(_) => return,
            Err(error) if !error.may_have_happened() => match error {
                PspError::Refused { .. } => {}
                _ => continue,
            },
            Err(_) => {}
        }
        loop {
            match psp.verify_transfer(&wanted.reference).await {
                Ok(Lookup::Known(_)) => return,
                Ok(Lookup::NotKnown) => break,
                Err(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn everybody_is_paid_once_whatever_goes_wrong() {
    let mut options = options();
    options.seed = 20_261_122;
    options.rates = [
        "lost=0.2",
        "server-error=0.2",
        "cut=0.2",
        "garbage=0.1",
        "rate-limit=0.2",
        "low-balance=0.1",
    ]
    .map(|rate| rate.parse().unwrap())
    .to_vec();
    let scene = Scene::with(options).await;
    let psp = adapter(&scene.simulator.base_url(), |options| {
        options.breaker = BreakerOptions {
            failures_max: u32::MAX,
            ..BreakerOptions::default()
        };
    });
    let recipient = loop {
        if let Ok(recipient) = psp.create_recipient(&crate::scene::ada()).await {
            break recipient.code;
        }
    };
    let wanted: Vec<NewTransfer> = (1..=200)
        .map(|n| transfer(&format!("po_{n}"), 1_000 + n, &recipient))
        .collect();
    let paying = wanted.iter().map(|wanted| pay_out(&psp, wanted));
    futures_util::future::join_all(paying).await;
    scene.simulator.with_books(|books| {
        let references: HashSet<_> = books.transfers().map(|t| t.reference.clone()).collect();
        assert_eq!((references.len(), books.transfers().count()), (200, 200));
        let in_transit = books.balances()[&(Account::TransfersInTransit, ngn())];
        assert_eq!(
            in_transit,
            wanted.iter().map(|wanted| wanted.amount).sum::<i64>()
        );
    });
    scene.assert_balanced();
    let summary = scene.simulator.stop().await;
    assert!(summary.faults.len() >= 5, "{:?}", summary.faults);
}
