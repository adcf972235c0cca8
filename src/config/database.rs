//! How the parts of the database's address make one.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use super::choice::Choice as _;
use super::secret::SecretUrl;
use super::settings::DatabaseConfig;

impl DatabaseConfig {
    /// The address to connect to: `database.url` as it was given, or else one made of host,
    /// port, name, user, password and sslmode. Its `Display` masks the password.
    #[must_use]
    pub fn connection_url(&self) -> SecretUrl {
        if let Some(url) = &self.url {
            return url.clone();
        }
        let mut url = format!("postgres://{}", percent_encoded(&self.user));
        if let Some(password) = &self.password {
            url.push(':');
            url.push_str(&percent_encoded(password.expose()));
        }
        let is_ipv6 = self.host.parse::<Ipv6Addr>().is_ok();
        let host = match is_ipv6 {
            true => format!("[{}]", self.host),
            false => percent_encoded(&self.host),
        };
        let name = percent_encoded(&self.name);
        // Writing to a String cannot fail.
        let _ = write!(
            url,
            "@{host}:{}/{name}?sslmode={}",
            self.port,
            self.sslmode.name()
        );
        if is_ipv6 {
            // The driver takes the brackets for a part of the host's name.
            let _ = write!(url, "&hostaddr={}", percent_encoded(&self.host));
        }
        SecretUrl::new(url)
    }
}

/// All but RFC 3986's unreserved characters as `%XX`.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::rule::DATABASE_URL;
    use super::super::secret::Secret;
    use super::*;

    fn url(change: impl Fn(&mut DatabaseConfig)) -> SecretUrl {
        let mut database = Config::default().database;
        change(&mut database);
        database.connection_url()
    }

    #[test]
    fn the_parts_make_the_address() {
        assert_eq!(
            url(|_| ()).expose(),
            "postgres://aegis@localhost:5432/aegis?sslmode=prefer"
        );
    }

    #[test]
    fn a_password_is_encoded_and_masked() {
        let url = url(|d| d.password = Some(Secret::new("p@ss/w:rd #1")));
        assert_eq!(
            url.expose(),
            "postgres://aegis:p%40ss%2Fw%3Ard%20%231@localhost:5432/aegis?sslmode=prefer"
        );
        assert_eq!(
            url.to_string(),
            "postgres://aegis:***@localhost:5432/aegis?sslmode=prefer"
        );
    }

    #[test]
    fn sockets_and_ipv6_addresses_make_an_address_that_the_url_rule_takes() {
        for (host, made) in [
            (
                "/run/postgresql",
                "postgres://aegis@%2Frun%2Fpostgresql:5432/aegis?sslmode=prefer",
            ),
            (
                "::1",
                "postgres://aegis@[::1]:5432/aegis?sslmode=prefer&hostaddr=%3A%3A1",
            ),
        ] {
            let url = url(|d| d.host = host.to_owned());
            assert_eq!(url.expose(), made);
            assert!((DATABASE_URL.parse)(made).is_ok());
        }
    }

    #[test]
    fn a_url_stands_in_for_all_parts() {
        let given = SecretUrl::new("postgres://elsewhere/other");
        let url = url(|d| d.url = Some(given.clone()));
        assert_eq!(url, given);
    }
}
