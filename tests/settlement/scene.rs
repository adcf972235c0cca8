//! A ledger with a merchant, and what the tests do to it.

use aegis::engine::{Posting, post_own};
use aegis::ledger::Ledger;
use aegis::merchant::{MerchantId, Purse, house};
use aegis::onboarding::{self, Agreed, Call};
use aegis::postgres::settlements::Settlement;
use aegis::settlement::{self, Options, Report, Scope, Step};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet};
use crate::common::merchant::{merchant, office, tester};
use crate::common::payment;

/// Nothing but what a test says: no fee, T+1 in days of UTC, no reserve.
pub(crate) const PLAIN: &str = r#"{
    "fee": {"basis_points": 0, "fixed": 0},
    "settlement": {"days": 1, "calendar": "calendar", "time_zone": "UTC"},
    "payout": {"minimum": 0, "schedule": "manual"}
}"#;

/// [`PLAIN`] with more.
pub(crate) fn with(members: &str) -> String {
    PLAIN.replacen('{', &format!("{{{members},"), 1)
}

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    pub(crate) pool: PgPool,
}

impl Scene {
    /// With the merchant `acme` in NGN under these terms.
    pub(crate) async fn new(terms: &str) -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", terms).await;
        let pool = database.settings().posting_pool(12);
        Self {
            database,
            ledger,
            pool,
        }
    }

    pub(crate) async fn paid(&self, amount: i64, at: OffsetDateTime) -> Uuid {
        payment::paid(&self.pool, &self.ledger, "acme", "NGN", amount, at).await
    }

    /// Agrees with acme on other terms.
    pub(crate) async fn agree(&self, terms: &str) {
        self.agree_in("NGN", terms).await;
    }

    /// The same in any currency.
    pub(crate) async fn agree_in(&self, currency: &str, terms: &str) {
        let (id, terms) = ("acme".parse().unwrap(), terms.parse().unwrap());
        let (currency, now) = (currency.parse().unwrap(), OffsetDateTime::now_utc());
        let (office, actor) = (office(), tester());
        let call = Call {
            office: &office,
            ledger: &self.ledger,
            actor: &actor,
            now,
        };
        let agreed = onboarding::agree(&self.pool, call, &id, currency, &terms).await;
        assert!(
            matches!(agreed.unwrap(), Agreed::Now(_)),
            "the terms are new"
        );
    }

    /// Runs for all that had matured by then.
    pub(crate) async fn run(&self, at: OffsetDateTime) -> (Vec<Settlement>, Report) {
        let scope = Scope {
            merchant: None,
            at,
            by: "tester".to_owned(),
        };
        let mut settled = Vec::new();
        let tell = |step: &Step| {
            if let Step::Settled(settlement) = step {
                settled.push((**settlement).clone());
            }
        };
        let stop = CancellationToken::new();
        let (pool, ledger) = (&self.pool, &self.ledger);
        let report = settlement::run(pool, &options(), ledger, &scope, &stop, tell).await;
        (settled, report.unwrap())
    }

    pub(crate) async fn settle(&self, at: OffsetDateTime) -> Vec<Settlement> {
        let (settled, report) = self.run(at).await;
        assert_eq!(report.failed, []);
        settled
    }

    pub(crate) async fn balance(&self, purse: &str) -> i64 {
        let address = format!("merchant:acme:{purse}");
        let wallet = read_wallet(&self.pool, &self.ledger, &address, "NGN").await;
        wallet.balance
    }

    /// Pending, available, reserve, owed.
    pub(crate) async fn purses(&self) -> [i64; 4] {
        [
            self.balance("pending").await,
            self.balance("available").await,
            self.balance("reserve").await,
            self.balance("owed").await,
        ]
    }

    pub(crate) async fn unsettled(&self) -> i64 {
        sqlx::query_scalar("SELECT coalesce(sum(unsettled), 0)::bigint FROM payments")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// What all settlements moved out of pending.
    pub(crate) async fn settled(&self) -> i64 {
        sqlx::query_scalar("SELECT coalesce(sum(amount), 0)::bigint FROM settlements")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// What an unsettled payment gives back out of pending, more than it brought or not.
    pub(crate) async fn gives_back(&self, id: Uuid, amount: i64) {
        let mut transaction = self.pool.begin().await.unwrap();
        self.gives_back_within(&mut transaction, id, amount).await;
        transaction.commit().await.unwrap();
    }

    /// The same within a transaction of the caller's.
    pub(crate) async fn gives_back_within(&self, conn: &mut PgConnection, id: Uuid, amount: i64) {
        sqlx::query("UPDATE payments SET unsettled = unsettled - $2 WHERE id = $1")
            .bind(id)
            .bind(amount)
            .execute(&mut *conn)
            .await
            .unwrap();
        self.takes(conn, Purse::Pending, amount).await;
    }

    /// A chargeback of money that was paid out before, of which the merchant owes so much.
    pub(crate) async fn owes(&self, amount: i64) {
        let mut transaction = self.pool.begin().await.unwrap();
        self.takes(&mut transaction, Purse::Owed, amount).await;
        transaction.commit().await.unwrap();
    }

    async fn takes(&self, conn: &mut PgConnection, purse: Purse, amount: i64) {
        let merchant: MerchantId = "acme".parse().unwrap();
        let currency = "NGN".parse().unwrap();
        let posting = Posting::new(&format!("test:back:{}", Uuid::now_v7()))
            .leg(merchant.wallet(purse), currency, -amount)
            .leg(house::psp("paystack"), currency, amount);
        let posted = post_own(conn, &self.ledger, vec![posting], "t").await;
        posted.unwrap().expect("the ledger takes it");
    }

    pub(crate) async fn events(&self, event_type: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM transaction_outbox WHERE event_type = $1")
            .bind(event_type)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

pub(crate) fn options() -> Options {
    Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
    }
}
