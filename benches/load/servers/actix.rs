//! What actix-web itself costs: a handler that always gives the same bytes and headers.

use std::net::SocketAddr;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;

/// An answer that was given by another server.
#[derive(Clone)]
pub(super) struct Answer {
    /// Without those that actix writes itself.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn parse(answer: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(answer).unwrap() else { panic!("half an answer") };
        let is_own = |name: &str| ["content-length", "date"].iter().any(|own| own.eq_ignore_ascii_case(name));
        let other = response.headers.iter().filter(|header| !is_own(header.name));
        let parsed = |header: &httparse::Header<'_>| {
            (header.name.parse().unwrap(), HeaderValue::from_bytes(header.value).unwrap())
        };
        Self { headers: other.map(parsed).collect(), body: Bytes::copy_from_slice(&answer[head..]) }
    }

    pub(super) fn write(&self, body: Bytes) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        for (name, value) in &self.headers {
            response.insert_header((name, value));
        }
        response.body(body)
    }
}

pub(super) fn serve(address: SocketAddr, answer: &[u8]) {
    let answer = web::Data::new(Answer::parse(answer));
    run(address, move |app| {
        app.app_data(answer.clone()).route("/token", web::get().to(handler));
    });
}

async fn handler(answer: web::Data<Answer>) -> HttpResponse {
    answer.write(answer.body.clone())
}

/// Serves with one worker until the process is killed.
pub(super) fn run(address: SocketAddr, routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) {
    let app = move || App::new().configure(routes.clone());
    let server = HttpServer::new(app).workers(1).tcp_nodelay(true).bind(address).unwrap().run();
    actix_web::rt::System::new().block_on(server).unwrap();
}
