//! Paystack's routes.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{Yes, asked, refusal};
use super::{App, wire};
use crate::simulator::books::{Books, No};
use crate::simulator::fault::Call;
use crate::simulator::json;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/transaction/initialize", post(initialize))
        .route("/transaction/verify/{reference}", get(verify))
        .route("/transferrecipient", post(create_recipient))
        .route("/transfer", post(transfer))
        .route("/transfer/verify/{reference}", get(verify_transfer))
        .route("/refund", post(refund).get(refunds))
        .route("/dispute", get(disputes))
        .route("/balance", get(balance))
}

impl App {
    fn check(&self, headers: &HeaderMap) -> Result<(), No> {
        let given = headers.get(header::AUTHORIZATION);
        let wanted = format!("Bearer {}", self.shared.options.secret_key.expose());
        match given.is_some_and(|given| given.as_bytes() == wanted.as_bytes()) {
            true => Ok(()),
            false => Err(No::invalid_key()),
        }
    }

    /// One call: what it does, what follows from it, and its answer.
    async fn call(
        &self,
        headers: &HeaderMap,
        call: Call,
        reference: &str,
        act: impl FnOnce(&mut Books, OffsetDateTime) -> Result<Yes, No>,
    ) -> Response {
        let asked = match self.check(headers).and_then(|()| asked(headers)) {
            Ok(asked) => asked,
            Err(no) => return refusal(&no),
        };
        let now = OffsetDateTime::now_utc();
        let served = self
            .provider()
            .serve(call, reference, &asked, |books| act(books, now));
        if let Some(Ok((_, data))) = &served.answer {
            self.follow(call, reference, data, served.early).await;
        }
        self.answer_with(served.trouble, served.answer).await
    }

    /// What comes of a call by itself: customers pay, transfers and refunds end.
    async fn follow(&self, call: Call, reference: &str, data: &Value, early: bool) {
        let options = &self.shared.options;
        let now = OffsetDateTime::now_utc();
        if early {
            // What can't happen now has nothing to be told early.
            drop(match call {
                Call::Initialize => self.provider().pay(reference, now),
                _ => self.provider().settle_transfer(reference, now),
            });
            return self.tell_now().await;
        }
        let owned = reference.to_owned();
        match (call, options.pay_after, options.settle_after) {
            (Call::Initialize, Some(wait), _) => self.after(wait, move |provider| {
                drop(provider.pay(&owned, OffsetDateTime::now_utc()));
            }),
            (Call::Transfer, _, Some(wait)) => self.after(wait, move |provider| {
                drop(provider.settle_transfer(&owned, OffsetDateTime::now_utc()));
            }),
            (Call::Refund, _, Some(wait)) => {
                let id = data["id"].as_u64().unwrap_or_default();
                self.after(wait, move |provider| {
                    drop(provider.settle_refund(id, OffsetDateTime::now_utc()));
                });
            }
            _ => {}
        }
        self.tell();
    }
}

async fn initialize(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let payment = match wire::parse::<wire::Initialize>(&body).and_then(|b| b.payment()) {
        Ok(payment) => payment,
        Err(no) => return app.refuse(&headers, &no),
    };
    let base = format!("http://{}", app.shared.address);
    app.call(
        &headers,
        Call::Initialize,
        &payment.reference,
        |books, now| {
            let record = books.initialize(&payment, now)?;
            let data = json!({
                "authorization_url": format!("{base}/simulator/checkout/{}", record.reference),
                "access_code": format!("{:x}", record.id),
                "reference": record.reference,
            });
            Ok(("Authorization URL created", data))
        },
    )
    .await
}

async fn verify(
    State(app): State<App>,
    headers: HeaderMap,
    Path(reference): Path<String>,
) -> Response {
    app.call(&headers, Call::Verify, &reference, |books, _| {
        let payment = books.payment(&reference)?;
        Ok(("Verification successful", json::transaction(payment)))
    })
    .await
}

