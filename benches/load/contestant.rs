//! A server under load, and what it is asked.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::Duration;

use super::machine::{self, cpu_time};
use super::request::Request;

/// A program that ends with this.
pub(super) struct Process(pub(super) Child);

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// The processor time that it has used so far, in nanoseconds.
    pub(super) fn cpu_time(&self) -> u64 {
        cpu_time(self.0.id())
    }

    /// Its resident memory, in bytes.
    pub(super) fn resident(&self) -> u64 {
        machine::resident(self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A server that listens.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) process: Rc<Process>,
}

impl Server {
    /// One that has been told to listen there, once it does.
    pub(super) fn awaited(address: SocketAddr, process: Process) -> Self {
        await_listener(address);
        Self { address, process: Rc::new(process) }
    }

    pub(super) fn cpu_time(&self) -> u64 {
        self.process.cpu_time()
    }
}

/// One of those that are compared: two may share a server, and ask different things of it.
pub(super) struct Contestant {
    pub(super) name: String,
    pub(super) server: Server,
    pub(super) request: Request,
}

impl Contestant {
    pub(super) fn new(name: impl Into<String>, server: &Server, request: &Request) -> Self {
        Self { name: name.into(), server: server.clone(), request: request.clone() }
    }
}

pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn await_listener(address: SocketAddr) {
    for _ in 0..3000 {
        if TcpStream::connect(address).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing listens on {address}");
}
