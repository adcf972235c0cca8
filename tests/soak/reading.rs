//! Statements, balances, lists and traces.

use crate::caller::Caller;
use crate::load::Seen;
use crate::world::{HOT, MERCHANTS, SHOPS};

pub(crate) async fn read(mut caller: Caller) -> Seen {
    while caller.pause(20..80).await {
        let (shop, merchant) = (caller.rng.usize(..SHOPS), caller.rng.usize(..MERCHANTS));
        let path = match caller.rng.u8(..8) {
            0 => format!("wallets/{HOT}?currency=NGN"),
            1 => format!("wallets/{HOT}/entries?currency=NGN&limit=100"),
            2 => format!("wallets/shop:{shop}/entries?currency=NGN&limit=20"),
            3 => format!("wallets/merchant:m{merchant}:available/entries?currency=NGN&limit=20"),
            4 => "balances".to_owned(),
            5 => "settlements?limit=20".to_owned(),
            6 => format!("payments?merchant=m{merchant}&limit=20"),
            _ => "payouts?limit=20".to_owned(),
        };
        caller.read(&path).await;
    }
    Seen::default()
}
