//! The documented bodies, with values of our own, and what is made of them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

use hyper::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::ledger::Currency;
use crate::psp::http::Reply;
use crate::psp::{
    Destination, DisputeStatus, PaymentStatus, RefundStatus, Subject, TransferStatus,
};

fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

fn key() -> Secret {
    Secret::new("sk_test_0123456789abcdef")
}

fn data<T: DeserializeOwned>(data: &Value) -> Result<T, PspError> {
    let body = json!({"status": true, "message": "ok", "data": data}).to_string();
    let reply = Reply {
        status: StatusCode::OK,
        retry_after: None,
        body: body.into(),
    };
    answer::judge(&reply, "")
        .and_then(Judged::read)
        .map(|answer| answer.unwrap())
}

fn transaction() -> Value {
    json!({
        "id": 7001, "domain": "test", "status": "success", "reference": "pay-1", "amount": 125_000,
        "message": null, "gateway_response": "Successful", "paid_at": "2026-11-20T09:30:00.000Z",
        "created_at": "2026-11-20T09:29:00.000Z", "channel": "card", "currency": "NGN",
        "ip_address": "192.0.2.1", "metadata": "", "log": {"history": []}, "fees": 11_875,
        "fees_split": null, "authorization": {"authorization_code": "AUTH_a", "reusable": true},
        "customer": {"id": 3, "email": "a@example.com", "metadata": null}, "plan": null,
        "split": {}, "order_id": null, "paidAt": "2026-11-20T09:30:00.000Z",
        "requested_amount": 125_000, "plan_object": {}, "subaccount": {}
    })
}

fn transfer() -> Value {
    json!({
        "amount": 90_000, "createdAt": "2026-11-20T10:00:00.000Z", "currency": "NGN",
        "domain": "test", "failures": null, "id": 8001, "integration": 5, "reason": "payout",
        "reference": "po_1", "source": "balance", "source_details": null, "status": "success",
        "titan_code": null, "transfer_code": "TRF_a", "request": 9, "transferred_at": null,
        "recipient": {"recipient_code": "RCP_a", "type": "nuban", "details": {"bank_code": "058"}},
        "session": {"provider": null, "id": null}, "fee_charged": 1_000, "gateway_response": null
    })
}

#[test]
fn a_transaction_is_read_as_documented() {
    let payment = data::<wire::Transaction>(&transaction())
        .unwrap()
        .payment("pay-1")
        .unwrap();
    assert_eq!(
        (payment.id.as_str(), payment.amount, payment.fee),
        ("7001", 125_000, Some(11_875))
    );
    assert_eq!(
        (payment.status, payment.currency),
        (PaymentStatus::Success, ngn())
    );
    assert_eq!(payment.paid_at.unwrap().unix_timestamp(), 1_795_167_000);
}

#[test]
fn a_transfer_is_read_as_documented_also_without_its_reference() {
    let read = |data: wire::Transfer| data.transfer("po_1").unwrap();
    let known = read(data(&transfer()).unwrap());
    assert_eq!(
        (known.amount, known.fee, known.code.as_str()),
        (90_000, Some(1_000), "TRF_a")
    );
    let begun = read(
        data(&json!({
            "integration": 5, "domain": "test", "amount": 90_000, "currency": "NGN",
            "source": "balance", "reason": "payout", "recipient": 28, "status": "otp",
            "transfer_code": "TRF_a", "id": 8001, "createdAt": "2026-11-20T10:00:00.000Z",
            "updatedAt": "2026-11-20T10:00:00.000Z"
        }))
        .unwrap(),
    );
    assert_eq!(
        (begun.status, begun.reference.as_str()),
        (TransferStatus::Otp, "po_1")
    );
}

#[test]
fn a_checkout_a_recipient_and_a_refund_are_read_as_documented() {
    let checkout = data::<wire::Initialized>(&json!({
        "authorization_url": "https://checkout.paystack.com/x1", "access_code": "x1",
        "reference": "pay-1"
    }));
    assert_eq!(
        checkout.unwrap().checkout("pay-1").unwrap().access_code,
        "x1"
    );
    let recipient: Recipient = data::<wire::Recipient>(&json!({
        "active": true, "createdAt": "2026-11-20T10:00:00.000Z", "currency": "NGN", "id": 6,
        "name": "Ada", "recipient_code": "RCP_a", "type": "nuban", "is_deleted": false,
        "details": {"account_number": "0000000000", "bank_code": "058"}
    }))
    .unwrap()
    .into();
    assert_eq!((recipient.code.as_str(), recipient.active), ("RCP_a", true));
    let mut body = json!({
        "transaction": {"id": 7001, "reference": "pay-1", "amount": 125_000, "currency": "NGN"},
        "integration": 5, "deducted_amount": 0, "channel": null, "merchant_note": "refund-17",
        "customer_note": "sorry", "status": "pending", "refunded_by": "a@example.com",
        "expected_at": "2026-11-27T10:00:00.000Z", "currency": "NGN", "domain": "test",
        "amount": 25_000, "fully_deducted": false, "id": 9001
    });
    let refund = data::<wire::Refund>(&body)
        .unwrap()
        .refund(Some("pay-1"))
        .unwrap();
    assert_eq!(
        (refund.amount, refund.status),
        (25_000, RefundStatus::Pending)
    );
    assert_eq!(refund.merchant_note.as_deref(), Some("refund-17"));
    body["transaction"] = json!(7001);
    let listed = data::<wire::Refund>(&body).unwrap().refund(None).unwrap();
    assert_eq!(
        (listed.id.as_deref(), listed.payment_reference),
        (Some("9001"), None)
    );
}

