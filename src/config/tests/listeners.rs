//! Unix sockets and client certificates: each key and each mistake.

use super::*;
use crate::server::Listen;

/// What a caller by this proof adds to `GOOD`.
fn caller(proof: &str) -> String {
    format!("[callers.billing]\nproof = {{ {proof} }}\nidentities = [\"payroll\"]\nresources = [\"*\"]\n")
}

const BY_UID: &str = "kind = 'unix', uid = 1000";
const BY_NAME: &str = "kind = 'mtls', dns_name = 'a'";

/// A directory with a certificate, its key, and what is none.
fn files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
    for (name, text) in [("c.pem", certificate.pem()), ("k.pem", key.serialize_pem()), ("none", "x".to_owned())] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[test]
fn a_socket_lies_beside_the_configuration_and_has_a_mode() {
    let directory = files();
    let read = |server: &str| read_in(directory.path(), &format!("[server]\n{server}\n{GOOD}"), &[]).unwrap().server;
    let server = read("listen = ['unix:s.sock', 'unix:/tmp/s.sock']");
    let expected = [directory.path().join("s.sock"), PathBuf::from("/tmp/s.sock")].map(Listen::Unix);
    assert_eq!((server.listen, server.unix_mode), (expected.to_vec(), 0o660));
    for (written, mode) in [("0666", 0o666), ("600", 0o600), ("0777", 0o777), ("0220", 0o220)] {
        let server = read(&format!("listen = ['unix:s']\nunix = {{ mode = '{written}' }}"));
        assert_eq!(server.unix_mode, mode, "{written}");
    }
    let variables = [("BURSAR__SERVER__LISTEN", "unix:s.sock,127.0.0.1:1")];
    let listen = read_in(directory.path(), GOOD, &variables).unwrap().server.listen;
    assert_eq!(listen.iter().map(Listen::address).collect::<Vec<_>>(), [None, Some(([127, 0, 0, 1], 1).into())]);
}

#[test]
fn no_place_is_listened_on_twice() {
    let told = |listen: &str| told(read_in(Path::new(""), &format!("[server]\nlisten = [{listen}]\n{GOOD}"), &[]));
    for (listen, taken) in [
        ("'127.0.0.1:41', '[::1]:41', '127.0.0.1:41'", "127.0.0.1:41"),
        ("'127.0.0.1:41', 'https://127.0.0.1:41'", "https://127.0.0.1:41"),
        ("'127.0.0.2:41', '127.0.0.1:41', 'unix:/tmp/s', 'unix:/tmp/s'", "unix:/tmp/s"),
    ] {
        assert_eq!(told(listen), [format!("server.listen: {taken} is listened on already by another of these")]);
    }
    assert_eq!(told("'127.0.0.1:0', '127.0.0.1:0'"), [""; 0], "the system chooses two");
    let [reach, twice] = &told("'127.0.0.1:41', '0.0.0.0:41'")[..] else { panic!("two mistakes") };
    assert!(reach.contains("other machines can reach it") && twice.contains("0.0.0.0:41 is listened on already"));
}

#[test]
fn dialects_that_prove_nobody_are_served_on_a_socket() {
    let directory = files();
    let told = |listen: &str| {
        told(read_in(directory.path(), &format!("[server]\nlisten = [{listen}]\ndialects = ['native']\n{GOOD}"), &[]))
    };
    assert_eq!(told("'unix:s'"), [""; 0]);
    assert!(told("'unix:s', '0.0.0.0:1'")[0].starts_with("server.listen: other machines can reach it"));
}

/// What is told of `[server]` beside a caller with this proof.
fn tells(directory: &tempfile::TempDir, server: &str, proof: &str, expected: &[&str]) {
    let text = format!("[server]\n{server}\n{}{GOOD}", caller(proof));
    let told = told(read_in(directory.path(), &text, &[]));
    let fits = told.len() == expected.len() && told.iter().zip(expected).all(|(told, one)| told.starts_with(one));
    assert!(fits, "{server}\n{told:#?}");
}

