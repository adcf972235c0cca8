//! Stand-in.
#![allow(missing_docs)]
use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::InLedger;
use super::problem::Problem;
use super::respond;
use super::values::RawJson;
use crate::onboarding::{self, Made, NewMerchant, Office};
use crate::terms::Terms;
use axum::extract::State;
use axum::response::Response;

pub(super) async fn create(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new = body.read(|object| {
        let id = object.required("id");
        let name = object.required::<std::borrow::Cow<'_, str>>("name");
        let currency = object.required("currency");
        let terms = object.required::<RawJson<'_>>("terms");
        Some(NewMerchant {
            id: id?,
            name: name?.into_owned(),
            currency: currency?,
            terms: Terms::read_at("terms", terms?.0).ok()?,
        })
    })?;
    let office = Office {
        topic: "aegis.settlements".to_owned(),
        psp: "paystack".to_owned(),
    };
    let pool = state.pool().clone();
    let id = new.id.clone();
    let made = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(async move {
            onboarding::create(
                &pool,
                &office,
                &ledger,
                &new,
                &actor,
                time::OffsetDateTime::now_utc(),
            )
            .await
        })
    })
    .await
    .map_err(|e| Problem::internal(e.to_string()))?;
    let now = matches!(
        made.map_err(|e| Problem::internal(e.to_string()))?,
        Made::Now(_)
    );
    respond::made(now, &serde_json::json!({"id": id.as_str()}))
}
