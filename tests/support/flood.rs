//! A caller that asks for a thousand resources a second, over connections that it keeps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// It goes on until it is dropped.
pub struct Flood {
    course: Arc<Course>,
    _connections: JoinSet<()>,
}

/// What its connections have in common.
struct Course {
    address: SocketAddr,
    secret: &'static str,
    watch: Stopwatch,
    next: AtomicU32,
    asked: AtomicU32,
    refused: AtomicU32,
}

impl Flood {
    /// One request each millisecond, each for another resource, with this secret.
    pub fn of(address: SocketAddr, secret: &'static str) -> Self {
        let [next, asked, refused] = [const { AtomicU32::new(0) }; 3];
        let course = Arc::new(Course { address, secret, watch: Stopwatch::start(), next, asked, refused });
        let connections = (0..CONNECTIONS).map(|_| flow(Arc::clone(&course))).collect();
        Self { course, _connections: connections }
    }

    /// How many requests were sent by now.
    pub fn asked(&self) -> u32 {
        self.course.asked.load(Ordering::Relaxed)
    }

    /// How many of them were refused by now.
    pub fn refused(&self) -> u32 {
        self.course.refused.load(Ordering::Relaxed)
    }
}

/// Sends whatever is due next, as soon as the answer to what was sent before is there.
async fn flow(course: Arc<Course>) {
    let mut stream = TcpStream::connect(course.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    loop {
        let number = course.next.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_millis(1) * number;
        tokio::time::sleep(due.saturating_sub(course.watch.elapsed())).await;
        let request = format!(
            "GET /token?resource=https://flood{number} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nX-IDENTITY-HEADER: {}\r\n\r\n",
            course.secret
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        course.asked.fetch_add(1, Ordering::Relaxed);
        let answer = answer(&mut stream).await;
        if !answer.starts_with("http/1.1 200 ") {
            let is_right = answer.starts_with("http/1.1 429 ") && answer.contains("\r\nretry-after: 1\r\n");
            assert!(is_right && answer.contains("too_many_requests"), "{answer}");
            course.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One whole answer, in lower case.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed: {}", String::from_utf8_lossy(&bytes));
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            return text;
        }
    }
}

/// More than may wait for their turn, so that some are always free to ask.
const CONNECTIONS: usize = 300;
