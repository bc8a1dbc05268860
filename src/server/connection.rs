//! A caller's connection, between the socket and the web framework. What was begun and does not come whole in
//! time ends it, and so does an answer that nobody takes; whoever waits for an answer, or asks nothing for a
//! while, is let be.
//!
//! The framework bounds the first head of a connection and no other.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service};
use actix_web::body::MessageBody;
use actix_web::http::ConnectionType;
use actix_web::rt::net::{TcpStream, UnixStream};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::phase::{Phase, Unasked};
use super::tls::Shown;
use super::tls::client::Client;
use super::{HttpRequest, HttpResponse};
use crate::caller::peer::User;
use crate::clock::Deadline;

mod last;
mod ledger;
mod lines;
mod link;

use last::Last;
pub(super) use ledger::Ledger;
pub(super) use link::Link;

/// What was agreed on the connection that brought a request.
#[expect(clippy::expect_used, reason = "`http` gives each connection its ledger before the first request is read")]
pub(super) fn ledger(request: &HttpRequest) -> &Rc<Ledger> {
    request.conn_data::<Rc<Ledger>>().expect("every connection has a ledger")
}

/// Writes down that a request is answered. An answer that ends the connection says so, and is the last: whoever is
/// asked to end, for what came or by itself, has nothing more answered that it sent ahead.
pub(super) fn end(request: &HttpRequest, mut response: HttpResponse, is_last: bool) -> HttpResponse {
    let ledger = ledger(request);
    // The framework ends a connection too that should become another protocol.
    if !ledger.end() && !is_last && request.head().connection_type() == ConnectionType::KeepAlive {
        return response;
    }
    response.head_mut().set_connection_type(ConnectionType::Close);
    response.map_body(|_, body| Last::new(body, Rc::clone(ledger)).boxed())
}

/// What serves the connections of an address. `ending` is done when idle ones have to be closed.
pub(super) fn tcp<E: Future<Output = ()> + 'static, A: Future<Output = HttpResponse> + 'static>(
    tls: Option<Shown>,
    phase: Arc<Phase>,
    ending: impl Fn() -> E + 'static,
    answer: impl Fn(HttpRequest) -> A + Clone + 'static,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    let open = move |socket: TcpStream| {
        let (tls, unasked) = (tls.as_ref().map(Shown::acceptor), phase.opened());
        async move {
            let peer = socket.peer_addr().ok();
            Ok((open(socket, tls, unasked).await?, Protocol::Http1, peer))
        }
    };
    fn_service(open).and_then(http(ending, answer))
}

/// The same of a unix socket.
pub(super) fn unix<E: Future<Output = ()> + 'static, A: Future<Output = HttpResponse> + 'static>(
    phase: Arc<Phase>,
    ending: impl Fn() -> E + 'static,
    answer: impl Fn(HttpRequest) -> A + Clone + 'static,
) -> impl ServiceFactory<UnixStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    let open = move |socket: UnixStream| {
        let unasked = phase.opened();
        async move {
            let shown = socket.peer_cred()?;
            let link = Link::Unix(User { uid: shown.uid(), gid: shown.gid() });
            Ok((Connection::new(Either::Right(Either::Right(socket)), link, unasked), Protocol::Http1, None))
        }
    };
    fn_service(open).and_then(http(ending, answer))
}

fn http<E: Future<Output = ()> + 'static, A: Future<Output = HttpResponse> + 'static>(
    ending: impl Fn() -> E + 'static,
    answer: impl Fn(HttpRequest) -> A + Clone + 'static,
) -> impl ServiceFactory<Opened, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    let answer = move |request| {
        // Boxed, since a connection would hold the room for it also while nothing is asked: half as much again as all else.
        let answer = Box::pin(answer(request));
        async move { Ok::<_, Infallible>(answer.await) }
    };
    HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(FAREWELL)
        .graceful_shutdown_signal(ending)
        .on_connect_ext(|connection: &Connection, data| {
            data.insert(Rc::clone(&connection.ledger));
        })
        .finish(fn_service(answer))
}

/// Shakes hands where that is done. However many do not finish, others are not held up by it: the framework's
/// own acceptor takes no more than a few hundred at a time.
async fn open(socket: TcpStream, tls: Option<TlsAcceptor>, unasked: Unasked) -> io::Result<Connection> {
    socket.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Connection::new(Either::Left(socket), Link::Plain, unasked)) };
    let (stream, client) = shake_hands(socket, &tls).await.inspect_err(|error| {
        tracing::debug!(%error, "a connection without a fitting handshake is closed");
    })?;
    if let Some(client) = &client {
        tracing::debug!(subject = ?client.subject, "a client certificate that the CA vouches for");
    }
    Ok(Connection::new(Either::Right(Either::Left(Box::new(stream))), Link::Tls(client), unasked))
}

