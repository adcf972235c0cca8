//! Takes connections until told to stop, then sees those that it took through.
//!
//! A request is taken once its head is there. After the stop every one that was taken is answered;
//! connections that have none under way are closed, those that are in the middle of something (the
//! head of a request, the reading of an answer) after a while. Waiting for them without end, as
//! `axum::serve` does, lets one client that sent half a line hold up every end until its deadline.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::api::Peer;

/// How long a connection may go on after the stop without a request under way.
const MIDDLE_MAX: Duration = Duration::from_secs(5);
/// How long a connection that has asked for nothing yet may take to do so after the stop: its client
/// was let in, and a restart refuses nobody.
const FIRST_MAX: Duration = Duration::from_secs(1);
/// How long the head of the next request may take to arrive, from the answer before it on: clients
/// that send nothing must not use up all connections.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// How long to wait before the next connection, where the system had no room for one.
const NO_ROOM_WAIT: Duration = Duration::from_secs(1);

/// Serves until `stop` is cancelled and every request that was taken is answered.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let router = router.clone();
                connections.spawn(connection(stream, Peer(peer), router, stop.clone()));
            }
            Err(error) if of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken");
                tokio::time::sleep(NO_ROOM_WAIT).await;
            }
        }
    }
    // From here on new connections are refused.
    drop((listener, router));
    connections.close();
    connections.wait().await;
}

fn of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Answers are small and wanted now.
    drop(stream.set_nodelay(true));
    let under_way = watch::Sender::new(false);
    let mut taken = under_way.subscribe();
    let asked = watch::Sender::new(false);
    let mut first = asked.subscribe();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        asked.send_replace(true);
        under_way.send_replace(true);
        request.extensions_mut().insert(peer);
        let (router, under_way) = (router.clone(), &under_way);
        async move {
            let response: Result<Response, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            under_way.send_replace(false);
            response
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    // A connection that fails is its client's to make again.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = stop.cancelled() => {}
    }
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = tokio::time::timeout(FIRST_MAX, first.wait_for(|asked| *asked)) => {}
    }
    serving.as_mut().graceful_shutdown();
    let nothing_comes = async {
        let comes = taken.wait_for(|taken| *taken);
        if tokio::time::timeout(MIDDLE_MAX, comes).await.is_ok() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        _ = serving.as_mut() => {}
        () = nothing_comes => tracing::debug!("a connection was cut off in the middle"),
    }
}
