//! Words to the supervisor, as sd_notify(3) sends them, except that nobody waits: where the
//! supervisor doesn't read, there is no room for more, and the caller says it again later.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the supervisor hears; none where there is none.
#[derive(Debug)]
pub(super) struct Supervisor(Option<SocketAddr>);

impl Supervisor {
    /// As `NOTIFY_SOCKET` says.
    pub(super) fn of_environment() -> Self {
        let place = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty());
        let address = place.and_then(|place| {
            let address = address_of(&place);
            let told = |error| tracing::warn!(%error, ?place, "the supervisor can't be told");
            address.map_err(told).ok()
        });
        Self(address)
    }

    /// Says something, a word a line. False where there is no room for it now.
    pub(super) fn tell(&self, words: &str) -> bool {
        let Some(address) = &self.0 else { return true };
        match send(address, words) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                tracing::debug!(%error, "the supervisor can't be told");
                true
            }
            Ok(()) => true,
        }
    }
}

fn send(address: &SocketAddr, words: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    // A datagram goes whole or not at all.
    socket.send_to_addr(words.as_bytes(), address).map(|_| ())
}

/// A path; or, behind `@`, a name in Linux's abstract namespace.
fn address_of(place: &OsStr) -> io::Result<SocketAddr> {
    match place.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(place),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "NOTIFY_SOCKET is neither a path nor an abstract name",
        )),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_that_does_not_read_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("notify");
        let socket = UnixDatagram::bind(&place).unwrap();
        let supervisor = Supervisor(Some(address_of(place.as_os_str()).unwrap()));
        // Some fit, and then no more.
        let fit = (0..1_000_000)
            .take_while(|_| supervisor.tell("WATCHDOG=1"))
            .count();
        assert!((1..1_000_000).contains(&fit), "{fit}");
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"WATCHDOG=1");
        assert!(supervisor.tell("WATCHDOG=1"), "there is room again");
    }

    #[test]
    fn one_that_is_gone_or_never_was_has_heard_all_that_it_will() {
        assert!(Supervisor(None).tell("READY=1"));
        let gone = address_of(OsStr::new("/nowhere/notify")).unwrap();
        assert!(Supervisor(Some(gone)).tell("READY=1"));
    }

    #[test]
    fn other_kinds_of_address_are_refused() {
        for place in ["notify", "vsock:2:1234"] {
            assert!(address_of(OsStr::new(place)).is_err(), "{place}");
        }
    }
}
