//! The audit log: who did what, from where, and why. Its rows are permanent, and each is written in
//! the same transaction as the deed.

use sqlx::PgConnection;
use time::OffsetDateTime;

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A person's account, or what a caller calls itself.
    pub name: String,
    /// The machine or the network address that the wish came from.
    pub host: String,
}

/// Why a deed that takes two persons does not have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnother {
    /// Both names are the same person's.
    Same,
    /// The name of who began does not tell who that is.
    FirstUnknown,
    /// The name of who is to agree does not tell who that is.
    SecondUnknown,
}

/// Whether somebody is another person than who began: case, surrounding spaces, becoming root by sudo
/// and coming by HTTP make nobody another one, and whoever is not known is not known to be one. The
/// database compares by its function `person`, which tells the same.
///
/// # Errors
/// Why they are not two.
pub fn second_person(first: &str, second: &str) -> Result<(), NotAnother> {
    match (person(first), person(second)) {
        (_, None) => Err(NotAnother::SecondUnknown),
        (None, _) => Err(NotAnother::FirstUnknown),
        (first, second) if first == second => Err(NotAnother::Same),
        _ => Ok(()),
    }
}

/// Who goes by a name: the one before `root (sudo by …)`, a caller over HTTP by what it calls itself.
fn person(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let name = match name.strip_prefix("http:") {
        Some(caller) => caller.trim_start(),
        None if name == "http" => "",
        None => &name,
    };
    let name = name.strip_prefix("root (sudo by ").unwrap_or(name);
    let name = name.trim_end_matches(')').trim();
    (!matches!(name, "" | "unknown")).then(|| name.to_owned())
}

/// A deed.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// When, UTC.
    pub at: OffsetDateTime,
    /// Who, and from where.
    pub actor: &'a Actor,
    /// What was done, such as `dead_letter.discarded`.
    pub action: &'a str,
    /// To which thing, such as `dead_letter:7`.
    pub target: &'a str,
    /// Why, in the actor's words.
    pub reason: Option<&'a str>,
    /// What else belongs to it.
    pub detail: Option<&'a serde_json::Value>,
}

/// Writes a deed down.
///
/// # Errors
/// Where the database fails.
pub async fn record(conn: &mut PgConnection, deed: Deed<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit_log (at, actor, host, action, target, reason, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7::text::json)",
    )
    .bind(deed.at)
    .bind(&deed.actor.name)
    .bind(&deed.actor.host)
    .bind(deed.action)
    .bind(deed.target)
    .bind(deed.reason)
    .bind(deed.detail.map(serde_json::Value::to_string))
    .execute(conn)
    .await?;
    Ok(())
}

/// The detail of the last deed of this kind that was done to a thing.
///
/// # Errors
/// Where the database fails, or holds what is no JSON.
pub async fn last_detail(
    conn: &mut PgConnection,
    target: &str,
    action: &str,
) -> sqlx::Result<Option<serde_json::Value>> {
    let detail: Option<Option<String>> = sqlx::query_scalar(
        "SELECT detail::text FROM audit_log WHERE target = $1 AND action = $2
         ORDER BY id DESC LIMIT 1",
    )
    .bind(target)
    .bind(action)
    .fetch_optional(conn)
    .await?;
    detail
        .flatten()
        .map(|text| serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into())))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::{NotAnother, second_person};

    #[test]
    fn case_spaces_sudo_and_http_make_nobody_another_person() {
        for name in [
            "alice",
            " Alice ",
            "ALICE\n",
            "root (sudo by alice)",
            "Root (sudo by Alice)",
            "http: alice",
            "http: root (sudo by alice)",
        ] {
            assert_eq!(
                second_person("alice", name),
                Err(NotAnother::Same),
                "{name}"
            );
            assert_eq!(
                second_person(name, "alice"),
                Err(NotAnother::Same),
                "{name}"
            );
            assert_eq!(second_person(name, "bob"), Ok(()), "{name}");
        }
        let (root, by_root) = ("root", "root (sudo by root)");
        assert_eq!(second_person(root, by_root), Err(NotAnother::Same));
        assert_eq!(second_person(root, "root (sudo by alice)"), Ok(()));
    }

    #[test]
    fn who_is_not_known_is_no_other_person() {
        for nobody in [
            "",
            " ",
            "unknown",
            "http",
            "http: Unknown",
            "root (sudo by )",
        ] {
            let (first, second) = (second_person(nobody, "bob"), second_person("bob", nobody));
            assert_eq!(first, Err(NotAnother::FirstUnknown), "{nobody}");
            assert_eq!(second, Err(NotAnother::SecondUnknown), "{nobody}");
            assert!(second_person(nobody, "unknown").is_err());
        }
    }
}
