//! A receiver of OTLP over HTTP, which keeps what it is sent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it answers.
#[derive(Clone, Copy)]
pub enum Manner {
    Takes,
    Refuses(u16),
    /// Takes the request and never answers.
    Hangs,
}

/// One that listens until it is dropped with the runtime.
pub struct Receiver {
    pub address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
}

/// One request.
#[derive(Clone)]
pub struct Came {
    pub head: String,
    pub body: Vec<u8>,
}

/// One span, in words that tests can look at.
#[derive(Clone, Debug)]
pub struct Told {
    pub name: String,
    pub kind: i32,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub state: String,
    pub links: Vec<String>,
    pub is_error: bool,
    pub attributes: HashMap<String, Value>,
    pub took: Duration,
}

impl Receiver {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, came) = (listener.local_addr().unwrap(), Arc::default());
        let kept = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, manner, Arc::clone(&kept)));
            }
        });
        Self { address, came }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// All spans so far, in the order in which they came.
    pub fn spans(&self) -> Vec<Told> {
        let requests = self.came().into_iter().map(|came| ExportTraceServiceRequest::decode(&*came.body).unwrap());
        let scopes = requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(told).collect()
    }

    /// What the first request says of who sends.
    pub fn resource(&self) -> HashMap<String, Value> {
        let request = ExportTraceServiceRequest::decode(&*self.came()[0].body).unwrap();
        named(request.resource_spans[0].resource.clone().unwrap().attributes)
    }

    /// The spans of this name, once there are so many.
    pub async fn named(&self, name: &str, count: usize) -> Vec<Told> {
        let find = || self.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        super::until(&format!("{count} spans {name:?}"), async || find().len() >= count).await;
        find()
    }
}

async fn converse(mut socket: TcpStream, manner: Manner, kept: Arc<Mutex<Vec<Came>>>) {
    while let Some(came) = read(&mut socket).await {
        kept.lock().unwrap().push(came);
        let status = match manner {
            Manner::Takes => 200,
            Manner::Refuses(status) => status,
            Manner::Hangs => return std::future::pending().await,
        };
        let answer =
            format!("HTTP/1.1 {status} word\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(socket: &mut TcpStream) -> Option<Came> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(Came { head, body })
}

fn told(span: Span) -> Told {
    Told {
        name: span.name,
        kind: span.kind,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        links: span.links.iter().map(|link| format!("{}-{}", hex(&link.trace_id), hex(&link.span_id))).collect(),
        is_error: span.status.is_some_and(|status| status.code == 2),
        attributes: named(span.attributes),
        took: Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano),
    }
}

/// That no name comes twice is looked at as well.
fn named(attributes: Vec<KeyValue>) -> HashMap<String, Value> {
    let count = attributes.len();
    let named: HashMap<String, Value> = attributes.into_iter().map(|pair| (pair.key, plain(pair.value))).collect();
    assert_eq!(named.len(), count, "{named:?}");
    named
}

fn plain(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::IntValue(number)) => json!(number),
        other => json!(format!("{other:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
