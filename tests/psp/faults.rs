//! Each fault gives the error that says what may be assumed.

use aegis::psp::{Lookup, PaymentStatus, Psp, PspError, TransferStatus};
use aegis::simulator::Fault;

use crate::scene::{Scene, adapter, payment, refund, transfer};

/// The faults after which nobody knows, and whether the call took effect.
const UNKNOWN: [(Fault, bool); 5] = [
    (Fault::Timeout, true),
    (Fault::ServerError, true),
    (Fault::Cut, true),
    (Fault::Garbage, true),
    (Fault::Lost, false),
];

fn is_unknown<T: std::fmt::Debug>(answered: &Result<T, PspError>) -> bool {
    matches!(answered, Err(error @ PspError::Unknown { .. }) if error.may_have_happened())
}

#[tokio::test]
async fn a_transfer_without_an_answer_is_unknown_and_the_reference_tells_what_became_of_it() {
    for (fault, took_effect) in UNKNOWN {
        let scene = Scene::new().await;
        let recipient = scene.recipient().await;
        scene.arm(fault);
        let psp = match fault {
            Fault::Timeout => scene.impatient(),
            _ => scene.psp.clone(),
        };
        let answered = psp.transfer(&transfer("po_1", 90_000, &recipient)).await;
        assert!(is_unknown(&answered), "{fault}: {answered:?}");
        let known = scene.psp.verify_transfer("po_1").await.unwrap();
        match took_effect {
            true => {
                let known = known.known().unwrap();
                assert_eq!(known.status, TransferStatus::Pending, "{fault}");
                assert_eq!((known.amount, known.fee), (90_000, Some(1_000)));
            }
            false => assert_eq!(known, Lookup::NotKnown, "{fault}"),
        }
        scene.assert_balanced();
    }
}

#[tokio::test]
async fn a_payment_opened_without_an_answer_is_unknown_and_can_be_asked_for() {
    for (fault, took_effect) in UNKNOWN {
        let scene = Scene::new().await;
        scene.arm(fault);
        let psp = match fault {
            Fault::Timeout => scene.impatient(),
            _ => scene.psp.clone(),
        };
        let answered = psp.initialize(&payment("pay-1", 125_000)).await;
        assert!(is_unknown(&answered), "{fault}: {answered:?}");
        let known = scene.psp.verify("pay-1").await.unwrap().known();
        assert_eq!(known.is_some(), took_effect, "{fault}");
        if let Some(known) = known {
            assert_eq!(
                (known.amount, known.status),
                (125_000, PaymentStatus::Abandoned)
            );
        }
    }
}

#[tokio::test]
async fn a_question_without_an_answer_is_an_error_and_never_not_known() {
    let scene = Scene::new().await;
    for (fault, _) in UNKNOWN {
        // One for each fault: so many of them would open its breaker.
        let psp = match fault {
            Fault::Timeout => scene.impatient(),
            _ => adapter(&scene.simulator.base_url(), |_| ()),
        };
        scene.arm(fault);
        let answered = psp.verify_transfer("po_1").await;
        assert!(is_unknown(&answered), "{fault}: {answered:?}");
        scene.arm(fault);
        let answered = psp.verify("pay-1").await;
        assert!(is_unknown(&answered), "{fault}: {answered:?}");
    }
    assert_eq!(
        scene.psp.verify_transfer("po_1").await,
        Ok(Lookup::NotKnown)
    );
    assert_eq!(scene.psp.verify("pay-1").await, Ok(Lookup::NotKnown));
}

#[tokio::test]
async fn too_many_calls_did_nothing_and_say_when_to_come_back() {
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    scene.arm(Fault::RateLimit);
    let error = scene
        .psp
        .transfer(&transfer("po_1", 90_000, &recipient))
        .await
        .unwrap_err();
    let second = Some(std::time::Duration::from_secs(1));
    assert_eq!(
        error,
        PspError::RateLimited {
            retry_after: second
        }
    );
    assert!(!error.may_have_happened());
    assert_eq!(
        scene.psp.verify_transfer("po_1").await,
        Ok(Lookup::NotKnown)
    );
}

#[tokio::test]
async fn a_slow_answer_within_the_time_is_an_answer() {
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    scene.arm(Fault::Slow);
    let sent = scene
        .psp
        .transfer(&transfer("po_1", 90_000, &recipient))
        .await
        .unwrap();
    assert_eq!(
        (sent.status, sent.reference.as_str()),
        (TransferStatus::Pending, "po_1")
    );
}

#[tokio::test]
async fn a_refund_without_an_answer_is_found_by_its_note() {
    let scene = Scene::new().await;
    scene.paid("pay-1", 125_000).await;
    let payment = scene.psp.verify("pay-1").await.unwrap().known().unwrap();
    let first = scene
        .psp
        .refund(&refund("pay-1", 5_000, "refund-1"))
        .await
        .unwrap();
    assert_eq!(first.payment_reference.as_deref(), Some("pay-1"));
    scene.arm(Fault::ServerError);
    let answered = scene.psp.refund(&refund("pay-1", 5_000, "refund-2")).await;
    assert!(is_unknown(&answered), "{answered:?}");
    let refunds = scene.psp.refunds_of(&payment.id).await.unwrap();
    let notes: Vec<_> = refunds
        .iter()
        .map(|refund| refund.merchant_note.as_deref())
        .collect();
    assert_eq!(notes, [Some("refund-1"), Some("refund-2")]);
}

#[tokio::test]
async fn a_host_that_is_not_there_was_sent_nothing() {
    let psp = adapter("http://127.0.0.1:1", |_| ());
    let error = psp.verify("pay-1").await.unwrap_err();
    assert!(matches!(error, PspError::Unreachable { .. }), "{error}");
    assert!(!error.may_have_happened() && error.is_outage());
}
