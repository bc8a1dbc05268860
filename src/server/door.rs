//! The door of a listener: it is open before anything is served, and closes before anything is cut.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use super::listen::Listen;
use super::socket_file::SocketFile;
use crate::fault::{Fault, Kind};

/// Something that is listened on.
pub(super) struct Door {
    /// Where it is, with the port that the system chose where the configuration left it open.
    pub(super) listen: Listen,
    way: Way,
}

enum Way {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// What accepts connections, for the framework to own.
pub(super) enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    /// Binds a place. The file of a unix socket gets `unix_mode`.
    ///
    /// # Errors
    /// It cannot be bound.
    pub(super) fn open(listen: &Listen, unix_mode: u32) -> Result<Self, Fault> {
        let door = |listen, way| Self { listen, way };
        match listen {
            Listen::Http(address) => at(*address).map(|(bound, tcp)| door(Listen::Http(bound), Way::Tcp(tcp))),
            Listen::Https(address) => at(*address).map(|(bound, tcp)| door(Listen::Https(bound), Way::Tcp(tcp))),
            Listen::Unix(path) => in_file(path, unix_mode).map(|way| door(listen.clone(), way)),
        }
    }

    /// The listening socket once more.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub(super) fn accepting(&self) -> Result<Accepting, Fault> {
        let again = match &self.way {
            Way::Tcp(tcp) => tcp.try_clone().map(Accepting::Tcp),
            Way::Unix(unix, _) => unix.try_clone().map(Accepting::Unix),
        };
        again.map_err(|error| Fault::new(Kind::Internal, format!("a listener cannot be used: {error}"), "report this"))
    }

    /// Whether somebody has connected whom nobody has accepted yet.
    pub(super) fn has_queue(&self) -> bool {
        let door = match &self.way {
            Way::Tcp(tcp) => tcp.as_fd(),
            Way::Unix(unix, _) => unix.as_fd(),
        };
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(door, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Nobody opens a connection from now on. Those that are open, or wait to be accepted, are not touched.
    pub(super) fn close(&mut self) {
        match &mut self.way {
            // The kernel drops what would open a connection, and nothing else.
            Way::Tcp(tcp) => {
                if let Err(error) = SockRef::from(&*tcp).attach_filter(&no_openings()) {
                    tracing::warn!(%error, "connections may be reset while the listener closes");
                }
            }
            Way::Unix(_, file) => file.remove(),
        }
    }
}

fn at(address: SocketAddr) -> Result<(SocketAddr, TcpListener), Fault> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        Ok((listener.local_addr()?, listener))
    };
    bound().map_err(|error: io::Error| {
        let remedy = "end the program that listens there, or configure another address";
        Fault::new(Kind::Unstartable, format!("cannot listen on {address}: {error}"), remedy)
    })
}

/// Nobody can connect before `listen`, and by then the file has its mode.
fn in_file(path: &Path, mode: u32) -> Result<Way, Fault> {
    let file = SocketFile::clear(path)?;
    let bound = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let mut file = file.bind(&socket, mode)?;
        file.listen(&socket, BACKLOG)?;
        Ok(Way::Unix(socket.into(), file))
    };
    bound().map_err(|error: io::Error| {
        let remedy = "make its directory, and make that writable for this process, or configure another path";
        Fault::new(Kind::Unstartable, format!("cannot listen on unix:{}: {error}", path.display()), remedy)
    })
}

/// A packet filter: byte 13 of the TCP header holds the flags, and SYN (2) asks for a connection.
fn no_openings() -> [SockFilter; 4] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 2),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

/// Room for a burst of connections; the standard library's backlog is 128.
const BACKLOG: i32 = 1024;
