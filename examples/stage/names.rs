//! Names of made-up merchants.

/// How many different names there are.
pub(crate) const MERCHANTS_MAX: usize = TOUCHES.len() * TRADES.len();

const TOUCHES: [&str; 20] = [
    "amber", "blue", "bright", "cedar", "copper", "coral", "daily", "eastern", "golden", "green",
    "harbour", "happy", "little", "lotus", "northern", "olive", "quiet", "river", "silver",
    "sunny",
];
const TRADES: [&str; 20] = [
    "bakery", "books", "candles", "ceramics", "coffee", "cycles", "dates", "fabrics", "flowers",
    "garden", "grill", "kitchen", "lamps", "leather", "music", "noodles", "pharmacy", "prints",
    "shoes", "tea",
];

/// All of them, in an order that the dice decide.
pub(crate) fn shuffled(rng: &mut fastrand::Rng) -> Vec<String> {
    let mut names: Vec<String> = TOUCHES
        .iter()
        .flat_map(|touch| TRADES.iter().map(move |trade| format!("{touch}-{trade}")))
        .collect();
    rng.shuffle(&mut names);
    names
}
