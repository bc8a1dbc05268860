//! Raw connections to each listener of a world: what no HTTP client would send, and how long it is borne.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{TWO_IDENTITIES, World, directory};
use bursar::clock::Stopwatch;

/// A listener of a world, with what it takes to speak there.
#[derive(Clone)]
pub struct Door {
    pub name: &'static str,
    pub address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// What can be spoken over.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// A world with a plain and an https listener, and its doors: those two, then the admin listener.
pub async fn world_with_doors(more: &str) -> (World, [Door; 3]) {
    let directory = directory();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
    let listen = "listen = [\"127.0.0.1:0\"]\n";
    assert!(TWO_IDENTITIES.contains(listen));
    let both = format!(
        "listen = [\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n{more}\n"
    );
    let config = TWO_IDENTITIES.replacen(listen, &both, 1).replacen("timeout = \"2s\"", "timeout = \"25s\"", 1);
    let world = World::within(directory, &config).await;
    let tls = Some(trusting(certificate.der().clone()));
    let [plain, secure] = [0, 1].map(|n| world.server.token_addresses()[n]);
    let doors = [
        Door { name: "plain", address: plain, tls: None },
        Door { name: "https", address: secure, tls },
        Door { name: "admin", address: world.server.admin_addresses()[0], tls: None },
    ];
    (world, doors)
}

fn trusting(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

impl Door {
    pub async fn open(&self) -> Box<dyn Line> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, socket).await.unwrap())
            }
        }
    }

    /// Sends bytes as they are, and reads until the connection is closed or quiet.
    pub async fn raw(&self, request: &[u8]) -> String {
        self.pieces(&[request]).await.0
    }

    /// The same in several pieces with a pause between them; and whether the connection was closed.
    pub async fn pieces(&self, pieces: &[impl AsRef<[u8]>]) -> (String, bool) {
        let mut line = self.open().await;
        for (n, piece) in pieces.iter().enumerate() {
            if n > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // The other side may close before it has read everything.
            line.write_all(piece.as_ref()).await.ok();
            line.flush().await.ok();
        }
        let (mut answer, mut chunk, mut is_closed) = (Vec::new(), [0; 4096], false);
        while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_millis(700), line.read(&mut chunk)).await {
            if read == 0 {
                is_closed = true;
                break;
            }
            answer.extend_from_slice(&chunk[..read]);
        }
        (String::from_utf8_lossy(&answer).into_owned(), is_closed)
    }

    /// Sends `first`, then a byte of `drip` each half second, over and over; how long that was borne, if it ended.
    pub async fn drip(&self, first: &str, drip: &[u8]) -> Option<Duration> {
        let mut line = self.open().await;
        line.write_all(first.as_bytes()).await.unwrap();
        let watch = Stopwatch::start();
        let mut bytes = drip.iter().cycle();
        while watch.elapsed() < PATIENCE {
            if let Some(byte) = bytes.next()
                && (line.write_all(&[*byte]).await.is_err() || line.flush().await.is_err())
            {
                return Some(watch.elapsed());
            }
            if ended_within(&mut *line, Duration::from_millis(500)).await {
                return Some(watch.elapsed());
            }
        }
        None
    }
}

/// Whether the connection ends within a time; what comes until then is read.
pub async fn ended_within(line: &mut dyn Line, time: Duration) -> bool {
    let mut chunk = [0; 4096];
    let ended = async { while line.read(&mut chunk).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(time, ended).await.is_ok()
}

/// The statuses of all answers in a text.
pub fn statuses(answer: &str) -> Vec<u16> {
    let lines =
        answer.split("\r\n").filter_map(|line| line.rsplit("HTTP/1.1 ").next().filter(|_| line.contains("HTTP/1.1 ")));
    lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

/// What answers say: how many bytes each has, by its own word, and has in truth.
pub fn lengths(answer: &str) -> Vec<(u16, usize, usize)> {
    let parts = answer.split("HTTP/1.1 ").skip(1).map(|part| {
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        let told = head
            .to_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse().unwrap());
        (head[..3].parse().unwrap(), told, body.len())
    });
    parts.collect()
}

/// Longer than any connection may be held up.
const PATIENCE: Duration = Duration::from_secs(13);
