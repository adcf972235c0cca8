//! What a text or an address must look like.

use std::net::Ipv6Addr;

use tracing_subscriber::filter::LevelFilter;

use super::choice::{Choice, SslMode};
use super::secret::SecretUrl;

/// A rule for a text, with the words that follow "it takes".
pub(super) struct TextRule {
    pub(super) wanted: &'static str,
    pub(super) accepts: fn(&str) -> bool,
}

/// A rule for an address. `parse` says why not, without those pieces of the address that
/// may be a secret.
pub(super) struct UrlRule {
    pub(super) wanted: &'static str,
    pub(super) parse: fn(&str) -> Result<SecretUrl, String>,
}

pub(super) const NAME: TextRule = TextRule {
    wanted: "a name without blanks",
    accepts: |text| !text.contains(|c: char| c.is_whitespace() || c.is_control()),
};

pub(super) const HOST: TextRule = TextRule {
    wanted: "a host name or an IP address, without port and brackets",
    accepts: is_host,
};

pub(super) const HOST_OR_SOCKET: TextRule = TextRule {
    wanted: "a host name or an IP address without port and brackets, \
             or the directory of a Unix socket",
    accepts: |text| is_host(text) || (text.starts_with('/') && !text.contains(char::is_control)),
};

pub(super) const BROKERS: TextRule = TextRule {
    wanted: "host:port, more of them separated by commas",
    accepts: |text| text.split(',').all(is_host_port),
};

pub(super) const TOPIC: TextRule = TextRule {
    wanted: "a topic of at most 245 letters, digits, dots, hyphens and underscores",
    // Kafka allows 249, and the dead letters' topic has `.dlq` behind it.
    accepts: |text| {
        (1..=245).contains(&text.len())
            && text != "."
            && text != ".."
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    },
};

pub(super) const LOG_FILTER: TextRule = TextRule {
    wanted: "off, error, warn, info, debug or trace, and more of target=level behind commas, such as \
             `info` or `info,aegis::outbox=debug`",
    // The subscriber trips over blanks around a directive; they are refused before it reads any.
    accepts: |text| {
        text.split(',').all(is_log_directive)
            && tracing_subscriber::EnvFilter::builder().parse(text).is_ok()
    },
};

/// A level, or something with its level behind `=`. The subscriber would take a word that is no level
/// for the name of a target: `debgu` for one that there is none of, so that not even errors were
/// logged.
fn is_log_directive(text: &str) -> bool {
    // A `=` in brackets belongs to a span's field.
    let behind = text.rsplit(']').next().unwrap_or(text);
    let has_level = behind.contains('=') && text.trim() == text;
    has_level || text.parse::<LevelFilter>().is_ok()
}

pub(super) const BASE_URL: TextRule = TextRule {
    wanted: "https://host, http://host:port or the like, without user, query and closing slash",
    accepts: is_base_url,
};

pub(super) const DATABASE_URL: UrlRule = UrlRule {
    wanted: "postgres://user:password@host:port/name",
    parse: database_url,
};

pub(super) const REDIS_ADDRESS: UrlRule = UrlRule {
    wanted: "host:port, redis://… or rediss://…, or nothing to work without Redis",
    parse: redis_address,
};

pub(super) const OTLP_ENDPOINT: UrlRule = UrlRule {
    wanted: "http://host:port, https://host or the like, without user and query; or nothing",
    parse: otlp_endpoint,
};

fn otlp_endpoint(text: &str) -> Result<SecretUrl, String> {
    let base = text.strip_suffix('/').unwrap_or(text);
    match is_base_url(base) {
        true => Ok(SecretUrl::new(base)),
        false => Err("it is no such address".to_owned()),
    }
}

fn is_host(text: &str) -> bool {
    let is_name = || {
        (1..=253).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    text.parse::<Ipv6Addr>().is_ok() || is_name()
}

/// `host:port`; an IPv6 address stands in brackets.
fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    is_bracketed_host(host) && is_port(port)
}

