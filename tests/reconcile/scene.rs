//! A merchant whose payments were paid, and statements about them.

use std::io::Cursor;

use aegis::engine::{Posting, post_own};
use aegis::ledger::{Currency, Details, Ledger};
use aegis::merchant::{MerchantId, Purse, house};
use aegis::postgres::discrepancies::{self, Discrepancy, Filter};
use aegis::postgres::psp_references::{self, SubjectKind};
use aegis::reconcile::{self, Format, Options, ReconcileError, Report, Source, Statement};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};
use crate::common::merchant::{TERMS, merchant, tester};

pub const HEADER: &str = "kind,reference,currency,minor,fee,booked_at,status,id,batch\n";

/// When payments are paid, unless a test says otherwise.
pub fn noon() -> OffsetDateTime {
    datetime!(2026-11-22 12:00 UTC)
}

pub fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

pub fn options() -> Options {
    Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
    }
}

pub struct Scene {
    pub database: TestDatabase,
    pub ledger: Ledger,
}

impl Scene {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
        wallet(database.pool(), &ledger, "bank:main", "NGN", None).await;
        Self { database, ledger }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A payment that is asked for, and not paid.
    pub async fn asked(&self, reference: &str, amount: i64) -> Uuid {
        let id = Uuid::now_v7();
        let mut conn = self.pool().acquire().await.unwrap();
        let kind = SubjectKind::Payment;
        let taken =
            psp_references::take(&mut conn, "paystack", reference, self.ledger.id, kind, id).await;
        assert!(taken.unwrap());
        sqlx::query(
            "INSERT INTO payments (
                 ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version,
                 psp, reference, email, amount, fee, net, status, created_at, updated_at)
             VALUES ($1, $2, $3, sha256('x'::bytea), 'acme', 'NGN', 1, 'paystack', $3, 'a@example.org',
                     $4, 0, $4, 'pending', $5, $5)",
        )
        .bind(self.ledger.id)
        .bind(id)
        .bind(reference)
        .bind(amount)
        .bind(noon())
        .execute(&mut *conn)
        .await
        .unwrap();
        id
    }

    /// Has a payment paid at a time, as a webhook would.
    pub async fn pay(&self, id: Uuid, reference: &str, amount: i64, at: OffsetDateTime) {
        let acme: MerchantId = "acme".parse().unwrap();
        let posting = Posting::new(&format!("payment:{id}:succeeded"))
            .leg(house::psp("paystack"), ngn(), -amount)
            .leg(acme.wallet(Purse::Pending), ngn(), amount);
        self.post_as(posting, reference, at).await;
        sqlx::query(
            "UPDATE payments SET status = 'succeeded', paid_at = $3, period = $3::date,
                    matures_at = $3 WHERE ledger_id = $1 AND id = $2",
        )
        .bind(self.ledger.id)
        .bind(id)
        .bind(at)
        .execute(self.pool())
        .await
        .unwrap();
    }

    pub async fn paid(&self, reference: &str, amount: i64) -> Uuid {
        let id = self.asked(reference, amount).await;
        self.pay(id, reference, amount, noon()).await;
        id
    }

    /// Posts under a name of the program's, such as `payout:…:succeeded`.
    pub async fn post_as(&self, posting: Posting, reference: &str, at: OffsetDateTime) -> Uuid {
        let posting = posting.with_details(Details {
            reference: (!reference.is_empty()).then(|| reference.to_owned()),
            effective_at: Some(at),
            ..Details::default()
        });
        let mut conn = self.pool().begin().await.unwrap();
        let topic = "aegis.transactions";
        let posted = post_own(&mut conn, &self.ledger, vec![posting], topic).await;
        let receipts = posted.unwrap().unwrap();
        conn.commit().await.unwrap();
        receipts[0].transaction_id
    }

    /// The bank got an amount that the PSP had held.
    pub async fn to_bank(&self, reference: &str, amount: i64, at: OffsetDateTime) -> Uuid {
        let posting = Posting::new(&format!("test:{}", Uuid::now_v7()))
            .leg(house::psp("paystack"), ngn(), amount)
            .leg("bank:main".parse().unwrap(), ngn(), -amount);
        self.post_as(posting, reference, at).await
    }

    pub async fn try_run(
        &self,
        source: Source,
        format: Option<Format>,
        text: &str,
    ) -> Result<Report, ReconcileError> {
        self.try_run_until(source, format, text, None).await
    }

    /// Runs over a statement that covers the time until then; `None`: until its last line.
    pub async fn try_run_until(
        &self,
        source: Source,
        format: Option<Format>,
        text: &str,
        until: Option<OffsetDateTime>,
    ) -> Result<Report, ReconcileError> {
        let input = Box::new(Cursor::new(text.to_owned().into_bytes()));
        let mut statement = Statement::open(input, format, source.psp())?;
        let mut conn = self.pool().acquire().await.unwrap();
        let file = ("statement", &mut statement);
        let (options, now) = (options(), OffsetDateTime::now_utc());
        reconcile::run(
            &mut conn,
            &options,
            &self.ledger,
            &source,
            file,
            (None, until),
            &tester(),
            now,
        )
        .await
    }

    /// Runs over a statement of Paystack's.
    pub async fn psp(&self, text: &str) -> Report {
        let source = Source::Psp("paystack".to_owned());
        self.try_run(source, None, text).await.unwrap()
    }

    /// Runs over plain lines of Paystack's.
    pub async fn plain(&self, lines: &[&str]) -> Report {
        self.psp(&format!("{HEADER}{}\n", lines.join("\n"))).await
    }

    /// Runs over a bank statement.
    pub async fn bank(&self, text: &str) -> Report {
        let source = Source::Bank("main".to_owned());
        self.try_run(source, None, text).await.unwrap()
    }

    pub async fn discrepancies(&self) -> Vec<Discrepancy> {
        let mut conn = self.pool().acquire().await.unwrap();
        let filter = Filter {
            all: true,
            ..Filter::default()
        };
        discrepancies::page(&mut conn, self.ledger.id, &filter, 0, 1_000)
            .await
            .unwrap()
    }

    /// What is not resolved: class and reference.
    pub async fn open(&self) -> Vec<String> {
        let all = self.discrepancies().await;
        let open = all.iter().filter(|it| it.resolved_at.is_none());
        open.map(|it| {
            let reference = it.reference.as_deref().unwrap_or("-");
            format!("{} {reference}", it.class.as_str())
        })
        .collect()
    }

    pub async fn balance(&self, address: &str) -> i64 {
        read_wallet(self.pool(), &self.ledger, address, "NGN")
            .await
            .balance
    }

    pub async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }
}

/// A plain line of a payment at noon.
pub fn payment(reference: &str, amount: i64) -> String {
    format!("payment,{reference},NGN,{amount},0,2026-11-22T12:00:00Z,booked,,")
}
