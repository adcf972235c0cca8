//! Webhooks as the simulator sends them and the adapter reads them.

use aegis::config::Secret;
use aegis::psp::{DisputeStatus, Lookup, Psp, RefundStatus, Subject, TransferStatus, WebhookError};
use aegis::simulator::{Armed, Fault, SimulatorOptions};

use crate::receiver::Receiver;
use crate::scene::{KEY, PATIENCE, Scene, adapter, options, payment, refund, transfer};

fn telling(receiver: &Receiver) -> SimulatorOptions {
    SimulatorOptions {
        webhook_url: Some(receiver.url.clone()),
        ..options()
    }
}

#[tokio::test]
async fn each_kind_arrives_signed_and_is_read() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    let psp = &scene.psp;
    let recipient = scene.recipient().await;

    scene.paid("pay-1", 125_000).await;
    let event = receiver.event(psp).await;
    assert_eq!(event.kind, "charge.success");
    assert!(
        matches!(event.subject, Subject::Payment(paid) if paid.amount == 125_000
        && paid.reference == "pay-1" && paid.fee == Some(1_875) && paid.paid_at.is_some())
    );

    for (n, act, kind, status) in [
        (1, "succeed", "transfer.success", TransferStatus::Success),
        (2, "fail", "transfer.failed", TransferStatus::Failed),
        (3, "reverse", "transfer.reversed", TransferStatus::Reversed),
    ] {
        let reference = format!("po_{n}");
        psp.transfer(&transfer(&reference, 1_000, &recipient))
            .await
            .unwrap();
        scene
            .own("POST", &format!("/transfers/{reference}/{act}"), "")
            .await;
        let event = receiver.event(psp).await;
        assert_eq!(event.kind, kind);
        let Subject::Transfer(ended) = event.subject else {
            panic!("no transfer");
        };
        assert_eq!(
            (ended.reference, ended.status),
            (reference.clone(), status.clone())
        );
        let asked = psp
            .verify_transfer(&reference)
            .await
            .unwrap()
            .known()
            .unwrap();
        assert_eq!(asked.status, status, "asked, it says the same");
    }

    let begun = psp
        .refund(&refund("pay-1", 5_000, "refund-1"))
        .await
        .unwrap();
    let event = receiver.event(psp).await;
    assert!(matches!(event.subject, Subject::Refund(r) if r.status == RefundStatus::Pending));
    let id = begun.id.unwrap();
    scene
        .own("POST", &format!("/refunds/{id}/process"), "")
        .await;
    let event = receiver.event(psp).await;
    assert_eq!(event.kind, "refund.processed");
    assert!(
        matches!(event.subject, Subject::Refund(r) if r.amount == 5_000
        && r.payment_reference.as_deref() == Some("pay-1"))
    );

    let (_, dispute) = scene
        .own("POST", "/disputes", r#"{"reference": "pay-1"}"#)
        .await;
    let event = receiver.event(psp).await;
    assert!(
        matches!(event.subject, Subject::Dispute(d) if d.refund_amount == Some(120_000)
        && d.status == DisputeStatus::AwaitingMerchantFeedback)
    );
    scene
        .own("POST", &format!("/disputes/{}/accept", dispute["id"]), "")
        .await;
    let event = receiver.event(psp).await;
    assert_eq!(event.kind, "charge.dispute.resolve");
    assert!(matches!(event.subject, Subject::Dispute(d) if d.is_lost() == Some(true)));
    scene.assert_balanced();
}

#[tokio::test]
async fn a_webhook_is_sent_until_it_is_answered_with_200() {
    let mut receiver = Receiver::answering(&[500, 404, 201, 302, 401]).await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.paid("pay-1", 125_000).await;
    let first = receiver.next().await;
    for _ in 0..5 {
        let again = receiver.next().await;
        assert_eq!(
            (&again.body, &again.signature),
            (&first.body, &first.signature)
        );
    }
    let ended = async {
        while scene.simulator.webhooks().waiting > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let report = scene.simulator.stop().await.webhooks;
    assert_eq!((report.attempts, report.delivered), (6, 1), "{report:?}");
    assert!(receiver.rest().is_empty());
}

#[tokio::test]
async fn a_webhook_sent_twice_has_one_id() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.arm(Fault::Duplicate);
    scene.paid("pay-1", 125_000).await;
    let (first, second) = (
        receiver.event(&scene.psp).await,
        receiver.event(&scene.psp).await,
    );
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_forged_webhook_is_refused_and_the_genuine_one_taken() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.arm(Fault::Forged);
    scene.paid("pay-1", 125_000).await;
    let both = [receiver.next().await, receiver.next().await].map(|one| one.read(&scene.psp));
    assert_eq!(both.iter().filter(|read| read.is_ok()).count(), 1);
    assert!(both.contains(&Err(WebhookError::Forged)));
}

#[tokio::test]
async fn signatures_of_other_keys_and_bodies_are_refused() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.paid("pay-1", 125_000).await;
    let genuine = receiver.next().await;
    assert!(genuine.read(&scene.psp).is_ok());
    let other = adapter(&scene.simulator.base_url(), |options| {
        options.secret_key = Secret::new(format!("{KEY}0"));
    });
    assert_eq!(genuine.read(&other), Err(WebhookError::Forged));
    let more = String::from_utf8(genuine.body.to_vec())
        .unwrap()
        .replace("125000", "925000");
    let signature = genuine.signature.as_deref();
    assert_eq!(
        scene.psp.webhook(more.as_bytes(), signature),
        Err(WebhookError::Forged)
    );
    assert_eq!(
        scene.psp.webhook(&genuine.body, None),
        Err(WebhookError::Unsigned)
    );
}

