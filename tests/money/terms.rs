//! Random terms, and their arithmetic once more: it shares no code with the library's.

use fastrand::Rng;
use serde_json::{Value, json};

/// What a payment costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fee {
    basis_points: i64,
    fixed: i64,
    minimum: i64,
    cap: Option<i64>,
}

impl Fee {
    fn random(rng: &mut Rng) -> Self {
        let fixed = match rng.u8(..3) {
            0 => rng.i64(0..=20_000),
            _ => 0,
        };
        let minimum = match rng.u8(..4) {
            0 => rng.i64(0..=500),
            _ => 0,
        };
        let cap = match rng.u8(..3) {
            0 => Some(rng.i64(fixed.max(minimum)..=fixed.max(minimum) + 300_000)),
            _ => None,
        };
        Self {
            // Nothing, all of it, and all between.
            basis_points: match rng.u8(..12) {
                0 => 0,
                1 => 10_000,
                2 => rng.i64(0..=10_000),
                _ => rng.i64(50..=500),
            },
            fixed,
            minimum,
            cap,
        }
    }

    /// The fee of an amount: the share rounded to the nearest unit, a half upwards.
    pub(crate) fn of(&self, amount: i64) -> i64 {
        let share = (i128::from(amount) * i128::from(self.basis_points) + 5_000) / 10_000;
        let fee = i64::try_from(share).unwrap() + self.fixed;
        let fee = fee.max(self.minimum).min(self.cap.unwrap_or(i64::MAX));
        fee.min(amount)
    }

    fn json(&self) -> Value {
        let mut fee = json!({
            "basis_points": self.basis_points,
            "fixed": self.fixed,
            "minimum": self.minimum,
        });
        if let Some(cap) = self.cap {
            fee["cap"] = json!(cap);
        }
        fee
    }
}

/// Terms as the library takes them, and the fee as it is checked.
pub(crate) struct Terms {
    pub fee: Fee,
    pub text: String,
}

impl Terms {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let fee = Fee::random(rng);
        let zones = [
            "Africa/Lagos",
            "Africa/Nairobi",
            "UTC",
            "Asia/Tokyo",
            "America/New_York",
        ];
        let cut_offs = ["00:00", "12:00", "17:30"];
        let business = rng.bool();
        let mut settlement = json!({
            "days": rng.i64(0..=3),
            "calendar": if business { "business" } else { "calendar" },
            "time_zone": zones[rng.usize(..zones.len())],
            "cut_off": cut_offs[rng.usize(..cut_offs.len())],
        });
        if business && rng.bool() {
            settlement["holidays"] = json!(["2026-03-03"]);
        }
        let fate = |rng: &mut Rng| if rng.bool() { "kept" } else { "returned" };
        let mut terms = json!({
            "fee": fee.json(),
            "settlement": settlement,
            "payout": {
                "minimum": rng.i64(0..=10_000),
                "schedule": "daily",
                "recipient": "RCP_none_yet",
            },
            "refund": {
                "fee": fate(rng),
                "below_zero_max": if rng.bool() { 0 } else { rng.i64(0..=10_000_000) },
            },
            "chargeback": {
                "fee": fate(rng),
                "penalty": if rng.bool() { 0 } else { rng.i64(1..=5_000) },
                "below_zero_max": if rng.bool() { 0 } else { rng.i64(0..=10_000_000) },
            },
        });
        if rng.u8(..3) == 0 {
            terms["reserve"] = json!({
                "basis_points": rng.i64(1..=3_000),
                "days": rng.i64(1..=5),
            });
        }
        Self {
            fee,
            text: terms.to_string(),
        }
    }

    /// With a recipient that the PSP knows.
    pub(crate) fn paid_to(&self, recipient: &str) -> String {
        self.text.replace("RCP_none_yet", recipient)
    }
}
