//! As much of HTTP/1.1 as a server needs that answers everything in the same way.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// A whole request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// How many bytes it has, its body included.
    length: usize,
}

impl<'a> Asked<'a> {
    /// Reads one, if it is there whole.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(bytes).unwrap() else { return None };
        let of_body = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let body: usize = of_body.map_or(0, |header| std::str::from_utf8(header.value).unwrap().parse().unwrap());
        let (method, path) = (request.method.unwrap(), request.path.unwrap());
        (bytes.len() >= head + body).then_some(Self { method, path, length: head + body })
    }
}

/// Serves on one thread until the process is killed. `answer` writes a whole answer behind what is there.
pub(super) fn serve(address: SocketAddr, answer: impl Fn(&Asked<'_>, &mut Vec<u8>) + Clone + 'static) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            tokio::task::spawn_local(connection(socket, answer.clone()));
        }
    });
}

async fn connection(mut socket: TcpStream, answer: impl Fn(&Asked<'_>, &mut Vec<u8>)) {
    let (mut buffer, mut filled, mut written) = (vec![0; 16 << 10], 0, Vec::new());
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        match socket.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        while let Some(asked) = Asked::read(&buffer[..filled]) {
            answer(&asked, &mut written);
            let length = asked.length;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
        if socket.write_all(&written).await.is_err() {
            return;
        }
        written.clear();
    }
}
