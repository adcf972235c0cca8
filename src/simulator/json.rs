//! The provider's objects as Paystack writes them: answers
//! (<https://paystack.com/docs/api/>) and events
//! (<https://paystack.com/docs/payments/webhooks/#types-of-events>).

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::books::{
    DisputeRecord, Happened, PaymentRecord, RecipientRecord, RefundRecord, TransferRecord,
};
use crate::psp::RefundStatus;

pub(super) fn timestamp(at: OffsetDateTime) -> String {
    // Paystack's have milliseconds.
    let at = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

pub(super) fn transaction(payment: &PaymentRecord) -> Value {
    let paid_at = payment.paid_at.map(timestamp);
    let created_at = timestamp(payment.created_at);
    let is_paid = payment.paid_at.is_some();
    json!({
        "id": payment.id,
        "domain": "test",
        "status": payment.status.as_str(),
        "reference": payment.reference,
        "amount": payment.amount,
        "message": null,
        "gateway_response": match is_paid {
            true => "Successful",
            false => "The transaction was not completed",
        },
        "paid_at": paid_at,
        "created_at": created_at,
        "channel": "card",
        "currency": payment.currency,
        "ip_address": "127.0.0.1",
        "metadata": payment.metadata,
        "log": null,
        "fees": payment.fee,
        "fees_split": null,
        "authorization": {},
        "customer": {
            "id": payment.id,
            "first_name": null,
            "last_name": null,
            "email": payment.email,
            "customer_code": format!("CUS_{:012x}", payment.id),
            "phone": null,
            "metadata": null,
            "risk_action": "default",
            "international_format_phone": null
        },
        "plan": null,
        "split": {},
        "order_id": null,
        "paidAt": paid_at,
        "createdAt": created_at,
        "requested_amount": payment.requested_amount,
        "pos_transaction_data": null,
        "source": null,
        "fees_breakdown": null,
        "transaction_date": created_at,
        "plan_object": {},
        "subaccount": {}
    })
}

pub(super) fn recipient(recipient: &RecipientRecord) -> Value {
    json!({
        "active": true,
        "createdAt": timestamp(recipient.created_at),
        "currency": recipient.currency,
        "description": null,
        "domain": "test",
        "email": null,
        "id": recipient.id,
        "integration": INTEGRATION,
        "metadata": null,
        "name": recipient.name,
        "recipient_code": recipient.code,
        "type": recipient.kind,
        "updatedAt": timestamp(recipient.created_at),
        "is_deleted": false,
        "isDeleted": false,
        "details": {
            "authorization_code": null,
            "account_number": recipient.account,
            "account_name": recipient.name,
            "bank_code": recipient.bank_code,
            "bank_name": null
        }
    })
}

const INTEGRATION: u32 = 100_001;

pub(super) fn transfer(transfer: &TransferRecord, to: &RecipientRecord) -> Value {
    json!({
        "amount": transfer.amount,
        "createdAt": timestamp(transfer.created_at),
        "currency": transfer.currency,
        "domain": "test",
        "failures": null,
        "id": transfer.id,
        "integration": INTEGRATION,
        "reason": transfer.reason,
        "reference": transfer.reference,
        "source": "balance",
        "source_details": null,
        "status": transfer.status.as_str(),
        "titan_code": null,
        "transfer_code": transfer.code,
        "request": transfer.id,
        "transferred_at": null,
        "updatedAt": timestamp(transfer.updated_at),
        "recipient": recipient(to),
        "session": { "provider": null, "id": null },
        "fee_charged": transfer.fee,
        "fees_breakdown": null,
        "gateway_response": null
    })
}

/// As it is answered when it is created: with the transaction.
pub(super) fn refund(refund: &RefundRecord, payment: &PaymentRecord) -> Value {
    let mut json = listed_refund(refund);
    json["transaction"] = json!({
        "id": payment.id,
        "domain": "test",
        "reference": payment.reference,
        "amount": payment.amount,
        "paid_at": payment.paid_at.map(timestamp),
        "channel": "card",
        "currency": payment.currency,
    });
    json
}

/// As it stands in a list: with the transaction's number.
pub(super) fn listed_refund(refund: &RefundRecord) -> Value {
    json!({
        "transaction": refund.payment_id,
        "integration": INTEGRATION,
        "deducted_amount": refund.amount,
        "channel": null,
        "merchant_note": refund.merchant_note,
        "customer_note": refund.customer_note,
        "status": refund.status.as_str(),
        "refunded_by": "simulator@example.com",
        "expected_at": timestamp(refund.created_at),
        "currency": refund.currency,
        "domain": "test",
        "amount": refund.amount,
        "fully_deducted": true,
        "id": refund.id,
        "createdAt": timestamp(refund.created_at),
        "updatedAt": timestamp(refund.created_at)
    })
}

/// In a refund's events amounts are texts, except in `refund.failed`; and there is no id.
fn refund_event(refund: &RefundRecord) -> Value {
    let has_ended = [RefundStatus::Processed, RefundStatus::Failed].contains(&refund.status);
    json!({
        "status": refund.status.as_str(),
        "transaction_reference": refund.payment_reference,
        "refund_reference": has_ended.then(|| format!("{:012}", refund.id)),
        "amount": match refund.status {
            RefundStatus::Failed => json!(refund.amount),
            _ => json!(refund.amount.to_string()),
        },
        "currency": refund.currency,
        "processor": "instant-transfer",
        "customer": { "first_name": null, "last_name": null, "email": null },
        "integration": INTEGRATION,
        "domain": "test"
    })
}

/// A dispute, in a list and in a webhook.
pub(super) fn dispute(dispute: &DisputeRecord, payment: &PaymentRecord) -> Value {
    json!({
        "id": dispute.id,
        "refund_amount": dispute.amount,
        "currency": dispute.currency,
        "status": dispute.status.as_str(),
        "resolution": dispute.resolution,
        "domain": "test",
        "transaction": transaction(payment),
        "transaction_reference": null,
        "category": "chargeback",
        "customer": { "email": payment.email },
        "bin": null,
        "last4": null,
        "dueAt": null,
        "resolvedAt": null,
        "evidence": null,
        "attachments": null,
        "note": null,
        "history": [],
        "messages": [],
        "created_at": timestamp(dispute.created_at),
        "updated_at": timestamp(dispute.created_at)
    })
}

/// The bytes of a webhook.
pub(super) fn event(happened: &Happened) -> Vec<u8> {
    let data = match happened {
        Happened::Payment(_, payment) => transaction(payment),
        Happened::Transfer(_, record, recipient) => transfer(record, recipient),
        Happened::Refund(_, refund) => refund_event(refund),
        Happened::Dispute(_, dispute, payment) => self::dispute(dispute, payment),
    };
    let event = json!({ "event": happened.kind(), "data": data });
    event.to_string().into_bytes()
}
