//! Transfers: between many wallets, through a hot one, repeats of earlier ones, and such as a rule
//! says no to.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::caller::{Answer, Caller};
use crate::load::Seen;
use crate::world::{HOT, SHOPS, WORLD};

/// How many of the last ones may be asked for again.
const REMEMBERED: usize = 100;

pub(crate) async fn post(mut caller: Caller) -> Seen {
    let mut seen = Seen::default();
    let mut last: Vec<(String, Value, Uuid)> = Vec::new();
    while caller.pause(5..40).await {
        if !last.is_empty() && caller.rng.u8(..8) == 0 {
            let (key, body, id) = &last[caller.rng.usize(..last.len())];
            let answer = caller.ask("transfers", key, body).await;
            assert_eq!(answer.id("transaction_id"), Some(*id), "{key} again");
            assert!(
                matches!(answer, Answer::Done { replayed: true, .. }),
                "{key} is told as a repeat"
            );
            seen.repeats += 1;
            continue;
        }
        let (key, body) = (caller.key(), draft(&mut caller));
        let answer = caller.ask("transfers", &key, &body).await;
        if let Answer::Rejected(code) = &answer {
            assert_eq!(code, "insufficient_funds", "{key}");
            seen.rejected.push(key);
            continue;
        }
        if let Some(id) = answer.id("transaction_id") {
            if last.len() == REMEMBERED {
                last.swap_remove(caller.rng.usize(..REMEMBERED));
            }
            last.push((key.clone(), body, id));
            seen.transfers.push((key, id));
        }
    }
    seen
}

fn draft(caller: &mut Caller) -> Value {
    let rng = &mut caller.rng;
    let shop = |n: usize| format!("shop:{n}");
    let (one, other) = (rng.usize(..SHOPS), rng.usize(1..SHOPS));
    let (one, other) = (shop(one), shop((one + other) % SHOPS));
    let (source, destination, amount) = match rng.u8(..12) {
        0..=2 => (WORLD.to_owned(), one, rng.i64(1..=1_000)),
        3..=4 => (WORLD.to_owned(), HOT.to_owned(), rng.i64(1..=1_000)),
        5..=6 => (HOT.to_owned(), one, rng.i64(1..=500)),
        // Nobody has that much.
        7 => (one, other, 1_000_000_000_000),
        _ => (one, other, rng.i64(1..=500)),
    };
    json!({
        "source": source, "destination": destination, "currency": "NGN", "amount": amount,
        "metadata": {"order": rng.u32(..), "note": "x".repeat(rng.usize(..500))},
    })
}
