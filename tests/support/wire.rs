//! A proxy before PostgreSQL that cuts a client off around the moment in which its work becomes
//! durable: it knows enough of the protocol to see that moment come.
//!
//! Layout: <https://www.postgresql.org/docs/current/protocol-message-formats.html>: a byte of type,
//! a length that counts itself, big-endian.
#![allow(clippy::unwrap_used, reason = "tests state what must hold")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What happens to a client as it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    /// The server never hears of it.
    Before,
    /// The server is at it when the client is cut off.
    During,
    /// The server hears of it only so much later.
    Late(Duration),
    /// The server has done it and its answer is lost.
    After,
}

/// Decides on each commit.
pub(crate) type Chance = Box<dyn FnMut() -> Option<Cut> + Send>;

/// The proxy.
pub(crate) struct Wire {
    /// `host:port` for clients, who have to come without TLS.
    pub(crate) address: String,
    chance: Arc<Mutex<Chance>>,
    cuts: Arc<Mutex<Vec<Cut>>>,
}

impl Wire {
    /// A proxy before the server at `server`.
    pub(crate) async fn before(server: &str, chance: Chance) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap().to_string(),
            chance: Arc::new(Mutex::new(chance)),
            cuts: Arc::default(),
        };
        let server = server.to_owned();
        let (chance, cuts) = (Arc::clone(&wire.chance), Arc::clone(&wire.cuts));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else {
                    continue;
                };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let line = Line {
                    from_client: Frames::of_client(from_client),
                    to_client,
                    from_server: Frames::of_server(from_server),
                    to_server,
                    statements: HashMap::new(),
                    chance: Arc::clone(&chance),
                    cuts: Arc::clone(&cuts),
                };
                tokio::spawn(line.run());
            }
        });
        wire
    }

    /// From now on this decides.
    pub(crate) fn decide_by(&self, chance: Chance) {
        *self.chance.lock().unwrap() = chance;
    }

    /// The cuts up to now, in order.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        self.cuts.lock().unwrap().clone()
    }
}

/// One client's connection.
struct Line {
    from_client: Frames,
    to_client: OwnedWriteHalf,
    from_server: Frames,
    to_server: OwnedWriteHalf,
    /// What prepared statements say, by name.
    statements: HashMap<Vec<u8>, Vec<u8>>,
    chance: Arc<Mutex<Chance>>,
    cuts: Arc<Mutex<Vec<Cut>>>,
}

impl Line {
    /// Ends when either side does, or by a cut.
    async fn run(mut self) -> Option<()> {
        // What the client has said since it last asked for an answer.
        let mut spoken: Vec<Frame> = Vec::new();
        loop {
            tokio::select! {
                frame = self.from_client.next() => {
                    spoken.push(frame?);
                    let asks = spoken.last().is_some_and(|frame| frame.asks());
                    if !asks {
                        continue;
                    }
                    let spoken = std::mem::take(&mut spoken);
                    let cut = if self.commits(&spoken) { self.draw() } else { None };
                    match cut {
                        None => send(&mut self.to_server, &spoken).await?,
                        Some(cut) => return self.cut(cut, &spoken).await,
                    }
                }
                frame = self.from_server.next() => {
                    send(&mut self.to_client, &[frame?]).await?;
                }
            }
        }
    }

    fn draw(&self) -> Option<Cut> {
        let cut = (self.chance.lock().unwrap())();
        if let Some(cut) = cut {
            self.cuts.lock().unwrap().push(cut);
        }
        cut
    }

    async fn cut(self, cut: Cut, spoken: &[Frame]) -> Option<()> {
        let Self {
            from_client,
            to_client,
            mut from_server,
            mut to_server,
            ..
        } = self;
        let client = (from_client, to_client);
        match cut {
            Cut::Before => return None,
            Cut::During => {
                send(&mut to_server, spoken).await?;
                drop(client);
            }
            Cut::Late(after) => {
                drop(client);
                sleep(after).await;
                send(&mut to_server, spoken).await?;
            }
            Cut::After => {
                send(&mut to_server, spoken).await?;
                while from_server.next().await?.kind != READY {}
                return None;
            }
        }
        // The server gets to finish before its side goes, too.
        while from_server.next().await?.kind != READY {}
        None
    }

    /// Whether these make something durable: a COMMIT, or the call that commits by itself. Inside
    /// a transaction the call doesn't, and is as good a place to be cut off at.
    fn commits(&mut self, spoken: &[Frame]) -> bool {
        let mut commits = false;
        for Frame { kind, body } in spoken {
            match *kind {
                QUERY => commits |= body.starts_with(b"COMMIT"),
                PARSE => {
                    let (name, rest) = c_string(body);
                    let (text, _) = c_string(rest);
                    self.statements.insert(name.to_vec(), text.to_vec());
                }
                BIND => {
                    let (_portal, rest) = c_string(body);
                    let (name, _) = c_string(rest);
                    let text = self.statements.get(name).map_or(&b""[..], Vec::as_slice);
                    commits |= text.windows(11).any(|part| part == b"post_batch(");
                }
                _ => {}
            }
        }
        commits
    }
}

const QUERY: u8 = b'Q';
const PARSE: u8 = b'P';
const BIND: u8 = b'B';
const DESCRIBE: u8 = b'D';
const EXECUTE: u8 = b'E';
const CLOSE: u8 = b'C';
const COPY_DATA: u8 = b'd';
/// From the server: the end of its answer.
const READY: u8 = b'Z';
/// Stands for the message that opens a connection, which has no byte of type.
const STARTUP: u8 = 0;

fn c_string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    (&bytes[..end], &bytes[end + 1..])
}

async fn send(to: &mut OwnedWriteHalf, frames: &[Frame]) -> Option<()> {
    let mut bytes = Vec::new();
    for Frame { kind, body } in frames {
        if *kind != STARTUP {
            bytes.push(*kind);
        }
        let length = u32::try_from(body.len() + 4).unwrap();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
    }
    to.write_all(&bytes).await.ok()
}

/// A message.
struct Frame {
    kind: u8,
    body: Vec<u8>,
}

impl Frame {
    /// Whether the server answers now. Passwords and the end of a COPY do not come in series.
    fn asks(&self) -> bool {
        !matches!(
            self.kind,
            PARSE | BIND | DESCRIBE | EXECUTE | CLOSE | COPY_DATA
        )
    }
}

/// The messages of one direction. Nothing is lost where waiting for one is given up.
struct Frames {
    from: OwnedReadHalf,
    bytes: Vec<u8>,
    opened: bool,
}

impl Frames {
    fn of_client(from: OwnedReadHalf) -> Self {
        Self {
            from,
            bytes: Vec::new(),
            opened: false,
        }
    }

    fn of_server(from: OwnedReadHalf) -> Self {
        Self {
            from,
            bytes: Vec::new(),
            opened: true,
        }
    }

    /// The next one; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            if self.from.read_buf(&mut self.bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head = usize::from(self.opened);
        let length = self.bytes.get(head..head + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let end = head + usize::try_from(length).ok()?;
        if self.bytes.len() < end {
            return None;
        }
        let rest = self.bytes.split_off(end);
        let whole = std::mem::replace(&mut self.bytes, rest);
        let kind = if self.opened { whole[0] } else { STARTUP };
        self.opened = true;
        Some(Frame {
            kind,
            body: whole[head + 4..].to_vec(),
        })
    }
}