async fn create_recipient(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let recipient = match wire::parse::<wire::CreateRecipient>(&body).and_then(|b| b.recipient()) {
        Ok(recipient) => recipient,
        Err(no) => return app.refuse(&headers, &no),
    };
    app.call(&headers, Call::Recipient, "", |books, now| {
        let recipient = books.add_recipient(&recipient, now)?;
        Ok((
            "Transfer recipient created successfully",
            json::recipient(recipient),
        ))
    })
    .await
}

async fn transfer(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let transfer = match wire::parse::<wire::InitiateTransfer>(&body).and_then(|b| b.transfer()) {
        Ok(transfer) => transfer,
        Err(no) => return app.refuse(&headers, &no),
    };
    app.call(
        &headers,
        Call::Transfer,
        &transfer.reference,
        |books, now| {
            let record = books.transfer(&transfer, now)?.clone();
            let recipient = books.recipient(&record.recipient)?;
            Ok((
                "Transfer has been queued",
                json::transfer(&record, recipient),
            ))
        },
    )
    .await
}

async fn verify_transfer(
    State(app): State<App>,
    headers: HeaderMap,
    Path(reference): Path<String>,
) -> Response {
    app.call(&headers, Call::VerifyTransfer, &reference, |books, _| {
        let record = books.transfer_of(&reference)?;
        let recipient = books.recipient(&record.recipient)?;
        Ok(("Transfer retrieved", json::transfer(record, recipient)))
    })
    .await
}

async fn refund(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let wanted: wire::CreateRefund = match wire::parse(&body) {
        Ok(wanted) => wanted,
        Err(no) => return app.refuse(&headers, &no),
    };
    let transaction = wanted.transaction();
    let found = app.provider().books.payment_by_any(&transaction).cloned();
    let payment = match found {
        Ok(payment) => payment,
        Err(no) => return app.refuse(&headers, &no),
    };
    let whole = payment.amount.saturating_sub(payment.given_back);
    let refund = match wanted.refund(payment.reference.clone(), whole, payment.currency) {
        Ok(refund) => refund,
        Err(no) => return app.refuse(&headers, &no),
    };
    app.call(&headers, Call::Refund, &payment.reference, |books, now| {
        let record = books.refund(&refund, now)?;
        Ok((
            "Refund has been queued for processing",
            json::refund(record, &payment),
        ))
    })
    .await
}

/// Whose refunds or disputes.
#[derive(Deserialize)]
struct Of {
    transaction: String,
}

async fn refunds(State(app): State<App>, headers: HeaderMap, Query(query): Query<Of>) -> Response {
    app.call(&headers, Call::Refunds, &query.transaction, |books, _| {
        let id = books.payment_by_any(&query.transaction)?.id;
        let refunds = books.refunds_of(id);
        let refunds: Vec<Value> = refunds.into_iter().map(json::listed_refund).collect();
        Ok(("Refunds retrieved", Value::Array(refunds)))
    })
    .await
}

async fn disputes(State(app): State<App>, headers: HeaderMap, Query(query): Query<Of>) -> Response {
    app.call(&headers, Call::Disputes, &query.transaction, |books, _| {
        let payment = books.payment_by_any(&query.transaction)?;
        let disputes = books.disputes_of(&payment.reference);
        let disputes: Vec<Value> = disputes.map(|it| json::dispute(it, payment)).collect();
        Ok(("Disputes retrieved", Value::Array(disputes)))
    })
    .await
}

async fn balance(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Err(no) = app.check(&headers) {
        return refusal(&no);
    }
    let balances = app.summary().balances;
    let balances = balances
        .iter()
        .map(|(currency, balance)| json!({ "currency": currency, "balance": balance }));
    let data = Value::Array(balances.collect());
    super::answer::answer(Ok(("Balances retrieved", data)))
}

impl App {
    /// A no, to those only whose key is right.
    fn refuse(&self, headers: &HeaderMap, no: &No) -> Response {
        match self.check(headers) {
            Ok(()) => refusal(no),
            Err(invalid_key) => refusal(&invalid_key),
        }
    }
}
