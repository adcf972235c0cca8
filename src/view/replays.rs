//! What is seen of replays: the plan before, the run on its way and after.

use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::dlq::plan::{Group, LeftOut, Plan};
use crate::dlq::runs::Account;
use crate::postgres::dead_letters::replays::Run;

/// The letters that a plan leaves out and names.
const LEFT_OUT_MAX: usize = 100;

/// Letters of one topic and error that a replay publishes again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplayGroupView {
    /// The topic that they go to.
    pub original_topic: String,
    /// The error's text up to the first colon.
    pub error_code: String,
    /// How many.
    pub count: usize,
    /// When the first of them failed, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub oldest_failed_at: OffsetDateTime,
    /// When the last of them failed, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub newest_failed_at: OffsetDateTime,
}

impl From<&Group> for ReplayGroupView {
    fn from(group: &Group) -> Self {
        Self {
            original_topic: group.original_topic.clone(),
            error_code: group.error_code.clone(),
            count: group.count,
            oldest_failed_at: group.oldest_failed_at,
            newest_failed_at: group.newest_failed_at,
        }
    }
}

/// A letter that was asked for and is not decided on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LeftOutView {
    /// Its number.
    pub id: i64,
    /// `needs_force`, `unreadable`, `already_replayed` or `discarded`.
    pub code: &'static str,
    /// Why, for people.
    pub detail: String,
}

impl From<&LeftOut> for LeftOutView {
    fn from(left_out: &LeftOut) -> Self {
        Self {
            id: left_out.id,
            code: left_out.why.code(),
            detail: left_out.why.to_string(),
        }
    }
}

impl LeftOutView {
    /// The first 100 of those that a plan leaves out.
    pub(crate) fn first_of(plan: &Plan) -> Vec<Self> {
        let left_out = plan.left_out.iter().take(LEFT_OUT_MAX);
        left_out.map(Self::from).collect()
    }
}

/// What a replay does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplayPlanView {
    /// Letters that are published again.
    pub total: usize,
    /// The topics that they go to.
    pub topics: Vec<String>,
    /// The newest of them; 0 where there is none.
    pub last_letter_id: i64,
    /// The same by topic and error.
    pub groups: Vec<ReplayGroupView>,
    /// Letters that are left out because they had their lives.
    pub needs_force: usize,
    /// Letters that are left out in all.
    pub left_out_count: usize,
    /// The first 100 of those that are left out.
    pub left_out: Vec<LeftOutView>,
}

impl From<&Plan> for ReplayPlanView {
    fn from(plan: &Plan) -> Self {
        Self {
            total: plan.letters.len(),
            topics: plan.topics(),
            last_letter_id: plan.last_letter_id(),
            groups: plan.groups.iter().map(ReplayGroupView::from).collect(),
            needs_force: plan.left_out_by("needs_force"),
            left_out_count: plan.left_out.len(),
            left_out: LeftOutView::first_of(plan),
        }
    }
}

/// A letter that could not be replayed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplayFailureView {
    /// Its number.
    pub id: i64,
    /// Why.
    pub reason: String,
}

/// A replay: on its way, or over.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplayView {
    /// Its number.
    pub id: i64,
    /// `running`, `done`, `cancelled`, or `interrupted`: stopped before its end.
    pub status: &'static str,
    /// The topics that it publishes to.
    pub topics: Vec<String>,
    /// Letters that belong to it.
    pub total: i64,
    /// Letters that were replayed.
    pub replayed: i64,
    /// Letters that could not be.
    pub failed: i64,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// The newest letter that belongs to it.
    pub last_letter_id: i64,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub selection: Option<Box<RawValue>>,
    /// Who began it.
    pub started_by: String,
    /// From where.
    pub host: String,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it last came further, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When it ended, or was found to have ended, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// Why it ended, in words, where it came to say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// The first letters that could not be replayed, once it has ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub failures: Vec<ReplayFailureView>,
}

impl From<Run> for ReplayView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            status: run.status.as_str(),
            topics: run.topics,
            total: run.total,
            replayed: run.replayed,
            failed: run.failed,
            cancel_requested: run.cancel_requested,
            last_letter_id: run.last_letter_id,
            // It was JSON when it was stored.
            selection: RawValue::from_string(run.selection).ok(),
            started_by: run.started_by,
            host: run.host,
            started_at: run.started_at,
            updated_at: run.updated_at,
            finished_at: run.finished_at,
            ending: None,
            failures: Vec::new(),
        }
    }
}

impl From<Account> for ReplayView {
    fn from(account: Account) -> Self {
        let failures = account.failures.into_iter();
        Self {
            ending: account.ending,
            failures: failures
                .map(|(id, reason)| ReplayFailureView { id, reason })
                .collect(),
            ..Self::from(account.run)
        }
    }
}
