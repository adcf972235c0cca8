//! The known name that an unknown one resembles most.

/// The most similar of `known`; empty only if `known` is.
pub(super) fn of<'a>(unknown: &str, known: &[&'a str]) -> &'a str {
    let mut best = ("", -1.0);
    for &name in known {
        let mut likeness = similarity(unknown, name);
        // Somebody who left the section out means the key of that name in some section.
        if let (false, Some((_, last))) = (unknown.contains('.'), name.rsplit_once('.')) {
            likeness = likeness.max(0.99 * similarity(unknown, last));
        }
        if likeness > best.1 {
            best = (name, likeness);
        }
    }
    best.0
}

/// From 0 to 1. Counts edits, which finds slips of the pen, and pairs of letters, which
/// finds a word that was left out.
fn similarity(a: &str, b: &str) -> f64 {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    strsim::normalized_damerau_levenshtein(&a, &b).max(strsim::sorensen_dice(&a, &b))
}

#[cfg(test)]
mod tests {
    use super::super::keys::KEYS;

    #[test]
    fn the_nearest_name_is_the_one_a_person_would_name() {
        let known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        let cases = [
            ("databse.hst", "database.host"),
            ("database.hots", "database.host"),
            ("database.username", "database.user"),
            ("database.ssl_mode", "database.sslmode"),
            ("database.pool_max", "database.pool_connections_max"),
            ("server.prot", "server.port"),
            ("server.timeout", "server.request_timeout_ms"),
            ("server.body_limit", "server.body_bytes_max"),
            ("Server.Port", "server.port"),
            ("redis.adress", "redis.address"),
            ("redis.url", "redis.address"),
            ("kafka.broker", "kafka.brokers"),
            ("password", "database.password"),
            ("brokers", "kafka.brokers"),
            ("buss", "bus"),
            ("ledgers", "ledger"),
            ("log.level", "log.filter"),
            ("posting.batch_max", "posting.batch_commands_max"),
        ];
        for (unknown, nearest) in cases {
            assert_eq!(super::of(unknown, &known), nearest, "{unknown}");
        }
    }
}
