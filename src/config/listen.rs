//! Who may be let in without a key: nobody but this machine.

use std::net::{IpAddr, SocketAddr};

use super::choice::PrimaryEnv;
use super::error::ConfigError;
use super::settings::{Config, ServerConfig};

impl ServerConfig {
    /// Whether only this machine can reach the server: `localhost` or a loopback address.
    /// Any other name counts as reachable, whatever it may resolve to.
    #[must_use]
    pub fn listens_on_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => is_loopback(address),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// `host:port` to bind, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    // Canonical: `::ffff:127.0.0.1` is 127.0.0.1.
    address.to_canonical().is_loopback()
}

impl Config {
    /// Whether a request must carry an API key: everywhere but in development on the
    /// loopback address.
    #[must_use]
    pub fn requests_need_key(&self) -> bool {
        self.primary_env != PrimaryEnv::Development || !self.server.listens_on_loopback()
    }

    /// Refuses a server that others could reach while there is no key to ask them for.
    /// `keys_exist` tells whether there is an API key that is not revoked.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ListenWithoutKeys`], in every environment.
    pub fn check_listen_address(&self, keys_exist: bool) -> Result<(), ConfigError> {
        match keys_exist || self.server.listens_on_loopback() {
            true => Ok(()),
            false => Err(ConfigError::ListenWithoutKeys {
                host: self.server.host.clone(),
            }),
        }
    }

    /// The same of the socket that was bound by it: a name may stand for any address.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ListenWithoutKeys`].
    pub fn check_bound_address(
        &self,
        bound: SocketAddr,
        keys_exist: bool,
    ) -> Result<(), ConfigError> {
        match keys_exist || is_loopback(bound.ip()) {
            true => Ok(()),
            false => Err(ConfigError::ListenWithoutKeys {
                host: format!("{} ({})", self.server.host, bound.ip()),
            }),
        }
    }

    /// The same of a socket that a supervisor holds, whatever `server.host` says.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InheritedWithoutKeys`], in every environment.
    pub fn check_inherited_address(
        &self,
        address: SocketAddr,
        keys_exist: bool,
    ) -> Result<(), ConfigError> {
        match keys_exist || is_loopback(address.ip()) {
            true => Ok(()),
            false => Err(ConfigError::InheritedWithoutKeys { address }),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn listening(primary_env: PrimaryEnv, host: &str) -> Config {
        let mut config = Config::built_in(primary_env, false);
        config.server.host = host.to_owned();
        config
    }

    const LOOPBACK: [&str; 5] = [
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "::ffff:127.0.0.1",
        "localhost",
    ];
    const BEYOND: [&str; 7] = [
        "0.0.0.0",
        "::",
        "10.0.0.7",
        "128.0.0.1",
        "::ffff:10.0.0.7",
        "localhost.example",
        "ledger.internal",
    ];

    #[test]
    fn loopback_needs_no_keys_to_start() {
        for host in LOOPBACK {
            let config = listening(PrimaryEnv::Production, host);
            assert!(config.check_listen_address(false).is_ok(), "{host}");
        }
    }

    #[test]
    fn beyond_loopback_without_keys_the_start_is_refused_in_every_environment() {
        for host in BEYOND {
            for env in [
                PrimaryEnv::Development,
                PrimaryEnv::Staging,
                PrimaryEnv::Production,
            ] {
                let config = listening(env, host);
                assert!(config.check_listen_address(true).is_ok(), "{host}");
                let refused = config.check_listen_address(false);
                assert!(refused.is_err(), "{env} {host}");
            }
        }
    }

    #[test]
    fn the_address_of_a_socket_counts_whatever_the_host_is_called() {
        let config = listening(PrimaryEnv::Production, "localhost");
        for (address, loopback) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:8080", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("10.0.0.7:8080", false),
        ] {
            let socket: SocketAddr = address.parse().unwrap();
            for keys_exist in [true, false] {
                let bound = config.check_bound_address(socket, keys_exist);
                assert_eq!(bound.is_ok(), loopback || keys_exist, "{address}");
                let inherited = config.check_inherited_address(socket, keys_exist);
                assert_eq!(inherited.is_ok(), loopback || keys_exist, "{address}");
            }
        }
    }

    #[test]
    fn only_development_on_loopback_asks_for_no_key() {
        assert!(!listening(PrimaryEnv::Development, "localhost").requests_need_key());
        assert!(listening(PrimaryEnv::Development, "0.0.0.0").requests_need_key());
        assert!(listening(PrimaryEnv::Staging, "localhost").requests_need_key());
        assert!(listening(PrimaryEnv::Production, "127.0.0.1").requests_need_key());
    }

    #[test]
    fn an_ipv6_address_is_bound_in_brackets() {
        let mut server = Config::default().server;
        assert_eq!(server.address(), "127.0.0.1:8080");
        server.host = "::1".to_owned();
        assert_eq!(server.address(), "[::1]:8080");
    }
}
