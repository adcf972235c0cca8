//! Connections. A handler can have its connection cut instead of answered, which `axum::serve`
//! doesn't know.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Marks an answer that is not sent: the connection is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct CutInstead;

/// Serves until `stop` is cancelled; connections in the middle of something are given a moment.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = stop.cancelled() => break,
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    drop(stream.set_nodelay(true));
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let answered: Result<Response, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            let Ok(response) = answered;
            match response.extensions().get::<CutInstead>() {
                Some(CutInstead) => Err(io::Error::other("cut on request")),
                None => Ok(response),
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60));
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = serving.as_mut() => return,
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    drop(tokio::time::timeout(Duration::from_millis(500), serving).await);
}