fn is_bracketed_host(text: &str) -> bool {
    match text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => !text.contains(':') && is_host(text),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// An address that paths are put behind.
fn is_base_url(text: &str) -> bool {
    let Some(rest) = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
    else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_path = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    let is_authority = match authority.ends_with(']') {
        true => is_bracketed_host(authority),
        false => is_host_port(authority) || is_bracketed_host(authority),
    };
    is_authority && is_path && !path.ends_with('/')
}

/// Parameters that the driver knows. It would pass over any other one, so that a setting
/// that somebody relies on had no effect.
const DATABASE_PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

fn database_url(text: &str) -> Result<SecretUrl, String> {
    let (scheme, rest) = text.split_once("://").ok_or(NO_SCHEME)?;
    if !["postgres", "postgresql"].contains(&scheme) {
        return Err(OTHER_SCHEME.to_owned());
    }
    let parts = Parts::of(rest)?;
    // `postgres:///name?host=/run/postgresql` and `postgres://%2Frun%2Fpostgresql/name` are
    // how a socket's directory is written.
    let is_socket = parts.host.is_empty() || parts.host.to_uppercase().starts_with("%2F");
    if !is_socket && !is_bracketed_host(parts.host) {
        return Err(HOST_REFUSED.to_owned());
    }
    for parameter in parts.query.split('&').filter(|one| !one.is_empty()) {
        let (name, value) = parameter
            .split_once('=')
            .ok_or("a parameter behind the `?` has no `=`")?;
        if !DATABASE_PARAMETERS.contains(&name) && !name.starts_with("options[") {
            return Err(format!(
                "nothing reads the parameter {name:?} behind the `?`"
            ));
        }
        let is_ssl_mode = ["sslmode", "ssl-mode"].contains(&name);
        if is_ssl_mode && SslMode::ALL.iter().all(|mode| mode.name() != value) {
            return Err("its sslmode is not one of those of database.sslmode".to_owned());
        }
    }
    Ok(SecretUrl::new(text))
}

fn redis_address(text: &str) -> Result<SecretUrl, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return match is_host_port(text) {
            true => Ok(SecretUrl::new(format!("redis://{text}"))),
            false => Err("it is neither host:port nor has it a `://`".to_owned()),
        };
    };
    if !["redis", "rediss"].contains(&scheme) {
        return Err(OTHER_SCHEME.to_owned());
    }
    let parts = Parts::of(rest)?;
    if !is_bracketed_host(parts.host) {
        return Err(HOST_REFUSED.to_owned());
    }
    let database = parts.path.trim_start_matches('/');
    if !database.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the database behind the host is not a number".to_owned());
    }
    Ok(SecretUrl::new(text))
}

const NO_SCHEME: &str = "it has no `://`";
const OTHER_SCHEME: &str = "what stands before its `://` is something else";
const HOST_REFUSED: &str = "its host is not a host name or an IP address";