#[test]
fn an_answer_about_another_reference_or_with_another_kind_of_amount_is_unknown() {
    for (field, value) in [
        ("reference", json!("pay-2")),
        ("amount", json!("125000")),
        ("amount", json!(125_000.0)),
        ("amount", json!(1250.5)),
        ("amount", json!(9_223_372_036_854_775_808_u64)),
        ("amount", json!(-1)),
        ("amount", json!(null)),
        ("currency", json!("NAIRA")),
        ("fees", json!("1")),
        ("id", json!(null)),
        ("status", json!(1)),
    ] {
        let mut changed = transaction();
        changed[field] = value;
        let read = data::<wire::Transaction>(&changed).and_then(|data| data.payment("pay-1"));
        assert!(read.unwrap_err().may_have_happened(), "{changed}");
    }
}

#[test]
fn what_is_sent_has_the_documented_fields() {
    let payment = NewPayment {
        reference: "pay-1".into(),
        email: "a@example.com".into(),
        amount: 125_000,
        currency: ngn(),
        callback_url: None,
        metadata: json!({"order": 17}).as_object().cloned(),
    };
    assert_eq!(
        serde_json::to_value(wire::Initialize::new(&payment)).unwrap(),
        json!({"email": "a@example.com", "amount": 125_000, "currency": "NGN",
               "reference": "pay-1", "metadata": "{\"order\":17}"})
    );
    let transfer = NewTransfer {
        reference: "po_1".into(),
        amount: 90_000,
        currency: ngn(),
        recipient: "RCP_a".into(),
        reason: Some("payout".into()),
    };
    assert_eq!(
        serde_json::to_value(wire::InitiateTransfer::new(&transfer)).unwrap(),
        json!({"source": "balance", "amount": 90_000, "recipient": "RCP_a", "reference": "po_1",
               "reason": "payout", "currency": "NGN"})
    );
    let recipient = NewRecipient {
        name: "Ada".into(),
        destination: Destination::Authorization {
            code: "AUTH_a".into(),
        },
        currency: ngn(),
    };
    assert_eq!(
        serde_json::to_value(wire::CreateRecipient::new(&recipient)).unwrap(),
        json!({"type": "authorization", "name": "Ada", "currency": "NGN",
               "authorization_code": "AUTH_a"})
    );
}

fn received(event: &str, data: &Value) -> WebhookEvent {
    let body = json!({"event": event, "data": data}).to_string();
    let signature = sign(&key(), body.as_bytes());
    webhook::read(&key(), body.as_bytes(), Some(&signature)).unwrap()
}

fn refund_event(status: &str, reference: Value, amount: Value) -> Value {
    json!({
        "status": status, "transaction_reference": "pay-1", "refund_reference": reference,
        "amount": amount, "currency": "NGN", "processor": "instant-transfer",
        "customer": {"first_name": "Ada", "email": "a@example.com"}, "integration": 5,
        "domain": "live"
    })
}

fn dispute_event(status: &str, resolution: Value) -> Value {
    json!({
        "id": 358, "refund_amount": 125_000, "currency": "NGN", "status": status,
        "resolution": resolution, "domain": "live", "transaction": transaction(),
        "transaction_reference": null, "category": "chargeback", "customer": {"id": 3},
        "bin": "123456", "last4": "1234", "dueAt": "2026-11-25T18:00:00.000Z",
        "resolvedAt": null, "evidence": null, "history": [], "messages": []
    })
}

