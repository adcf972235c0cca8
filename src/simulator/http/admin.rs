//! The simulator's own routes, for those who test: no key is asked for.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{json_response, refusal};
use super::{App, page, wire};
use crate::simulator::books::{Books, No, Resolution};
use crate::simulator::fault::{Armed, Fault};
use crate::simulator::{json, settlement};

/// Method, path and purpose, for people.
const ROUTES: &[[&str; 3]] = &[
    [
        "GET",
        "/simulator/checkout/{reference}",
        "the customer's page",
    ],
    [
        "POST",
        "/simulator/checkout/{reference}/pay",
        "the customer pays; {\"amount\": N} pays another amount",
    ],
    [
        "POST",
        "/simulator/checkout/{reference}/fail",
        "the customer's attempt fails",
    ],
    [
        "POST",
        "/simulator/checkout/{reference}/abandon",
        "the customer goes away",
    ],
    [
        "POST",
        "/simulator/transfers/{reference}/succeed",
        "a pending transfer arrives",
    ],
    [
        "POST",
        "/simulator/transfers/{reference}/fail",
        "a pending transfer fails",
    ],
    [
        "POST",
        "/simulator/transfers/{reference}/reverse",
        "a transfer comes back",
    ],
    [
        "POST",
        "/simulator/refunds/{id}/process",
        "a pending refund arrives",
    ],
    [
        "POST",
        "/simulator/refunds/{id}/fail",
        "a pending refund fails",
    ],
    [
        "POST",
        "/simulator/disputes",
        "a customer complains: {\"reference\": R, \"amount\"?: N}",
    ],
    [
        "POST",
        "/simulator/disputes/{id}/{accept|decline}",
        "a dispute ends; accepted, the money goes back",
    ],
    [
        "GET",
        "/simulator/faults",
        "the faults there are, those that wait, and how often each happened",
    ],
    [
        "POST",
        "/simulator/faults",
        "arm one: {\"fault\": F, \"call\"?: C, \"reference\"?: R, \"times\"?: N}",
    ],
    ["DELETE", "/simulator/faults", "disarm all"],
    ["GET", "/simulator/webhooks", "what became of the webhooks"],
    [
        "GET",
        "/simulator/books",
        "balances and counts; ?entries=true with every movement",
    ],
    ["GET", "/simulator/settlement.csv", "the settlement export"],
];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(index))
        .route("/checkout/{reference}", get(checkout))
        .route("/checkout/{reference}/{act}", post(customer))
        .route("/transfers/{reference}/{act}", post(transfer))
        .route("/refunds/{id}/{act}", post(refund))
        .route("/disputes", post(open_dispute))
        .route("/disputes/{id}/{act}", post(resolve_dispute))
        .route("/faults", get(faults).post(arm).delete(disarm))
        .route("/webhooks", get(webhooks))
        .route("/books", get(books))
        .route("/settlement.csv", get(settlement_csv))
}

impl App {
    /// Does something to the books by hand, tells of it, and answers with what it came to.
    fn by_hand(
        &self,
        act: impl FnOnce(&mut Books, OffsetDateTime) -> Result<Value, No>,
    ) -> Response {
        let done = act(&mut self.provider().books, OffsetDateTime::now_utc());
        self.tell();
        match done {
            Ok(data) => json_response(StatusCode::OK, &data),
            Err(no) => refusal(&no),
        }
    }
}

async fn index() -> Response {
    let routes = ROUTES.iter().map(
        |[method, path, purpose]| json!({ "method": method, "path": path, "purpose": purpose }),
    );
    let routes: Vec<Value> = routes.collect();
    json_response(StatusCode::OK, &json!({ "routes": routes }))
}