/// The parts of an address behind its `://`.
struct Parts<'a> {
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, &'static str> {
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path_start = before.find('/').unwrap_or(before.len());
        let (authority, path) = before.split_at(path_start);
        if path.contains('@') || query.contains('@') || rest.contains(['#', ' ']) {
            return Err(
                "a `/ ? # @` or blank in its user or password is not percent-encoded \
                        (@ is %40)",
            );
        }
        let host_port = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        // A colon within brackets belongs to an IPv6 address.
        let port_start = match host_port.rfind(']') {
            Some(bracket) => host_port[bracket..].find(':').map(|colon| bracket + colon),
            None => host_port.rfind(':'),
        };
        let host = match port_start {
            None => host_port,
            Some(colon) if is_port(&host_port[colon + 1..]) => &host_port[..colon],
            Some(_) => return Err("its port is not an integer from 1 to 65535"),
        };
        if host.is_empty() && !authority.is_empty() {
            return Err("it has no host");
        }
        Ok(Self { host, path, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_without_port() {
        for host in ["localhost", "db-1.internal", "10.0.0.7", "::1", "db_1"] {
            assert!((HOST.accepts)(host), "{host}");
        }
        for host in [
            "",
            "db:5432",
            "[::1]",
            "http://db",
            "a b",
            "/run/postgresql",
        ] {
            assert!(!(HOST.accepts)(host), "{host}");
        }
        assert!((HOST_OR_SOCKET.accepts)("/run/postgresql"));
    }

    #[test]
    fn brokers_are_pairs_of_host_and_port() {
        for brokers in ["localhost:9092", "a:1,b:65535", "[::1]:9092"] {
            assert!((BROKERS.accepts)(brokers), "{brokers}");
        }
        for brokers in [
            "localhost",
            "a:0",
            "a:65536",
            "a:1,",
            "a:1, b:1",
            "::1:9092",
            "a:+1",
        ] {
            assert!(!(BROKERS.accepts)(brokers), "{brokers}");
        }
    }

    #[test]
    fn a_base_url_is_what_paths_can_be_put_behind() {
        for url in [
            "https://api.paystack.co",
            "http://127.0.0.1:7070",
            "http://[::1]:7070",
            "https://[::1]",
            "https://gateway.internal/paystack/v1",
        ] {
            assert!((BASE_URL.accepts)(url), "{url}");
        }
        for url in [
            "",
            "api.paystack.co",
            "ftp://api.paystack.co",
            "https://",
            "https://api.paystack.co/",
            "https://api.paystack.co?x=1",
            "https://me:pw@api.paystack.co",
            "https://api.paystack.co:0",
            "https://api paystack.co",
        ] {
            assert!(!(BASE_URL.accepts)(url), "{url}");
        }
    }

    #[test]
    fn a_topic_leaves_room_for_its_dead_letters() {
        assert!((TOPIC.accepts)(&"t".repeat(245)));
        assert!(!(TOPIC.accepts)(&"t".repeat(246)));
        assert!(!(TOPIC.accepts)("a b"));
        assert!(!(TOPIC.accepts)(".."));
    }

    #[test]
    fn a_log_filter_is_what_the_subscriber_takes() {
        for filter in [
            "info",
            "OFF",
            "info,aegis::outbox=debug",
            "aegis::outbox=debug,warn",
            "info,aegis[request{route=x}]=trace",
        ] {
            assert!((LOG_FILTER.accepts)(filter), "{filter}");
        }
        assert!(!(LOG_FILTER.accepts)("aegis=loud"));
    }

    #[test]
    fn a_word_in_a_log_filter_that_is_no_level_is_refused() {
        for filter in [
            "debgu",
            "warning",
            "info,warning",
            "aegis::outbox",
            "info,aegis[request{route=x}]",
            "info, aegis::outbox=debug",
            " info",
            " a\u{e9}=debug",
        ] {
            assert!(!(LOG_FILTER.accepts)(filter), "{filter}");
        }
    }

    #[test]
    fn database_addresses_of_every_usual_form_are_taken() {
        for url in [
            "postgres://localhost",
            "postgresql://me:p%40w@db.internal:5432/aegis?sslmode=verify-full",
            "postgres://me:p@w@db/aegis",
            "postgres://me@[::1]:5432/aegis",
            "postgres:///aegis?host=/run/postgresql",
            "postgres://me@%2Frun%2Fpostgresql/aegis?options[search_path]=x",
        ] {
            assert_eq!(
                database_url(url).map(|u| u.expose().to_owned()),
                Ok(url.to_owned())
            );
        }
    }

    #[test]
    fn database_addresses_with_a_slip_are_refused_with_the_reason() {
        for (url, why) in [
            ("host=db dbname=aegis", NO_SCHEME),
            ("mysql://db/aegis", OTHER_SCHEME),
            ("postgres://me:1/2@db/aegis", "percent-encoded"),
            ("postgres://me:a#b@db/aegis", "percent-encoded"),
            ("postgres://db:x/aegis", "its port"),
            ("postgres://db:0/aegis", "its port"),
            ("postgres://me:pw@/aegis", "no host"),
            ("postgres://d,b/aegis", HOST_REFUSED),
            ("postgres://db/aegis?sslmode=on", "sslmode"),
            (
                "postgres://db/aegis?connect_timeout=5",
                "nothing reads the parameter \"connect_timeout\"",
            ),
        ] {
            let refused = database_url(url).err().unwrap_or_default();
            assert!(refused.contains(why), "{url}: {refused}");
        }
    }

    #[test]
    fn a_redis_address_is_host_and_port_or_a_url() {
        for (address, url) in [
            ("localhost:6379", "redis://localhost:6379"),
            ("[::1]:6379", "redis://[::1]:6379"),
            ("redis://cache", "redis://cache"),
            ("rediss://:pw@cache:6380/2", "rediss://:pw@cache:6380/2"),
        ] {
            assert_eq!(
                redis_address(address).map(|u| u.expose().to_owned()),
                Ok(url.to_owned())
            );
        }
        for (address, why) in [
            ("localhost", "neither"),
            ("http://cache:6379", OTHER_SCHEME),
            ("redis://cache:6379/main", "database"),
            ("redis://", "host"),
        ] {
            let refused = redis_address(address).err().unwrap_or_default();
            assert!(refused.contains(why), "{address}: {refused}");
        }
    }
}
