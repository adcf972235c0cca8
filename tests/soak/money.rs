//! Payments that customers pay, refunds of them, payouts, and payout runs.

use std::collections::VecDeque;

use serde_json::json;
use uuid::Uuid;

use crate::caller::Caller;
use crate::load::Seen;
use crate::world::MERCHANTS;

/// A payment is looked at again after so many more.
const LATER: usize = 10;

pub(crate) async fn pay_and_give_back(mut caller: Caller) -> Seen {
    let mut seen = Seen::default();
    let mut made: VecDeque<Uuid> = VecDeque::new();
    while caller.pause(50..250).await {
        let key = caller.key();
        let body = json!({
            "merchant": merchant(&mut caller), "amount": caller.rng.i64(1_000..=500_000),
            "currency": "NGN", "email": "ada@example.com", "reference": key,
        });
        let answer = caller.ask("payments", &key, &body).await;
        let id = answer.id("id");
        let id = id.unwrap_or_else(|| panic!("{key} is refused: {answer:?}"));
        seen.payments.push((key, id));
        made.push_back(id);
        if made.len() > LATER
            && let Some(id) = made.pop_front()
        {
            give_back(&mut caller, id, &mut seen).await;
        }
    }
    seen
}

/// A third of what was paid, in part; a rule may say no.
async fn give_back(caller: &mut Caller, id: Uuid, seen: &mut Seen) {
    let payment = caller.read(&format!("payments/{id}")).await;
    let is_paid = payment.is_some_and(|payment| payment["status"] == "succeeded");
    if !is_paid || caller.rng.u8(..3) > 0 {
        return;
    }
    let (key, amount) = (caller.key(), caller.rng.i64(1..=1_000));
    let path = format!("payments/{id}/refunds");
    let answer = caller.ask(&path, &key, &json!({"amount": amount})).await;
    seen.refunds.extend(answer.id("id").map(|id| (key, id)));
}

pub(crate) async fn pay_out(mut caller: Caller) -> Seen {
    let mut seen = Seen::default();
    while caller.pause(100..400).await {
        let key = caller.key();
        let amount = caller.rng.i64(500..=20_000);
        let body = json!({
            "merchant": merchant(&mut caller), "amount": amount, "currency": "NGN",
        });
        let answer = caller.ask("payouts", &key, &body).await;
        // Below the minimum it is refused.
        assert_eq!(answer.id("id").is_none(), amount < 1_000, "{answer:?}");
        seen.payouts.extend(answer.id("id").map(|id| (key, id)));
    }
    seen
}

pub(crate) async fn run_payouts(mut caller: Caller) -> Seen {
    let mut seen = Seen::default();
    while caller.pause(3_000..6_000).await {
        let key = caller.key();
        let items: Vec<_> = (0..MERCHANTS)
            .map(|n| json!({"merchant": format!("m{n}"), "amount": caller.rng.i64(1_000..=9_000)}))
            .collect();
        let body = json!({"key": key, "currency": "NGN", "items": items});
        let answer = caller.ask("payout-runs", &key, &body).await;
        assert!(
            matches!(answer, crate::caller::Answer::Done { .. }),
            "{key}: {answer:?}"
        );
        seen.runs.push(key);
    }
    seen
}

fn merchant(caller: &mut Caller) -> String {
    format!("m{}", caller.rng.usize(..MERCHANTS))
}
