//! A supervisor that doesn't read what it is told.

use std::os::unix::net::UnixDatagram;

use crate::Supervisor;
use crate::common::TestDatabase;
use crate::support::daemon::Settings;

/// Until there is no room for another word. Each is of a socket of its own, as the daemon's are: one
/// socket may not fill the queue alone.
fn fill(supervisor: &Supervisor) {
    let says = || {
        let socket = UnixDatagram::unbound().unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.send_to(b"STATUS=of the test", supervisor.place())
    };
    while says().is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_does_not_read_holds_nothing_up_and_is_told_later() {
    let database = TestDatabase::create().await;
    let supervisor = Supervisor::listening();
    fill(&supervisor);
    let settings = supervisor
        .settings(&database)
        .with("WATCHDOG_USEC", "20000")
        // One thread for all of it: nobody else would stand in for one that waits.
        .with("TOKIO_WORKER_THREADS", "1");
    let daemon = settings.start().await;
    let live = || reqwest::get(format!("http://{}/livez", daemon.address));
    for _ in 0..20 {
        assert_eq!(live().await.unwrap().status(), 200);
    }
    // It reads again, and hears what counts.
    supervisor.hears("READY=1").await;
    supervisor.hears("WATCHDOG=1").await;
    fill(&supervisor);
    assert_eq!(live().await.unwrap().status(), 200);
    assert_eq!(daemon.stop().await, Some(0));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_is_told_at_an_abstract_address_too() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    let database = TestDatabase::create().await;
    let name = format!("aegis-notify-{}", uuid::Uuid::now_v7().simple());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let settings = Settings::new(database.url()).with("NOTIFY_SOCKET", &format!("@{name}"));
    let daemon = settings.start().await;
    socket
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut bytes = [0; 4_096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    });
    assert!(heard.await.unwrap().contains("READY=1"));
    assert_eq!(daemon.stop().await, Some(0));
}
