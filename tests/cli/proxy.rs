//! A wire to the database that can be cut.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Carries bytes until it is cut.
pub struct Proxy {
    streams: Arc<Mutex<Vec<TcpStream>>>,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy, and the URL by which it leads to the database.
    pub fn before(url: &str) -> (Self, String) {
        let (start, rest) = url.rsplit_once('@').unwrap();
        let (address, name) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let through = format!("{start}@{}/{name}", listener.local_addr().unwrap());
        let proxy = Self {
            streams: Arc::default(),
            cut: Arc::default(),
        };
        let (streams, cut) = (Arc::clone(&proxy.streams), Arc::clone(&proxy.cut));
        let address = address.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if cut.load(Ordering::SeqCst) {
                    return;
                }
                let client = client.unwrap();
                let server = TcpStream::connect(&address).unwrap();
                carry(&client, &server);
                carry(&server, &client);
                streams.lock().unwrap().extend([client, server]);
            }
        });
        (proxy, through)
    }

    /// Cuts what is open, and opens nothing any more.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().iter() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
}
