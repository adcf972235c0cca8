//! How many cases a property is tried with.

/// This many where nothing else is asked for; `AEGIS_CASES=N` asks for N times as many.
pub fn cases(short: u32) -> u32 {
    let times = std::env::var("AEGIS_CASES").map_or(1, |times| {
        let times = times.parse::<u32>();
        times.expect("AEGIS_CASES is how many times as many cases are tried")
    });
    short.saturating_mul(times)
}
