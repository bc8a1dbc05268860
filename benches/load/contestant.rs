//! A server under load, and what it is asked.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::machine::{SERVER, cpu_time, pinned};

/// A program that ends with this.
pub(super) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// One of those that are compared.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    /// The request as it goes over the wire.
    pub(super) request: Vec<u8>,
    process: Process,
}

impl Contestant {
    /// `bursar serve` with this configuration, which listens where `@listen@` and `@admin@` stand.
    pub(super) fn serve(name: &'static str, directory: &Path, config: &str, request: &str) -> Self {
        let [listen, admin] = [free_address(), free_address()];
        let config = config.replace("@listen@", &listen.to_string()).replace("@admin@", &admin.to_string());
        let file = directory.join(format!("{name}.toml"));
        std::fs::write(&file, config).unwrap();
        let mut command = pinned(SERVER, env!("CARGO_BIN_EXE_bursar"));
        let log = std::fs::File::create(directory.join(format!("{name}.log"))).unwrap();
        let child = command.args(["serve", "--config"]).arg(&file).stderr(log).spawn().unwrap();
        let process = Process(child);
        await_listener(listen);
        Self { name, address: listen, request: request.into(), process }
    }

    /// The processor time that it has used so far, in nanoseconds.
    pub(super) fn cpu_time(&self) -> u64 {
        cpu_time(self.process.0.id())
    }
}

/// The emulated authority, and its URL.
pub(super) fn sts() -> (Process, String) {
    let mut command = pinned(super::machine::LOAD, env!("CARGO_BIN_EXE_bursar"));
    let mut child =
        command.args(["sts", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    (Process(child), announced["authority"].as_str().unwrap().to_owned())
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn await_listener(address: SocketAddr) {
    for _ in 0..500 {
        if TcpStream::connect(address).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing listens on {address}");
}
