//! From a payment to the bank and back.

use aegis::psp::TransferStatus;
use aegis::trace::Thing;
use uuid::Uuid;

use crate::scene::{Scene, tells_of, whats};

/// A payment that was settled and paid out: itself, the settlement, the payout.
async fn whole_way(scene: &Scene) -> (Uuid, Uuid, Uuid) {
    let payment = scene.paid(70_000, 0).await;
    let reference = payment.to_string();
    scene.webhook("evt-1", "charge.success", &reference).await;
    let settlement = scene.settle(2).await[0];
    let payout = scene.pay_out(70_000).await;
    let reference = payout.to_string();
    scene.webhook("evt-2", "transfer.success", &reference).await;
    scene.told(payout, 70_000, TransferStatus::Success).await;
    (payment, settlement, payout)
}

#[tokio::test]
async fn a_payment_is_followed_to_its_payout_in_order_of_time() {
    let scene = Scene::new().await;
    let (payment, settlement, payout) = whole_way(&scene).await;
    let trace = scene.trace(&payment.to_string()).await;
    assert!(trace.found.contains(&Thing::Payment(payment)));
    assert!(!trace.cut);
    let whats = whats(&trace);
    for what in [
        "payment.created",
        "payment.paid",
        "payment.matures",
        "webhook.received",
        "settlement.settled",
        "payout.requested",
        "payout.stands",
    ] {
        assert!(whats.contains(&what), "{what}: {whats:?}");
    }
    let posted = whats
        .iter()
        .filter(|what| **what == "transaction.posted")
        .count();
    // The credit, the settlement, the payout's request and its success.
    assert_eq!(posted, 4, "{whats:?}");
    let received = whats.iter().filter(|what| **what == "webhook.received");
    assert_eq!(received.count(), 2, "the payment's and the payout's");
    assert!(tells_of(&trace, &Thing::Settlement(settlement)));
    assert!(tells_of(&trace, &Thing::Payout(payout)));
    assert!(trace.moments.is_sorted_by_key(|moment| moment.at));
    let stands = trace.moments.iter().rfind(|m| m.what == "payout.stands");
    assert_eq!(stands.unwrap().state.as_deref(), Some("succeeded"));
}

#[tokio::test]
async fn every_name_of_a_thing_leads_to_the_same_way() {
    let scene = Scene::new().await;
    let (payment, settlement, payout) = whole_way(&scene).await;
    let credit = format!("aegis:payment:{payment}:succeeded");
    let names = [
        settlement.to_string(),
        payout.to_string(),
        credit.clone(),
        scene.transaction(&credit).await.to_string(),
        // The PSP's, the caller's, what it belongs to, and both webhooks'.
        format!("TRF_{}", payout.simple()),
        "november".to_owned(),
        "payday".to_owned(),
        "evt-1".to_owned(),
        "evt-2".to_owned(),
        format!("payout:{payout}"),
    ];
    for name in names {
        let trace = scene.trace(&name).await;
        assert!(tells_of(&trace, &Thing::Settlement(settlement)), "{name}");
        assert!(tells_of(&trace, &Thing::Payout(payout)), "{name}");
    }
}

#[tokio::test]
async fn payments_that_were_settled_together_are_shown_from_the_settlement_alone() {
    let scene = Scene::new().await;
    let (mine, other) = (scene.paid(500, 0).await, scene.paid(300, 0).await);
    let settlement = scene.settle(2).await[0];
    let of_mine = scene.trace(&mine.to_string()).await;
    assert!(tells_of(&of_mine, &Thing::Settlement(settlement)));
    assert!(!tells_of(&of_mine, &Thing::Payment(other)));
    let of_all = scene.trace(&settlement.to_string()).await;
    for payment in [mine, other] {
        assert!(tells_of(&of_all, &Thing::Payment(payment)));
    }
}

