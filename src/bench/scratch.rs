//! A database for one bench.

use super::{BenchError, Machine};
use crate::ledger::{Currency, Ledger};
use crate::postgres::{Settings, bench, ledgers, migrate, wallets};

/// A migrated database that [`Scratch::drop`] removes.
pub(super) struct Scratch {
    admin: Settings,
    name: String,
    pub settings: Settings,
    pub ledger: Ledger,
    pub machine: Machine,
}

impl Scratch {
    pub(super) async fn create(admin: &Settings) -> Result<Self, BenchError> {
        let name = format!("aegis_bench_{}", uuid::Uuid::now_v7().simple());
        bench::create_database(admin, &name).await?;
        let settings = Settings {
            options: admin.options.clone().database(&name),
            ..admin.clone()
        };
        let pool = settings.pool();
        migrate::up(&settings).await?;
        let mut conn = pool.acquire().await?;
        bench::create_floor(&mut conn).await?;
        let (postgresql, durability) = bench::server(&mut conn).await?;
        let ledger = match "main".parse() {
            Ok(name) => ledgers::find(&mut conn, &name).await?,
            Err(_) => None,
        };
        let ledger = ledger.ok_or(sqlx::Error::RowNotFound)?;
        let machine = Machine::new(postgresql, durability);
        drop(conn);
        pool.close().await;
        Ok(Self {
            admin: admin.clone(),
            name,
            settings,
            ledger,
            machine,
        })
    }

    /// Makes `world`, without a minimum balance, and `count` wallets `w:0` and on, each with money.
    pub(super) async fn wallets(&self, count: usize) -> Result<(), BenchError> {
        let Some(currency) = Currency::from_code("NGN") else {
            return Err(BenchError::Unexpected("NGN is unknown".to_owned()));
        };
        let pool = self.settings.pool();
        let mut conn = pool.acquire().await?;
        let addresses = std::iter::once("world".to_owned()).chain((0..count).map(address));
        for address in addresses {
            let address = address.parse().map_err(BenchError::Unexpected)?;
            wallets::create(&mut conn, self.ledger.id, &address, currency, None).await?;
        }
        drop(conn);
        pool.close().await;
        Ok(())
    }

    pub(super) async fn drop(self) -> Result<(), BenchError> {
        Ok(bench::drop_database(&self.admin, &self.name).await?)
    }
}

/// The address of a bench's wallet.
pub(super) fn address(n: usize) -> String {
    format!("w:{n}")
}
