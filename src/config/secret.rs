//! Values that must not be seen: shown masked, read only by saying so with `expose`.

use std::fmt;

/// What stands in the place of a secret wherever a person or a log could read it.
pub const MASK: &str = "***";

/// A password or a key. `Debug` and `Display` print [`MASK`], whatever it holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text in as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for handing it to the one who checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// An address that may carry a password: `postgres://user:password@host/name`.
///
/// `Debug` and `Display` print it with the password masked, so that a log line or an
/// error can still tell which server is meant.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Takes an address in that a rule has checked or that was built from checked parts.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole address with its password, for connecting.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

/// Parameters of an address that are shown; the value of any other one is masked.
const SHOWN_PARAMETERS: [&str; 9] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "protocol",
    "sslmode",
    "sslrootcert",
    "user",
];

fn mask(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return MASK.to_owned();
    };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    // Behind the host an `@` can only be a password's own, which was not percent-encoded.
    if tail.contains(['@', '#']) {
        return format!("{scheme}://{MASK}");
    }
    let authority = match authority.rsplit_once('@') {
        None => authority.to_owned(),
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            // Redis knows no user without a password, so this can only be the password.
            None if scheme.starts_with("redis") => format!("{MASK}@{host}"),
            None => format!("{user_info}@{host}"),
        },
    };
    match tail.split_once('?') {
        None => format!("{scheme}://{authority}{tail}"),
        Some((path, query)) => {
            let query: Vec<String> = query.split('&').map(mask_parameter).collect();
            format!("{scheme}://{authority}{path}?{}", query.join("&"))
        }
    }
}

fn mask_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if !SHOWN_PARAMETERS.contains(&name) => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_debug_and_display() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn only_the_password_of_an_address_is_masked() {
        let cases = [
            ("postgres://localhost/aegis", "postgres://localhost/aegis"),
            ("postgres://me@db:5432/a", "postgres://me@db:5432/a"),
            ("postgres://me:pw@db:5432/a", "postgres://me:***@db:5432/a"),
            ("postgres://me:p@w:x@db/a", "postgres://me:***@db/a"),
            ("redis://:pw@cache:6379/2", "redis://:***@cache:6379/2"),
            ("rediss://u:pw@cache:6379", "rediss://u:***@cache:6379"),
            ("redis://pw@cache:6379", "redis://***@cache:6379"),
            (
                "postgres://db/a?sslmode=require&password=pw&sslkey=pw",
                "postgres://db/a?sslmode=require&password=***&sslkey=***",
            ),
        ];
        for (url, shown) in cases {
            assert_eq!(SecretUrl::new(url).to_string(), shown);
            assert_eq!(format!("{:?}", SecretUrl::new(url)), shown);
            assert_eq!(SecretUrl::new(url).expose(), url);
        }
    }

    #[test]
    fn an_address_that_cannot_be_taken_apart_is_masked_whole() {
        let cases = [
            ("host=db password=pw", "***"),
            ("postgres://me:12/pw@db/a", "postgres://***"),
            ("postgres://me:1?pw@db/a", "postgres://***"),
        ];
        for (url, shown) in cases {
            assert_eq!(SecretUrl::new(url).to_string(), shown);
        }
    }
}