#[tokio::test]
async fn refunds_disputes_findings_and_deeds_stand_on_the_way() {
    let scene = Scene::new().await;
    let payment = scene.paid(500, 0).await;
    let refund = Uuid::now_v7();
    for statement in [
        "INSERT INTO refunds (
             ledger_id, id, payment_id, merchant, currency, origin, amount, fee_share, fee_returned,
             penalty, from_pending, from_available, from_owed, psp, psp_id, requested_by, status,
             created_at, updated_at)
         VALUES ($1, $3, $2, 'acme', 'NGN', 'chargeback', 200, 0, 0, 0, 200, 0, 0, 'paystack', '77',
             'paystack', 'succeeded', now(), now())",
        "INSERT INTO disputes (ledger_id, psp, psp_id, payment_id, amount, category, status, refund_id,
             created_at, updated_at)
         VALUES ($1, 'paystack', '77', $2, 200, 'fraud', 'lost', $3, now(), now())",
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, subject_kind, subject_id, detail, opened_at)
         VALUES ($1, sha256(uuid_send($3)), 'amount', 'webhook', 'payment', $2, 'amiss', now())",
        "INSERT INTO audit_log (at, actor, host, action, target, reason)
         VALUES (now(), 'ada', 'desk', 'payment.looked_at',
             'payment:main/' || $2, 'ticket ' || $1 || coalesce($3::text, ''))",
    ] {
        sqlx::query(statement)
            .bind(scene.ledger.id)
            .bind(payment)
            .bind(refund)
            .execute(&scene.pool)
            .await
            .unwrap();
    }
    let names = ["77".to_owned(), refund.to_string(), payment.to_string()];
    for name in names {
        let trace = scene.trace(&name).await;
        let whats = whats(&trace);
        for what in [
            "payment.created",
            "refund.created",
            "refund.stands",
            "dispute.opened",
            "dispute.ended",
            "discrepancy.opened",
            "payment.looked_at",
        ] {
            assert!(whats.contains(&what), "{name}: {what}: {whats:?}");
        }
    }
}

#[tokio::test]
async fn a_dead_letter_leads_to_what_its_command_posted_under_its_key() {
    let scene = Scene::new().await;
    let payment = scene.paid(500, 0).await;
    let key = format!("aegis:payment:{payment}:succeeded");
    let letter = serde_json::json!({
        "original_topic": "aegis.settlements",
        "original_message": {"idempotency_key": key},
        "error": "contended: others were in the way",
        "retry_count": 5,
        "failed_at": "2026-11-02T10:00:00Z",
        "correlation_id": "checkout-9",
    });
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO dead_letters (
             topic, partition, \"offset\", letter, original_topic, ledger, error, retry_count,
             failed_at, correlation_id, indexed_at)
         VALUES ('aegis.settlements.dlq', 0, 0, $1, 'aegis.settlements', 'main', 'contended: …', 5,
             '2026-11-02T10:00:00Z', 'checkout-9', now())
         RETURNING id",
    )
    .bind(letter.to_string().into_bytes())
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    for name in ["checkout-9".to_owned(), format!("dead_letter:{id}")] {
        let trace = scene.trace(&name).await;
        assert!(tells_of(&trace, &Thing::DeadLetter(id)), "{name}");
        assert!(tells_of(&trace, &Thing::Payment(payment)), "{name}");
    }
}

#[tokio::test]
async fn an_event_that_waits_for_the_bus_is_told_and_leads_to_its_thing() {
    let scene = Scene::new().await;
    scene.paid(500, 0).await;
    scene.settle(2).await;
    let payout = scene.pay_out(500).await;
    let event: Uuid = sqlx::query_scalar(
        "SELECT event_id FROM transaction_outbox WHERE event_type = 'aegis.payout.requested'",
    )
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    let from_event = scene.trace(&event.to_string()).await;
    assert!(tells_of(&from_event, &Thing::Payout(payout)));
    let from_payout = scene.trace(&payout.to_string()).await;
    assert!(tells_of(&from_payout, &Thing::Event(event)));
}
