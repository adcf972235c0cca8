//! The books behind the trait, without a network.

use std::sync::atomic::{AtomicI64, Ordering};

use aegis::config::Secret;
use aegis::psp::{Lookup, Psp, PspError, Subject, TransferStatus};
use aegis::simulator::{Armed, Fault, Faults, Fees, LocalPsp};
use proptest::prelude::*;
use time::OffsetDateTime;

use crate::cases::cases;
use crate::scene::{KEY, ada, ngn, payment, refund, transfer};

fn local(faults: Faults) -> LocalPsp {
    let seconds = AtomicI64::new(1_795_000_000);
    let clock = move || {
        OffsetDateTime::from_unix_timestamp(seconds.fetch_add(1, Ordering::Relaxed)).unwrap()
    };
    let psp = LocalPsp::new(Secret::new(KEY), Fees::Paystack, faults, clock).unwrap();
    let funded =
        psp.with_books(|books| books.top_up(100_000_000, ngn(), OffsetDateTime::UNIX_EPOCH));
    funded.unwrap();
    psp
}

#[tokio::test]
async fn it_answers_as_over_http() {
    let psp = local(Faults::default());
    psp.initialize(&payment("pay-1", 125_000)).await.unwrap();
    psp.pay("pay-1").unwrap();
    let recipient = psp.create_recipient(&ada()).await.unwrap().code;
    psp.transfer(&transfer("po_1", 1_000, &recipient))
        .await
        .unwrap();
    let again = psp
        .transfer(&transfer("po_1", 1_000, &recipient))
        .await
        .unwrap_err();
    assert!(matches!(again, PspError::ReferenceTaken { .. }));
    psp.settle_transfer("po_1").unwrap();
    psp.refund(&refund("pay-1", 5_000, "n")).await.unwrap();
    assert_eq!(psp.verify_transfer("po_2").await, Ok(Lookup::NotKnown));
    assert_eq!(psp.verify("pay-2").await, Ok(Lookup::NotKnown));
    let kinds: Vec<String> = psp
        .take_webhooks()
        .iter()
        .map(|sent| psp.webhook(&sent.body, Some(&sent.signature)).unwrap().kind)
        .collect();
    assert_eq!(
        kinds,
        ["charge.success", "transfer.success", "refund.pending"]
    );
}

#[tokio::test]
async fn its_faults_are_those_of_http() {
    let psp = local(Faults::default());
    let recipient = psp.create_recipient(&ada()).await.unwrap().code;
    for (n, fault, known) in [
        (1, Fault::Timeout, true),
        (2, Fault::Lost, false),
        (3, Fault::ServerError, true),
    ] {
        let wanted = transfer(&format!("po_{n}"), 1_000, &recipient);
        psp.arm(Armed::next(fault));
        let answered = psp.transfer(&wanted).await;
        assert!(matches!(answered, Err(PspError::Unknown { .. })), "{fault}");
        let found = psp
            .verify_transfer(&wanted.reference)
            .await
            .unwrap()
            .known();
        assert_eq!(found.is_some(), known, "{fault}");
    }
    psp.arm(Armed::next(Fault::Early));
    let answer = psp
        .transfer(&transfer("po_4", 1_000, &recipient))
        .await
        .unwrap();
    assert_eq!(answer.status, TransferStatus::Pending);
    let sent = psp.take_webhooks();
    let event = psp
        .webhook(&sent[0].body, Some(&sent[0].signature))
        .unwrap();
    assert!(matches!(event.subject, Subject::Transfer(t) if t.status == TransferStatus::Success));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(32)))]

    /// Whatever the faults, an error after which nothing may have happened is one after which
    /// nothing did.
    #[test]
    fn no_error_says_that_nothing_happened_where_something_did(seed in any::<u64>()) {
        let rates = ["timeout=0.2", "lost=0.2", "server-error=0.2", "rate-limit=0.2", "low-balance=0.2"];
        let rates = rates.map(|rate| rate.parse().unwrap()).to_vec();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let psp = local(Faults::new(seed, rates));
        runtime.block_on(async {
            let recipient = psp.with_books(|books| {
                books.add_recipient(&ada(), OffsetDateTime::UNIX_EPOCH).unwrap().code.clone()
            });
            for n in 0..40 {
                let wanted = transfer(&format!("po_{n}"), 1_000, &recipient);
                if let Err(error) = psp.transfer(&wanted).await && !error.may_have_happened() {
                    let there = psp.with_books(|books| books.transfer_of(&wanted.reference).is_ok());
                    prop_assert!(!there, "{}", error);
                }
            }
            prop_assert_eq!(psp.with_books(|books| books.total(ngn())), 0);
            Ok(())
        })?;
    }
}
