//! Sends one request over and over, over a few connections, and takes note of how long each answer took.

use std::net::SocketAddr;
use std::time::Duration;

use bursar::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

/// What a round came to.
pub(super) struct Round {
    /// How long each answer took.
    pub(super) latencies: Vec<Duration>,
}

/// Sends `requests` requests over `connections` connections.
pub(super) fn round(address: SocketAddr, request: &[u8], connections: usize, requests: usize) -> Round {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let each = requests / connections;
        let one = || client(address, request, each);
        let latencies = futures_util::future::join_all((0..connections).map(|_| one())).await;
        Round { latencies: latencies.into_iter().flatten().collect() }
    })
}

async fn client(address: SocketAddr, request: &[u8], requests: usize) -> Vec<Duration> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut latencies, mut buffer) = (Vec::with_capacity(requests), vec![0; 64 << 10]);
    for _ in 0..requests {
        let watch = Stopwatch::start();
        socket.write_all(request).await.unwrap();
        answer(&mut socket, &mut buffer).await;
        latencies.push(watch.elapsed());
    }
    latencies
}

/// Reads one answer whole, and fails unless it is a good one.
async fn answer(socket: &mut TcpStream, buffer: &mut [u8]) {
    let (mut filled, mut whole) = (0, None);
    while whole.is_none_or(|whole| filled < whole) {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the connection was closed");
        filled += read;
        whole = whole.or_else(|| length(&buffer[..filled]));
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..filled]));
}

/// How long an answer is, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?.0;
    let lengths = head.lines().filter_map(|line| line.split_once(": "));
    let body = lengths.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?.1;
    Some(head.len() + 4 + body.parse::<usize>().ok()?)
}
