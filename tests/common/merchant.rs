//! Merchants for tests.

use aegis::ledger::{Currency, Ledger};
use aegis::onboarding::{self, Call, Made, NewMerchant, Office, Standing};
use aegis::postgres::audit::Actor;
use sqlx::PgPool;
use time::OffsetDateTime;

/// 1.5 % + 100.00, at most 2,000.00; T+1 in calendar days of UTC, no reserve, paid out by hand.
pub const TERMS: &str = r#"{
    "fee": {"basis_points": 150, "fixed": 10000, "cap": 200000},
    "settlement": {"days": 1, "calendar": "calendar", "time_zone": "UTC"},
    "payout": {"minimum": 0, "schedule": "manual", "recipient": "RCP_test"}
}"#;

/// Where tests tell their events, and their PSP.
pub fn office() -> Office {
    Office {
        topic: "aegis.settlements".to_owned(),
        psp: "paystack".to_owned(),
    }
}

/// Who acts in tests.
pub fn tester() -> Actor {
    Actor {
        name: "tester".to_owned(),
        host: "here".to_owned(),
    }
}

/// Makes a merchant that is new.
pub async fn merchant(
    pool: &PgPool,
    ledger: &Ledger,
    id: &str,
    currency: &str,
    terms: &str,
) -> Standing {
    let new = NewMerchant {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        currency: Currency::from_code(currency).unwrap(),
        terms: terms.parse().unwrap(),
    };
    let now = OffsetDateTime::now_utc();
    let (office, actor) = (office(), tester());
    let call = Call {
        office: &office,
        ledger,
        actor: &actor,
        now,
    };
    let made = onboarding::create(pool, call, &new).await;
    match made.unwrap() {
        Made::Now(standing) => standing,
        other => panic!("the merchant is not new: {other:?}"),
    }
}