async fn checkout(State(app): State<App>, Path(reference): Path<String>) -> Response {
    match app.provider().books.payment(&reference) {
        Ok(payment) => Html(page::checkout(payment)).into_response(),
        Err(no) => refusal(&no),
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Paying {
    amount: Option<i64>,
}

async fn customer(
    State(app): State<App>,
    Path((reference, act)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // The page's buttons send a form, and nothing in it.
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    let paying = match body.is_empty() || is_form {
        true => Ok(Paying::default()),
        false => wire::parse(&body),
    };
    let answered = app.by_hand(|books, now| {
        let paying = paying?;
        match act.as_str() {
            "pay" => books.pay(&reference, paying.amount, now)?,
            "fail" => books.fail_payment(&reference)?,
            "abandon" => books.abandon_payment(&reference)?,
            _ => return Err(no_such_act("pay, fail or abandon")),
        }
        Ok(json::transaction(books.payment(&reference)?))
    });
    match is_form {
        true => checkout(State(app), Path(reference)).await,
        false => answered,
    }
}

async fn transfer(
    State(app): State<App>,
    Path((reference, act)): Path<(String, String)>,
) -> Response {
    app.by_hand(|books, now| {
        match act.as_str() {
            "succeed" => books.succeed_transfer(&reference, now)?,
            "fail" => books.fail_transfer(&reference, now)?,
            "reverse" => books.reverse_transfer(&reference, now)?,
            _ => return Err(no_such_act("succeed, fail or reverse")),
        }
        let transfer = books.transfer_of(&reference)?;
        Ok(json::transfer(
            transfer,
            books.recipient(&transfer.recipient)?,
        ))
    })
}

async fn refund(State(app): State<App>, Path((id, act)): Path<(u64, String)>) -> Response {
    app.by_hand(|books, now| {
        match act.as_str() {
            "process" => books.settle_refund(id, true, now)?,
            "fail" => books.settle_refund(id, false, now)?,
            _ => return Err(no_such_act("process or fail")),
        }
        Ok(json::listed_refund(books.refund_of(id)?))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complaint {
    reference: String,
    amount: Option<i64>,
}

async fn open_dispute(State(app): State<App>, body: Bytes) -> Response {
    app.by_hand(|books, now| {
        let complaint: Complaint = wire::parse(&body)?;
        let dispute = books.open_dispute(&complaint.reference, complaint.amount, now)?;
        Ok(json!({ "id": dispute.id, "amount": dispute.amount, "status": dispute.status.as_str() }))
    })
}

async fn resolve_dispute(State(app): State<App>, Path((id, act)): Path<(u64, String)>) -> Response {
    app.by_hand(|books, now| {
        let resolution = match act.as_str() {
            "accept" => Resolution::MerchantAccepted,
            "decline" => Resolution::Declined,
            _ => return Err(no_such_act("accept or decline")),
        };
        books.resolve_dispute(id, resolution, now)?;
        Ok(json!({ "id": id, "status": "resolved", "resolution": resolution.as_str() }))
    })
}

async fn faults(State(app): State<App>) -> Response {
    let provider = app.provider();
    let kinds = Fault::ALL.iter().map(|fault| {
        let happened = provider.faults.happened().get(fault);
        json!({ "fault": fault, "what": fault.help(), "happened": happened.unwrap_or(&0) })
    });
    let kinds: Vec<Value> = kinds.collect();
    let body = json!({ "faults": kinds, "armed": provider.faults.armed() });
    json_response(StatusCode::OK, &body)
}

async fn arm(State(app): State<App>, body: Bytes) -> Response {
    let armed = match wire::parse::<Armed>(&body) {
        Ok(armed) if armed.times > 0 => armed,
        Ok(_) => return refusal(&unprocessable("\"times\" is at least 1")),
        Err(no) => return refusal(&no),
    };
    if armed.call.is_some_and(|call| !armed.fault.concerns(call)) {
        return refusal(&unprocessable("that fault does not concern that call"));
    }
    let mut provider = app.provider();
    provider.faults.arm(armed);
    let body = json!({ "armed": provider.faults.armed() });
    json_response(StatusCode::CREATED, &body)
}

async fn disarm(State(app): State<App>) -> Response {
    app.provider().faults.disarm();
    json_response(StatusCode::OK, &json!({ "armed": [] }))
}

async fn webhooks(State(app): State<App>) -> Response {
    json_response(StatusCode::OK, &json!(app.shared.courier.report()))
}

#[derive(Deserialize)]
struct BooksQuery {
    #[serde(default)]
    entries: bool,
}

async fn books(State(app): State<App>, Query(query): Query<BooksQuery>) -> Response {
    let summary = app.summary();
    let provider = app.provider();
    let books = &provider.books;
    let balances = books.balances().iter().map(|((account, currency), balance)| {
        json!({ "account": account, "currency": currency, "balance": balance })
    });
    let mut body = json!({
        "balances": balances.collect::<Vec<Value>>(),
        "payments": summary.payments,
        "paid": summary.paid,
        "transfers": summary.transfers,
        "refunds": summary.refunds,
        "disputes": summary.disputes,
    });
    if query.entries {
        let entries = books.entries().iter().map(|entry| {
            json!({
                "type": entry.kind,
                "id": entry.id,
                "reference": entry.reference,
                "currency": entry.currency,
                "at": json::timestamp(entry.at),
                "postings": entry.postings,
            })
        });
        body["entries"] = entries.collect();
    }
    json_response(StatusCode::OK, &body)
}

async fn settlement_csv(State(app): State<App>) -> Response {
    match settlement::csv(&app.provider().books) {
        Ok(file) => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], file).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn no_such_act(acts: &str) -> No {
    No {
        status: 404,
        code: "not_found",
        message: format!("There is no such act: it is {acts}"),
    }
}

fn unprocessable(message: &str) -> No {
    No {
        status: 422,
        code: "invalid_params",
        message: message.to_owned(),
    }
}
