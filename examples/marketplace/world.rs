//! Who takes part: merchants, the platform, and the world outside, each with its wallets.
//!
//! A wallet is an address and a currency. `merchant:<name>:pending` holds what came in and may
//! still go back, `merchant:<name>:available` what the merchant may take out. Both refuse to fall
//! below zero. `psp:paystack` and `bank:main` stand for the world outside: what came from there is
//! their debt, so they have no lower bound.

use std::collections::HashMap;

use fastrand::Rng;

use crate::money::Currency;
use crate::stage::names;

/// A wallet's place in [`World::wallets`].
pub(crate) type WalletId = usize;

/// A wallet as the demo knows it.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    pub address: String,
    pub currency: Currency,
    /// What the balance may not fall below, minor units; `None`: unbounded.
    pub floor: Option<i64>,
}

impl Wallet {
    /// The first part of the address, by which reports sum up.
    pub(crate) fn segment(&self) -> &str {
        self.address.split(':').next().unwrap_or(&self.address)
    }
}

/// A merchant sells in one currency.
#[derive(Clone, Debug)]
pub(crate) struct Merchant {
    pub name: String,
    pub currency: Currency,
    pub pending: WalletId,
    pub available: WalletId,
    /// How much of the trade it draws.
    pub weight: u64,
}

/// The wallets beside the merchants', one of each a currency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desk {
    pub psp: WalletId,
    pub bank: WalletId,
    pub fees: WalletId,
    /// A clearing wallet: back to zero at the end of the day.
    pub refunds: WalletId,
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct World {
    pub wallets: Vec<Wallet>,
    pub merchants: Vec<Merchant>,
    desks: Vec<Desk>,
    places: HashMap<(String, Currency), WalletId>,
}

impl World {
    /// So many merchants, half of them in NGN, 3 of 10 in JPY, 2 of 10 in KWD.
    pub(crate) fn new(merchants: usize, rng: &mut Rng) -> Self {
        let mut world = Self {
            wallets: Vec::new(),
            merchants: Vec::new(),
            desks: Vec::new(),
            places: HashMap::new(),
        };
        for currency in Currency::ALL {
            let desk = Desk {
                psp: world.wallet("psp:paystack", currency, None),
                bank: world.wallet("bank:main", currency, None),
                fees: world.wallet("platform:fees", currency, Some(0)),
                refunds: world.wallet("customers:refunds", currency, Some(0)),
            };
            world.desks.push(desk);
        }
        let names = names::shuffled(rng);
        for (rank, name) in names.into_iter().take(merchants).enumerate() {
            let currency = match rank % 10 {
                0 | 2 | 4 | 6 | 8 => Currency::Ngn,
                1 | 5 | 7 => Currency::Jpy,
                _ => Currency::Kwd,
            };
            let pending = format!("merchant:{name}:pending");
            let available = format!("merchant:{name}:available");
            let merchant = Merchant {
                currency,
                pending: world.wallet(&pending, currency, Some(0)),
                available: world.wallet(&available, currency, Some(0)),
                name,
                // A few sell much, most sell little.
                weight: 10_000 / (rank as u64 + 15),
            };
            world.merchants.push(merchant);
        }
        world
    }

    fn wallet(&mut self, address: &str, currency: Currency, floor: Option<i64>) -> WalletId {
        let id = self.wallets.len();
        self.places.insert((address.to_owned(), currency), id);
        self.wallets.push(Wallet {
            address: address.to_owned(),
            currency,
            floor,
        });
        id
    }

    /// The wallets of the platform and the outside in a currency.
    pub(crate) fn desk(&self, currency: Currency) -> Desk {
        self.desks[currency.index()]
    }

    /// A merchant's place, drawn by how much each sells.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let all: u64 = self.merchants.iter().map(|merchant| merchant.weight).sum();
        let mut drawn = rng.u64(..all);
        for (place, merchant) in self.merchants.iter().enumerate() {
            match drawn.checked_sub(merchant.weight) {
                Some(rest) => drawn = rest,
                None => return place,
            }
        }
        0
    }

    /// The wallet of that address and currency, if it is one of ours.
    pub(crate) fn find(&self, address: &str, currency: &str) -> Option<WalletId> {
        let currency = Currency::from_code(currency)?;
        self.places.get(&(address.to_owned(), currency)).copied()
    }
}
