//! The daemon of the configured address, spoken to over HTTP.

use std::time::Duration;

use super::context::Context;
use super::who;

/// An HTTP client that says who asks, and the daemon's `host:port`.
pub(super) fn neighbour(
    context: &Context,
    patience: Duration,
) -> reqwest::Result<(reqwest::Client, String)> {
    let operator = who::operator();
    let version = env!("CARGO_PKG_VERSION");
    let agent = format!(
        "aegisctl/{version} ({} on {})",
        operator.name, operator.host
    );
    let http = reqwest::Client::builder()
        .user_agent(agent.replace(|c: char| !c.is_ascii_graphic() && c != ' ', "?"))
        // The daemon is a neighbour.
        .no_proxy()
        .timeout(patience)
        .build()?;
    let mut server = context.config().server.clone();
    // Where it listens on all addresses, this is one of them.
    match server.host.as_str() {
        "0.0.0.0" => server.host = "127.0.0.1".to_owned(),
        "::" => server.host = "::1".to_owned(),
        _ => {}
    }
    Ok((http, server.address()))
}