#[tokio::test]
async fn a_webhook_out_of_order_comes_after_the_next_one() {
    let mut receiver = Receiver::new().await;
    // The next one may be long in coming.
    let scene = Scene::with(SimulatorOptions {
        held_max: PATIENCE,
        ..telling(&receiver)
    })
    .await;
    scene.simulator.arm(Armed::of(Fault::Reorder, "pay-1"));
    scene.paid("pay-1", 1_000).await;
    scene.paid("pay-2", 2_000).await;
    let mut references = Vec::new();
    for _ in 0..2 {
        if let Subject::Payment(paid) = receiver.event(&scene.psp).await.subject {
            references.push(paid.reference);
        }
    }
    assert_eq!(references, ["pay-2", "pay-1"]);
}

#[tokio::test]
async fn a_webhook_that_is_out_of_order_and_sent_twice_comes_twice() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.arm(Fault::Reorder);
    scene.arm(Fault::Duplicate);
    scene.paid("pay-1", 1_000).await;
    let (one, other) = (receiver.next().await, receiver.next().await);
    assert_eq!(one.body, other.body);
    let ended = async {
        while scene.simulator.webhooks().waiting > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn a_webhook_out_of_order_comes_though_there_is_no_next_one() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.arm(Fault::Reorder);
    scene.paid("pay-1", 1_000).await;
    assert_eq!(receiver.event(&scene.psp).await.kind, "charge.success");
}

#[tokio::test]
async fn an_early_webhook_is_there_before_the_answer() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    let recipient = scene.recipient().await;
    scene.arm(Fault::Early);
    scene
        .psp
        .initialize(&payment("pay-1", 1_000))
        .await
        .unwrap();
    assert_eq!(receiver.rest().len(), 1, "it came before the answer");
    scene.arm(Fault::Early);
    let answer = scene
        .psp
        .transfer(&transfer("po_1", 1_000, &recipient))
        .await
        .unwrap();
    assert_eq!(
        answer.status,
        TransferStatus::Pending,
        "the answer is the older one"
    );
    let arrived = receiver.rest();
    let event = arrived[0].read(&scene.psp).unwrap();
    assert_eq!(event.kind, "transfer.success");
}

#[tokio::test]
async fn an_early_webhook_is_sent_again_also_when_the_caller_has_hung_up() {
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = options();
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    options.webhook_url = Some(url);
    let scene = Scene::with(options).await;
    scene.arm(Fault::Early);
    let new = payment("pay-1", 1_000);
    // Long enough for the call to arrive, and less than the webhook's own time.
    let psp = adapter(&scene.simulator.base_url(), |options| {
        options.timeout = std::time::Duration::from_secs(3);
    });
    let (called, first) = tokio::join!(
        psp.initialize(&new),
        tokio::time::timeout(PATIENCE, receiver.accept())
    );
    assert!(called.is_err(), "it took too long: {called:?}");
    // Not answered, the webhook comes again.
    drop(first.expect("it is sent").unwrap());
    let again = tokio::time::timeout(PATIENCE, receiver.accept()).await;
    again.expect("it is sent again").unwrap();
}

#[tokio::test]
async fn a_late_webhook_comes_and_a_missing_one_does_not_but_can_be_asked_for() {
    let mut receiver = Receiver::new().await;
    let scene = Scene::with(telling(&receiver)).await;
    scene.simulator.arm(Armed::of(Fault::Missing, "pay-1"));
    scene.simulator.arm(Armed::of(Fault::Late, "pay-2"));
    scene.paid("pay-1", 1_000).await;
    scene.paid("pay-2", 1_000).await;
    let late = receiver.event(&scene.psp).await;
    assert!(matches!(late.subject, Subject::Payment(paid) if paid.reference == "pay-2"));
    assert!(receiver.rest().is_empty());
    let Lookup::Known(missed) = scene.psp.verify("pay-1").await.unwrap() else {
        panic!("it is known");
    };
    assert!(missed.paid_at.is_some());
}

#[tokio::test]
async fn a_transfer_may_come_back_after_it_arrived() {
    let mut receiver = Receiver::new().await;
    let mut options = telling(&receiver);
    options.settle_after = Some(std::time::Duration::ZERO);
    let scene = Scene::with(options).await;
    let recipient = scene.recipient().await;
    scene.arm(Fault::Reversed);
    scene
        .psp
        .transfer(&transfer("po_1", 1_000, &recipient))
        .await
        .unwrap();
    let mut kinds = [
        receiver.event(&scene.psp).await.kind,
        receiver.event(&scene.psp).await.kind,
    ];
    kinds.sort();
    assert_eq!(
        kinds,
        ["transfer.reversed", "transfer.success"],
        "in any order"
    );
    let now = scene
        .psp
        .verify_transfer("po_1")
        .await
        .unwrap()
        .known()
        .unwrap();
    assert_eq!(now.status, TransferStatus::Reversed);
    scene.assert_balanced();
}

#[tokio::test]
async fn a_customer_may_pay_another_amount() {
    let mut receiver = Receiver::new().await;
    let mut options = telling(&receiver);
    options.pay_after = Some(std::time::Duration::ZERO);
    let scene = Scene::with(options).await;
    scene.arm(Fault::WrongAmount);
    scene
        .psp
        .initialize(&payment("pay-1", 125_000))
        .await
        .unwrap();
    let event = receiver.event(&scene.psp).await;
    assert!(matches!(event.subject, Subject::Payment(paid) if paid.amount == 124_999));
}
