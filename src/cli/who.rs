//! Who sits at the keyboard.

use crate::postgres::audit::Actor;

/// The account that runs the tool and its machine. No environment variable is believed but for who
/// became root by `sudo`, and then both are named.
pub(crate) fn operator() -> Actor {
    let account = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let before = std::env::var("SUDO_USER").ok();
    let name = match before.filter(|before| account == "root" && !before.is_empty()) {
        Some(before) => format!("{account} (sudo by {before})"),
        None => account,
    };
    Actor {
        name: printable(&name),
        host: printable(&whoami::hostname().unwrap_or_else(|_| "unknown".to_owned())),
    }
}

fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
        .chars()
        .take(128)
        .collect()
}
