//! Ports for servers that a test stops and starts again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests state what must hold"
)]

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex};

static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// Below the range from which the kernel takes the near end of outgoing connections: a client
/// that calls a stopped server again and again could otherwise be given the server's own port.
/// None is given out twice, so that what is stopped finds its own again.
pub(crate) fn free_port() -> u16 {
    let mut given = GIVEN.lock().unwrap();
    std::iter::repeat_with(|| fastrand::u16(20_000..32_000))
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .find(|port| given.insert(*port))
        .expect("a port is free")
}
