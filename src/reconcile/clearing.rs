//! Whether the wallets that money only passes through are explained.

pub use crate::postgres::reconciliations::clearing::{Part, Standing, standings, without_limit};
