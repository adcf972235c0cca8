//! A database for one bench, which goes with it whatever becomes of it.

use tokio_util::sync::CancellationToken;

use super::{BenchError, Machine};
use crate::ledger::{Currency, Ledger};
use crate::postgres::{Settings, bench, ledgers, migrate, wallets};

/// A migrated database with a ledger.
pub(super) struct Scratch {
    pub settings: Settings,
    pub ledger: Ledger,
    pub machine: Machine,
}

/// A name for what one bench makes on the servers.
pub(super) fn name() -> String {
    format!("aegis_bench_{}", uuid::Uuid::now_v7().simple())
}

/// Works in a database that is made for it, until it is done or told to stop, and drops it then.
pub(super) async fn within<T>(
    admin: &Settings,
    name: &str,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&Scratch) -> Result<T, BenchError>,
) -> Result<(Machine, T), BenchError> {
    // Not cut off: the server would go on making it, and nobody would drop it.
    bench::create_database(admin, name).await?;
    let working = async {
        let scratch = Scratch::prepare(admin, name).await?;
        let done = work(&scratch).await?;
        Ok((scratch.machine, done))
    };
    let worked = tokio::select! {
        biased;
        () = stop.cancelled() => Err(BenchError::Stopped),
        worked = working => worked,
    };
    let dropped = bench::drop_database(admin, name).await;
    tidied(worked, &format!("database {name}"), dropped)
}

/// The outcome of a bench behind the removal of what it had made.
pub(super) fn tidied<T>(
    worked: Result<T, BenchError>,
    made: &str,
    removed: Result<(), impl Into<BenchError>>,
) -> Result<T, BenchError> {
    let Err(error) = removed.map_err(Into::into) else {
        return worked;
    };
    Err(BenchError::LeftBehind {
        made: made.to_owned(),
        reason: error.to_string(),
        first: Box::new(worked.err().unwrap_or(error)),
    })
}

impl Scratch {
    async fn prepare(admin: &Settings, name: &str) -> Result<Self, BenchError> {
        let settings = Settings {
            options: admin.options.clone().database(name),
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
}

/// The address of a bench's wallet.
pub(super) fn address(n: usize) -> String {
    format!("w:{n}")
}