/// One certificate is read once for all requests of its connection.
async fn shake_hands(socket: TcpStream, tls: &TlsAcceptor) -> io::Result<(TlsStream<TcpStream>, Option<Client>)> {
    let stream = timeout(PATIENCE, tls.accept(socket)).await??;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let client = leaf.map(|leaf| Client::read(leaf)).transpose();
    let client = client.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
    Ok((stream, client))
}

type Opened = (Connection, Protocol, Option<SocketAddr>);
type Stream = Either<TcpStream, Either<Box<TlsStream<TcpStream>>, UnixStream>>;

/// What the framework reads and writes.
struct Connection {
    stream: Stream,
    ledger: Rc<Ledger>,
    /// By when what was written has to be taken, while it is not.
    stalled: Option<Deadline>,
    /// By when the other side has to close, once the last answer is sent.
    farewell: Option<Deadline>,
    /// Whether the framework has looked for bytes since it last flushed.
    is_read: bool,
    /// What came of later requests while one is answered.
    ahead: BytesMut,
    /// Whether nothing comes any more behind that.
    has_ended: bool,
    /// Wakes us no later than something is overdue. It is not taken back when that comes in time, so that a busy
    /// connection sets one every few seconds at most.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(stream: Stream, link: Link, unasked: Unasked) -> Self {
        Self {
            stream,
            ledger: Rc::new(Ledger::new(link, unasked)),
            stalled: None,
            farewell: None,
            is_read: true,
            ahead: BytesMut::new(),
            has_ended: false,
            timer: None,
        }
    }

    /// Hands on how far a write came, and whether the connection has outlived its welcome.
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
        } else if self.stalled.is_none() {
            self.stalled = Some(Deadline::after(PATIENCE));
        }
        if self.is_overdue(context) {
            tracing::debug!("a connection is cut: what was begun on it does not end");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    /// Sends what is written, and after the last answer that nothing more comes.
    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context)?;
        if flushed.is_pending() || !self.ledger.has_said_last() {
            return flushed.map(Ok);
        }
        // The framework does not read while its buffer is full, and asks itself again and again then.
        if self.farewell.is_some() && !self.is_read {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.is_read = false;
        if self.farewell.is_none() {
            self.farewell = Some(Deadline::after(FAREWELL));
            // What is not taken until then is not read by us either.
            context.waker().wake_by_ref();
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// Takes in what comes while a request is answered, so that whoever hangs up is noticed, and holds it back.
    fn read_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [const { MaybeUninit::uninit() }; 4096];
        while !self.has_ended && self.ahead.len() < MOST_AHEAD {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(read) => read?,
                Poll::Pending => break,
            }
            self.has_ended = buffer.filled().is_empty();
            self.ahead.extend_from_slice(buffer.filled());
        }
        if self.ahead.is_empty() {
            return if self.has_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        self.ledger.wait(context.waker());
        Poll::Pending
    }

    /// Throws away what comes after the last answer, since a socket that is closed with unread bytes is reset, and
    /// the answer perhaps with it. Ends when the other side closes.
    fn throw_away(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        for _ in 0..THROWN_AT_ONCE {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether something is overdue. If not, and something will be, we are woken then.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            let left = [
                self.ledger.left(),
                self.stalled.as_ref().map(Deadline::left),
                self.farewell.as_ref().map(Deadline::left),
            ];
            let Some(left) = left.into_iter().flatten().min() else { return false };
            if left.is_zero() {
                return true;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(left)));
            if timer.as_mut().poll(context).is_pending() {
                return false;
            }
            self.timer = None;
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_read = true;
        if this.farewell.is_some() {
            return this.throw_away(context);
        }
        if this.ledger.holds_back() {
            return this.read_ahead(context);
        }
        let before = buffer.filled().len();
        if this.ahead.is_empty() && !this.has_ended {
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            let read = this.ledger.came(&buffer.filled()[before..]);
            this.ahead.extend_from_slice(&buffer.filled()[before + read..]);
            buffer.set_filled(before + read);
        } else {
            let most = this.ahead.len().min(buffer.remaining());
            let read = this.ledger.came(&this.ahead[..most]);
            buffer.put_slice(&this.ahead.split_to(read));
        }
        Poll::Ready(Ok(()))
    }
}

/// The framework flushes whenever it has done what it could, so that is when to ask what is still owed: a request
/// that came whole and was answered at once owes nothing by then, and costs neither a look at the clock nor a timer.
impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => this.judge(Poll::Pending, context),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = this.send(context);
        this.judge(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(context);
        this.judge(shut, context)
    }
}

/// How long what was begun may take: a handshake, a head, a body that nobody reads, an answer that is taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than clients pause between requests; the framework's own five seconds make them reconnect.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long what comes is still taken after an answer that ends the connection, so that the caller can read the answer.
const FAREWELL: Duration = Duration::from_secs(1);
/// How much of later requests is taken in while one is answered; the rest waits with whoever sends it.
const MOST_AHEAD: usize = 16 << 10;
/// How many pieces of that are read before others have their turn.
const THROWN_AT_ONCE: usize = 16;
