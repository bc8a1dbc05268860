//! Sends requests over a few connections, and takes note of how long each answer took.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bursar::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use super::request::Request;

/// Sends `requests` requests over `connections` connections, and says how long each answer took.
pub(super) fn round(address: SocketAddr, request: &Request, connections: usize, requests: usize) -> Vec<Duration> {
    let each = requests / connections;
    let client = |_| async move {
        let (mut client, mut request) = (Client::open(address).await, request.clone());
        let mut latencies = Vec::with_capacity(each);
        for _ in 0..each {
            request.draw();
            let watch = Stopwatch::start();
            client.ask(request.bytes()).await;
            latencies.push(watch.elapsed());
        }
        latencies
    };
    all(connections, client).into_iter().flatten().collect()
}

/// Asks once for each of the keys.
pub(super) fn fill(address: SocketAddr, request: &Request, keys: Range<u32>, connections: usize) {
    let client = |number: usize| {
        let own = keys.clone().skip(number).step_by(connections);
        async move {
            let (mut client, mut request) = (Client::open(address).await, request.clone());
            for key in own {
                request.set(key);
                client.ask(request.bytes()).await;
            }
        }
    };
    all(connections, client);
}

/// Sends one request, and gives the whole answer.
pub(super) fn once(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let ask = |_| async move {
        let mut client = Client::open(address).await;
        let length = client.ask(request).await;
        client.buffer[..length].to_vec()
    };
    all(1, ask).remove(0)
}

/// Sends one request as of an HTTP client, and gives the whole answer as text.
pub(super) fn told(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len());
    String::from_utf8(once(address, format!("{head}{body}").as_bytes())).unwrap()
}

/// One client for each connection, all at once.
pub(super) fn all<T, F: Future<Output = T>>(connections: usize, client: impl Fn(usize) -> F) -> Vec<T> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(futures_util::future::join_all((0..connections).map(client)))
}

/// A connection.
pub(super) struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(super) async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, buffer: vec![0; 16 << 10] }
    }

    /// Sends a request and reads its answer whole, whose length it gives; fails unless it is a good one.
    async fn ask(&mut self, request: &[u8]) -> usize {
        let answer = self.exchange(request).await;
        assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(answer));
        answer.len()
    }

    /// Sends a request and reads its answer whole.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> &[u8] {
        self.socket.write_all(request).await.unwrap();
        let (mut filled, mut whole) = (0, None);
        while whole.is_none_or(|whole| filled < whole) {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.socket.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            whole = whole.or_else(|| length(&self.buffer[..filled]));
        }
        &self.buffer[..filled]
    }
}

/// How long an answer is, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let lengths = text.lines().filter_map(|line| line.split_once(": "));
    let body = lengths.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let body = body.map_or(0, |(_, length)| length.parse().unwrap());
    Some(head + 4 + body)
}