#[test]
fn what_a_proof_needs_of_the_listeners_has_to_be_there() {
    let directory = files();
    let no_ca = "server.tls.client_ca: a caller is proved by mtls, and no CA";
    let no_https = "server.listen: a caller is proved by mtls, and there is no https";
    let asking = |listen: &str, ca: &str| {
        format!("listen = {listen}\ntls = {{ cert = 'c.pem', key = 'k.pem', client_ca = '{ca}' }}")
    };
    let https = "['https://127.0.0.1:1']";
    for (server, proof, expected) in [
        ("listen = ['unix:s']".to_owned(), BY_UID, &[][..]),
        ("listen = ['127.0.0.1:1']".to_owned(), BY_UID, &["server.listen: a caller is proved by unix"]),
        (asking(https, "c.pem"), BY_NAME, &[]),
        (format!("listen = {https}\ntls = {{ cert = 'c.pem', key = 'k.pem' }}"), BY_NAME, &[no_ca]),
        (String::new(), BY_NAME, &[no_ca, no_https]),
        (asking("['127.0.0.1:1']", "c.pem"), BY_NAME, &[no_https, "server.tls: there is no https listener"]),
        (
            asking("['https://127.0.0.1:1', 'unix:s']", "c.pem"),
            BY_UID,
            &["server.tls.client_ca: no caller is proved by mtls"],
        ),
        (asking(https, "none"), BY_NAME, &["server.tls.client_ca: the file holds no PEM certificate"]),
        (asking(https, "nowhere"), BY_NAME, &["server.tls.client_ca: the file cannot be read"]),
        (
            format!("listen = {https}\ntls = {{ client_ca = 'c.pem' }}"),
            BY_NAME,
            &["server.tls.cert: the key is missing", "server.tls.key: the key is missing"],
        ),
        (
            format!("unix = {{ mode = '0600' }}\n{}", asking(https, "c.pem")),
            BY_NAME,
            &["server.unix: there is no unix socket"],
        ),
    ] {
        tells(&directory, &server, proof, expected);
    }
}

#[test]
fn sockets_and_their_modes_have_their_mistakes() {
    let directory = files();
    let nowhere = "/a".repeat(54);
    let places = format!("listen = ['unix:s', 'unix:', 'unix:@s', 'unix:run/s', 'unix:{nowhere}']");
    let told = [
        "server.listen[1]: the path of the socket is missing",
        "server.listen[2]: abstract sockets are open to everybody",
        "server.listen[3]: the directory of the socket is not there",
        "server.listen[4]: the path of the socket is too long",
    ];
    tells(&directory, &places, BY_UID, &told);
    for (unix, expected) in [
        ("mode = '0444'", "server.unix.mode: nobody could connect"),
        ("mode = 660", "server.unix.mode: this must be text"),
        ("mode = '66'", "server.unix.mode: a mode is octal"),
        ("mode = '0690'", "server.unix.mode: a mode is octal"),
        ("mode = '4660'", "server.unix.mode: a mode is octal"),
        ("mod = '660'", "server.unix.mod: the key is unknown"),
    ] {
        tells(&directory, &format!("listen = ['unix:s']\nunix = {{ {unix} }}"), BY_UID, &[expected]);
    }
}

#[test]
fn a_listener_that_cannot_be_read_is_told_of_alone() {
    let directory = files();
    let asking = "tls = { cert = 'c.pem', key = 'k.pem', client_ca = 'c.pem' }";
    for (listen, rest, proof) in [
        ("unix:run/s", "unix = { mode = '0600' }", BY_UID),
        ("https://localhost:1", asking, BY_NAME),
        ("https://localhost:1", "dialects = ['service-fabric']", "kind = 'header-secret', env = 'SECRET'"),
    ] {
        tells(&directory, &format!("listen = ['{listen}']\n{rest}"), proof, &["server.listen[0]: "]);
    }
}

#[test]
fn a_path_may_be_as_long_as_the_system_takes() {
    let directory = tempfile::tempdir().unwrap();
    let room = 107 - directory.path().as_os_str().len() - 1;
    for (length, fits) in [(room, true), (room + 1, false)] {
        let text = format!("[server]\nlisten = ['unix:{}']\n{GOOD}", "s".repeat(length));
        let read = read_in(directory.path(), &text, &[]);
        assert_eq!(read.is_ok(), fits, "{length}");
        if let Ok(config) = read {
            let Listen::Unix(path) = &config.server.listen[0] else { unreachable!() };
            std::os::unix::net::UnixListener::bind(path).unwrap();
        }
    }
}
