//! What the database itself refuses, whoever asks.

use sqlx::AssertSqlSafe;

use crate::scene::Scene;

#[tokio::test]
async fn payouts_stay_and_keep_to_their_form() {
    let scene = Scene::new().await;
    scene.sent("k", 90_000).await;
    for (statement, by) in [
        ("DELETE FROM payouts", "permanent"),
        ("DELETE FROM payout_attempts", "permanent"),
        ("UPDATE payouts SET amount = 0", "payouts_amount_positive"),
        (
            "UPDATE payouts SET status = 'gone', next_attempt_at = NULL",
            "payouts_status_known",
        ),
        (
            "UPDATE payouts SET status = 'failed'",
            "payouts_open_ones_are_looked_after",
        ),
        (
            "UPDATE payouts SET next_attempt_at = NULL",
            "payouts_open_ones_are_looked_after",
        ),
        (
            "UPDATE payouts SET resolved_by = 'me'",
            "payouts_resolved_with_reason",
        ),
        (
            "UPDATE payouts SET run_key = 'evening'",
            "payouts_run_as_a_whole",
        ),
        (
            "UPDATE payouts SET doubtful_since = now()",
            "payouts_doubt_as_a_whole",
        ),
        (
            "UPDATE payout_attempts SET outcome = NULL",
            "payout_attempts_ended_with_outcome",
        ),
        (
            "UPDATE payout_attempts SET kind = 'pray'",
            "payout_attempts_kind_known",
        ),
    ] {
        let done = sqlx::query(AssertSqlSafe(statement))
            .execute(scene.pool())
            .await;
        let refusal = done.expect_err(statement).to_string();
        assert!(refusal.contains(by), "{statement}: {refusal}");
    }
}
