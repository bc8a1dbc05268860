//! The sockets: from actix to a [`Request`], and from a [`Delivery`] to actix.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rustls::ServerConfig;
use uuid::Uuid;

use super::params::Params;
use super::request::{self, Request};
use super::service::{Delivery, Ending, Service};

/// A server of these listeners, which runs when it is polled.
pub(super) fn server(
    listeners: Vec<TcpListener>,
    tls: Option<&ServerConfig>,
    service: web::Data<Service>,
) -> io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(service.clone())
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .default_service(web::to(respond))
    };
    let mut server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(DRAIN_SECONDS)
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true);
    for listener in listeners {
        server = match tls {
            None => server.listen(listener)?,
            Some(config) => server.listen_rustls_0_23(listener, config.clone())?,
        };
    }
    Ok(server.run())
}

async fn respond(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    service: web::Data<Service>,
) -> HttpResponse {
    let delivery = service.respond(&read(&request, body.ok()));
    if !delivery.delay.is_zero() {
        tokio::time::sleep(delivery.delay).await;
    }
    send(delivery)
}

fn read(http: &HttpRequest, body: Option<Bytes>) -> Request {
    let headers = headers(http);
    let scheme = if http.app_config().secure() { "https" } else { "http" };
    let is_form = headers
        .get("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let form = body.as_deref().filter(|_| is_form).map(Params::parse);
    Request {
        method: http.method().as_str().to_owned(),
        path: http.path().to_owned(),
        query: Params::parse(http.query_string().as_bytes()),
        base: headers.get("host").and_then(|host| request::base(scheme, host)),
        correlation: request::correlation(&headers, Uuid::new_v4()),
        trace: Uuid::new_v4(),
        form: form.unwrap_or_default(),
        headers,
        body,
    }
}

fn headers(http: &HttpRequest) -> Params {
    let pairs = http.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    pairs.collect()
}

fn send(delivery: Delivery) -> HttpResponse {
    let answer = delivery.answer;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    let whole = answer.body.len() as u64;
    match delivery.ending {
        // actix polls the body before it flushes the head, and drops the connection when the body fails:
        // not a byte leaves.
        Ending::Reset => response.body(SizedStream::new(whole.max(1), stream::iter([Err(cut())]))),
        Ending::Truncated(at) if at < answer.body.len() => {
            let part = stream::iter([Ok(answer.body.slice(..at))]);
            // The pause lets what was sent leave before the connection does.
            let end = stream::once(async {
                tokio::time::sleep(FLUSH).await;
                Err(cut())
            });
            response.body(SizedStream::new(whole, Box::pin(part.chain(end))))
        }
        Ending::Truncated(_) | Ending::Whole => response.body(answer.body),
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut off on demand")
}

const MAX_BODY: usize = 64 << 10;
const KEEP_ALIVE: Duration = Duration::from_mins(1);
const DRAIN_SECONDS: u64 = 1;
const FLUSH: Duration = Duration::from_millis(50);
