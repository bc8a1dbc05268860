//! What a hostile program on the wire meets: smuggled and malformed requests, tricks with paths, floods. It meets
//! the same on every listener.

mod support;

use futures_util::future::join_all;
use support::NATIVE;
use support::door::{Door, lengths, statuses, world_with_doors};

const TARGET: &str = "/token?resource=https://vault.azure.net";

const ALL: &str = r#"dialects = ["native", "imds", "app-service", "cloud-shell"]"#;

/// What each of these listeners answers.
async fn answers(doors: &[Door], request: &[u8]) -> Vec<String> {
    join_all(doors.iter().map(|door| door.raw(request))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_length_and_whole_lines() {
    let (world, doors) = world_with_doors("").await;
    let doors = &doors[..2];
    world.ask(NATIVE).await.token();
    let good = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    let smuggled = format!("GET {TARGET}x HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    for answer in answers(doors, good.as_bytes()).await {
        assert_eq!(statuses(&answer), [200]);
    }
    for (name, headers, body) in [
        ("two lengths", "Content-Length: 0\r\nContent-Length: 60\r\n", smuggled.as_str()),
        ("length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("a negative length", "Content-Length: -1\r\n", ""),
        ("a folded header", "X-A: b\r\n c: d\r\n", ""),
        ("a blank before the colon", "X-A : b\r\n", ""),
        ("a control character", "X-A: b\u{1}c\r\n", ""),
        ("a null", "X-A: b\0c\r\n", ""),
    ] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n{headers}\r\n{body}");
        for answer in answers(doors, request.as_bytes()).await {
            assert!(!answer.contains("access_token"), "{name}: {answer}");
            assert!(statuses(&answer).iter().all(|status| *status == 400), "{name}: {answer}");
        }
    }
}

/// Line feeds alone would let whoever may write a part of a request, as through a careless proxy, add a header.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_ends_with_both_characters() {
    let (world, doors) = world_with_doors(ALL).await;
    world.ask(NATIVE).await.token();
    let good = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    let form = "resource=https%3A%2F%2Fvault.azure.net";
    let posted = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nMetadata: true\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    for (name, request, expected) in [
        ("all lines", good.replace("\r\n", "\n"), &[400][..]),
        ("one header", good.replace("\r\nMetadata", "\nMetadata"), &[400]),
        ("the last line", good.replace("\r\n\r\n", "\r\n\n"), &[400]),
        ("a pipelined request", format!("{good}{}{good}", good.replace("\r\nMetadata", "\nMetadata")), &[200, 400]),
        ("a form's head", posted.clone(), &[400]),
    ] {
        for answer in answers(&doors[..2], request.as_bytes()).await {
            assert_eq!(statuses(&answer), expected, "{name}: {answer}");
            assert!(answer.contains("line feed") && answer.contains("connection: close"), "{name}: {answer}");
        }
    }
    let answer = doors[2].raw(b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n").await;
    assert_eq!(statuses(&answer), [400], "{answer}");
    // A form is no head: what it holds is its own.
    let form = format!("a=\n&{form}");
    let posted = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    for answer in answers(&doors[..2], posted.as_bytes()).await {
        assert_eq!(statuses(&answer), [200], "{answer}");
    }
}

/// Nobody but the framework knows where a body ends, so that lines behind one could not be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_body_is_served() {
    let (world, doors) = world_with_doors(ALL).await;
    world.ask(NATIVE).await.token();
    let good = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    let form = "resource=https%3A%2F%2Fvault.azure.net";
    let length = form.len();
    let posted =
        format!("POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nContent-Length: {length}\r\n\r\n");
    let chunked = good.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let lost = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n".to_owned();
    for (name, status, head, body) in [
        ("a body that nobody reads", 404, lost, "hello"),
        ("chunks that nobody reads", 200, chunked, "5\r\nhello\r\n0\r\n\r\n"),
        ("a form", 200, posted, form),
    ] {
        for next in [good.replace("\r\n", "\n"), good.clone(), "no head\r\n\r\n".to_owned()] {
            let (begun, rest) = body.split_at(body.len() / 2);
            for pieces in [vec![format!("{head}{body}{next}")], vec![format!("{head}{begun}"), format!("{rest}{next}")]]
            {
                for door in &doors[..2] {
                    let (answer, is_closed) = door.pieces(&pieces).await;
                    assert_eq!(statuses(&answer), [status], "{name} on {}: {answer}", door.name);
                    assert!(answer.contains("connection: close") && is_closed, "{name} on {}: {answer}", door.name);
                }
            }
        }
    }
}

/// Whoever is told that the connection ends has nothing more answered on it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_last_request_is_served() {
    let (_world, doors) = world_with_doors("").await;
    let last = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let bare = "GET /nowhere HTTP/1.1\nHost: localhost\r\n\r\n";
    for (first, status) in [(last, 404), (bare, 400)] {
        let more = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(40);
        for door in &doors {
            let (answer, is_closed) = door.pieces(&[format!("{first}{more}")]).await;
            assert_eq!(statuses(&answer), [status], "{}: {answer}", door.name);
            assert!(is_closed, "{}: {answer}", door.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_guards_comes_once() {
    let (world, doors) = world_with_doors(ALL).await;
    world.ask(NATIVE).await.token();
    let app_service = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net";
    let ask = |target: &str, further: &str| {
        let guards = "Host: localhost\r\nMetadata: true\r\nX-IDENTITY-HEADER: the-header-secret";
        format!("GET {target} HTTP/1.1\r\n{guards}\r\n{further}\r\n")
    };
    for (target, further, told) in [
        (TARGET, "Metadata: true\r\n", "'metadata'"),
        (TARGET, "metadata: false\r\n", "'metadata'"),
        (TARGET, "Host: localhost\r\n", ""),
        (TARGET, "Host: evil.example\r\n", ""),
        (app_service, "X-IDENTITY-HEADER: the-header-secret\r\n", "'x-identity-header'"),
        (app_service, "x-identity-header: a guess\r\n", "'x-identity-header'"),
        (app_service, "Secret: a guess\r\nSecret: another\r\n", "'secret'"),
        (app_service, "Authorization: Basic a\r\nAuthorization: Basic b\r\n", "'authorization'"),
    ] {
        for answer in answers(&doors[..2], ask(target, further).as_bytes()).await {
            assert_eq!(statuses(&answer), [400], "{further}: {answer}");
            assert!(answer.contains(told), "{further}: {answer}");
        }
    }
    for answer in answers(&doors[..2], ask(TARGET, "Accept: a/b\r\nAccept: a/c\r\n").as_bytes()).await {
        assert_eq!(statuses(&answer), [200], "others may repeat: {answer}");
    }
    for answer in answers(&doors[2..], ask("/healthz", "Metadata: true\r\n").as_bytes()).await {
        assert_eq!(statuses(&answer), [400], "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_taken_as_it_is_written() {
    let (_world, doors) = world_with_doors("").await;
    let doors = &doors[..2];
    for path in [
        "/%74oken",
        "/token%2f",
        "/token%3Fresource=r",
        "/tok%65n",
        "/\\token",
        "/token\\",
        "/./token",
        "/x/../token",
        "/..%2ftoken",
        "/token;a=b",
        "/token/x",
        "/TOKEN",
        "/metadata/identity/oauth2%2Ftoken",
        "/metadata/identity/../identity/oauth2/token",
        "/Metadata/identity/oauth2/token",
        "/msi%00/token",
    ] {
        let request = format!(
            "GET {path}?api-version=2019-08-01&resource=r HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n"
        );
        for answer in answers(doors, request.as_bytes()).await {
            assert!(!answer.contains("access_token"), "{path}: {answer}");
            assert!(statuses(&answer).iter().all(|status| [400, 404].contains(status)), "{path}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_and_other_names_are_kept_out() {
    let (_world, doors) = world_with_doors("").await;
    let doors = &doors[..2];
    for header in ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy"] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n{header}\r\n\r\n");
        for answer in answers(doors, request.as_bytes()).await {
            assert_eq!(statuses(&answer), [403], "{header}");
        }
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost, evil.example"] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: {host}\r\nMetadata: true\r\n\r\n");
        for answer in answers(doors, request.as_bytes()).await {
            assert_eq!(statuses(&answer), [400], "{host:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_pipelined_requests_are_answered_in_turn() {
    let (world, doors) = world_with_doors("").await;
    let doors = &doors[..2];
    world.ask(NATIVE).await.token();
    for (name, request) in [
        ("a long target", format!("GET {TARGET}&x={} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(200 << 10))),
        (
            "a long header",
            format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\n\r\n", "y".repeat(200 << 10)),
        ),
        ("many headers", format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(5000))),
    ] {
        for answer in answers(doors, request.as_bytes()).await {
            assert!(!answer.contains("access_token"), "{name}: {answer}");
            assert!(statuses(&answer).iter().all(|status| (400..500).contains(status)), "{name}: {answer}");
        }
    }
    let one = |n: usize| {
        let resource = if n.is_multiple_of(2) { "" } else { "/" };
        format!("GET {TARGET}{resource} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n")
    };
    let ten: String = (0..10).map(one).collect();
    for answer in answers(doors, ten.as_bytes()).await {
        assert_eq!(statuses(&answer), [200; 10]);
        let asked: Vec<bool> = answer.split("HTTP/1.1 200").skip(1).map(|one| one.contains("azure.net/\"")).collect();
        assert_eq!(asked, [false, true, false, true, false, true, false, true, false, true], "each answer in its turn");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_framed_by_its_own_request_and_not_by_one_that_was_sent_ahead() {
    let (_world, doors) = world_with_doors("").await;
    let get = |n: usize| format!("GET {TARGET}/{n} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    let head = "HEAD /token HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n";
    let closing = head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").replacen("HEAD", "GET", 1);
    for (n, door) in doors[..2].iter().enumerate() {
        // Each asks for a token that has to be fetched, so that the rest comes while it is waited for.
        let answer = door.raw([get(3 * n), head.to_owned()].concat().as_bytes()).await;
        let [(200, told, sent), (405, told_of_head, 0)] = lengths(&answer)[..] else {
            panic!("{}: {answer}", door.name)
        };
        assert!(told == sent && told > 0 && told_of_head > 0, "{}: {answer}", door.name);
        let answer = door.raw([get(3 * n + 1), head.to_owned(), get(3 * n)].concat().as_bytes()).await;
        let [(200, told, sent), (405, _, 0), (200, again, sent_again)] = lengths(&answer)[..] else {
            panic!("{}: {answer}", door.name)
        };
        assert!(told == sent && again == sent_again, "{}: {answer}", door.name);
        let answer = door.raw([get(3 * n + 2), closing.clone()].concat().as_bytes()).await;
        let first = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(!first.contains("connection: close"), "{}: {answer}", door.name);
    }
    let other = get(0).replace("\r\n\r\n", "\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    for answer in answers(&doors[..2], [other, get(0)].concat().as_bytes()).await {
        assert!(statuses(&answer) == [200] && answer.contains("connection: close"), "{answer}");
    }
    let pages = ["HEAD /readyz", "GET /healthz"].map(|line| format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    for answer in answers(&doors[2..], pages.concat().as_bytes()).await {
        let [(200, _, 0), (200, told, sent)] = lengths(&answer)[..] else { panic!("{answer}") };
        assert_eq!(told, sent);
    }
}
