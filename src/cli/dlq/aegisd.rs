//! A replay on the local bus: it lives inside `aegisd`, which is asked over HTTP to run it.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::aegisd;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::dlq::plan::Plan;
use crate::dlq::selection::Which;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon of the configured address.
pub(super) struct Aegisd {
    http: reqwest::Client,
    place: String,
    path: String,
}

impl Aegisd {
    /// The daemon that the configuration names, asked about this plan's ledger or about all.
    pub(super) fn of(context: &Context, plan: &Plan) -> anyhow::Result<Self> {
        let (http, place) = aegisd::neighbour(context, PATIENCE)?;
        let path = match &plan.selection.ledger {
            Some(ledger) => format!("/v1/ledgers/{ledger}/dead-letters/replays"),
            None => "/v1/dead-letters/replays".to_owned(),
        };
        Ok(Self { http, place, path })
    }

    /// Sees that it is there and has the same letters before it: another database would have others.
    pub(super) async fn check(&self, plan: &Plan) -> anyhow::Result<()> {
        let mut body = self.body(plan, None);
        body["dry_run"] = json!(true);
        let theirs = match self.ask(&body).await {
            Ok(answer) => answer["plan"].clone(),
            Err(error) if is_not_found(&error) => Value::Null,
            Err(error) => return Err(error),
        };
        let same = theirs["total"] == json!(plan.letters.len())
            && theirs["last_letter_id"] == json!(plan.last_letter_id());
        if same {
            return Ok(());
        }
        let message = format!(
            "the aegisd at {} sees other letters than this database holds ({} instead of {}): it \
             works on another database, or letters were decided on just now; nothing was done",
            self.place,
            theirs["total"].as_u64().unwrap_or_default(),
            plan.letters.len(),
        );
        Err(Failure::Usage(message).into())
    }

    /// Has it begin the replay; its number.
    pub(super) async fn start(
        &self,
        plan: &Plan,
        rate: Option<u32>,
    ) -> anyhow::Result<Option<i64>> {
        let answer = self.ask(&self.body(plan, rate)).await?;
        Ok(answer["run"]["id"].as_i64())
    }

    fn body(&self, plan: &Plan, rate: Option<u32>) -> Value {
        let mut body = plan.selection.which.to_json();
        if let Which::Waiting { .. } = plan.selection.which {
            body["all"] = json!(true);
        }
        body["limit"] = json!(plan.selection.limit);
        body["force"] = json!(plan.selection.force);
        body["last_letter_id"] = json!(plan.last_letter_id());
        body["rate"] = json!(rate);
        body
    }

    async fn ask(&self, body: &Value) -> anyhow::Result<Value> {
        let sent = self
            .http
            .post(format!("http://{}{}", self.place, self.path))
            .header("Idempotency-Key", Uuid::now_v7().to_string())
            .json(body)
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Err(self.silent(&error).into()),
        };
        let status = answer.status();
        let body: Value = match answer.json().await {
            Ok(body) => body,
            Err(_) => return Err(self.another(status.as_u16()).into()),
        };
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(&self.place, status.as_u16(), &body))
    }

    fn silent(&self, error: &reqwest::Error) -> Failure {
        let place = &self.place;
        if !error.is_connect() {
            return Failure::Unreachable(format!(
                "the aegisd at {place} did not answer ({}): whether it began anything, `aegisctl \
                 dlq replays` tells",
                root(error)
            ));
        }
        Failure::Unreachable(format!(
            "the bus is local, within aegisd, and none answers at {place} ({}): start aegisd, or \
             name its place with SERVER_HOST and SERVER_PORT; nothing was done",
            root(error)
        ))
    }

    fn another(&self, status: u16) -> Failure {
        Failure::Unreachable(format!(
            "what answers at {} is no aegisd of this version (status {status}): name its place with \
             SERVER_HOST and SERVER_PORT",
            self.place
        ))
    }
}

fn refused(place: &str, status: u16, body: &Value) -> anyhow::Error {
    let detail = body["detail"].as_str().unwrap_or("without a reason");
    let code = body["code"].as_str().unwrap_or_default();
    let told = format!("aegisd at {place}: {detail}");
    match (status, code) {
        (409, _) => Failure::Busy(told).into(),
        (404, "dead_letter_not_found") => Failure::Rejected {
            code: "dead_letter_not_found",
            detail: told,
        }
        .into(),
        (404 | 405, _) => Failure::Unreachable(format!("{told} (is it of this version?)")).into(),
        (429 | 503 | 504, _) => Failure::Unreachable(told).into(),
        _ => anyhow::anyhow!("{told} ({status} {code})"),
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    matches!(failure, Some(Failure::Rejected { .. }))
}

/// The innermost cause, which says what the operating system said.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