#[test]
fn the_webhook_of_each_kind_is_read_as_documented() {
    let charge = received("charge.success", &transaction());
    assert_eq!(charge.id, "charge.success:7001:success");
    assert!(matches!(&charge.subject, Subject::Payment(payment) if payment.amount == 125_000));

    let mut reversed = transfer();
    reversed["status"] = json!("reversed");
    let reversed = received("transfer.reversed", &reversed);
    assert_eq!(reversed.id, "transfer.reversed:8001:reversed");
    let Subject::Transfer(transfer) = reversed.subject else {
        panic!("no transfer");
    };
    assert_eq!(transfer.status, TransferStatus::Reversed);

    // As documented: amounts of refunds are texts.
    let refund = received(
        "refund.processed",
        &refund_event("processed", json!("1320"), json!("5000")),
    );
    assert_eq!(refund.id, "refund.processed:pay-1:1320:processed");
    let Subject::Refund(refund) = refund.subject else {
        panic!("no refund");
    };
    assert_eq!(
        (refund.amount, refund.status),
        (5_000, RefundStatus::Processed)
    );
    let failed = refund_event("failed", json!("TRF_a"), json!(20_000));
    assert!(matches!(received("refund.failed", &failed).subject,
                     Subject::Refund(refund) if refund.amount == 20_000));

    let open = received(
        "charge.dispute.create",
        &dispute_event("awaiting-merchant-feedback", json!(null)),
    );
    let Subject::Dispute(dispute) = open.subject else {
        panic!("no dispute");
    };
    assert_eq!(dispute.status, DisputeStatus::AwaitingMerchantFeedback);
    assert_eq!(
        (dispute.payment_reference.as_str(), dispute.is_lost()),
        ("pay-1", None)
    );
    for (resolution, lost) in [("auto-accepted", Some(true)), ("declined", Some(false))] {
        let data = dispute_event("resolved", json!(resolution));
        assert!(matches!(received("charge.dispute.resolve", &data).subject,
                         Subject::Dispute(dispute) if dispute.is_lost() == lost));
    }
}

#[test]
fn an_unknown_kind_passes_whatever_its_data() {
    for data in [
        json!(null),
        json!([{"expiry_date": "12/2027"}]),
        json!({"id": 1}),
    ] {
        let event = received("subscription.expiring_cards", &data);
        assert_eq!(event.subject, Subject::Other);
        assert!(event.id.starts_with("subscription.expiring_cards:sha256:"));
    }
}

#[test]
fn an_event_has_the_same_id_when_it_is_sent_again_and_another_for_what_comes_next() {
    let pending = refund_event("pending", json!(null), json!("10000"));
    let again = received("refund.pending", &pending);
    assert_eq!(received("refund.pending", &pending).id, again.id);
    let processing = refund_event("processing", json!(null), json!("10000"));
    assert_ne!(received("refund.processing", &processing).id, again.id);
    let mut later = transaction();
    // More is known by the second time, and it is the same event.
    later["fees"] = json!(null);
    assert_eq!(
        received("charge.success", &later).id,
        received("charge.success", &transaction()).id
    );
}

#[test]
fn a_webhook_without_paystacks_signature_is_not_looked_into() {
    let body = json!({"event": "charge.success", "data": transaction()}).to_string();
    let good = sign(&key(), body.as_bytes());
    let read =
        |body: &str, signature: Option<&str>| webhook::read(&key(), body.as_bytes(), signature);
    assert!(read(&body, Some(&good)).is_ok());
    assert!(read(&body, Some(&good.to_uppercase())).is_ok());
    assert_eq!(read(&body, None), Err(WebhookError::Unsigned));
    let other_key = sign(&Secret::new("sk_test_other"), body.as_bytes());
    for forged in [
        "",
        "00",
        "zz",
        &good[..126],
        &format!("{good}00"),
        &other_key,
        "é",
    ] {
        assert_eq!(
            read(&body, Some(forged)),
            Err(WebhookError::Forged),
            "{forged}"
        );
    }
    assert_eq!(
        read(&format!("{body} "), Some(&good)),
        Err(WebhookError::Forged)
    );
    assert_eq!(read("not json", Some(&good)), Err(WebhookError::Forged));
}

#[test]
fn a_signed_webhook_that_cannot_be_read_is_told_without_its_content() {
    let mut odd = transaction();
    odd["amount"] = json!("hunter2");
    for body in [
        "not json hunter2".to_owned(),
        json!({"event": "charge.success", "data": odd}).to_string(),
        json!({"data": "hunter2"}).to_string(),
        json!({"event": "transfer.success"}).to_string(),
        json!({"event": "refund.processed",
               "data": refund_event("processed", json!("1"), json!("50.00"))})
        .to_string(),
    ] {
        let signature = sign(&key(), body.as_bytes());
        let error = webhook::read(&key(), body.as_bytes(), Some(&signature)).unwrap_err();
        assert!(matches!(&error, WebhookError::Unreadable { id, .. } if id.starts_with("sha256:")));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn the_signature_is_hmac_sha512_in_hexadecimal() {
    // RFC 4231, test case 2.
    let signature = sign(&Secret::new("Jefe"), b"what do ya want for nothing?");
    assert_eq!(
        signature,
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
         9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    );
}

#[test]
fn the_key_is_in_nothing_that_is_shown() {
    let options = PaystackOptions::new(key());
    let paystack = Paystack::new(options.clone()).unwrap();
    for shown in [
        format!("{options:?}"),
        format!("{paystack:?}"),
        format!("{:?}", paystack.clone()),
    ] {
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
    let error = Paystack::new(PaystackOptions::new(Secret::new("sk test\n0123"))).unwrap_err();
    assert!(!error.to_string().contains("0123"), "{error}");
}
