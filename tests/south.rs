//! What goes out to the authority, and by which way.

mod support;

use support::{NATIVE, TWO_IDENTITIES, World};
use tokio::io::AsyncReadExt;

const ID: &str = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
const TRACE: &str = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a2";

#[tokio::test(flavor = "multi_thread")]
async fn extra_parameters_go_along_and_headers_say_who_asks() {
    let config =
        TWO_IDENTITIES.replacen("timeout = \"2s\"", "timeout = \"2s\"\nextra_body = { audience = \"a b\" }", 1);
    let world = World::with(&config).await;
    world.ask(NATIVE).await.token();
    let exchange = support::exchanges(&world.http, world.sts.url()).await.remove(0);
    assert_eq!(exchange["form"]["audience"], "a b");
    assert_eq!(exchange["form"]["grant_type"], "client_credentials");
    for (header, value) in [
        ("x-client-sku", "Bursar"),
        ("x-ms-lib-capability", "retry-after, h429"),
        ("return-client-request-id", "true"),
        ("accept", "application/json"),
    ] {
        assert_eq!(exchange["headers"][header], value, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_have_a_proxy_of_its_own() {
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = TWO_IDENTITIES.replacen(
        "authority = \"@authority@\"",
        &format!("authority = \"https://login.corp\"\nproxy = \"http://{}\"", proxy.local_addr().unwrap()),
        1,
    );
    let world = World::with(&config).await;
    let asked = tokio::spawn(async move {
        let mut head = [0; 64];
        let (mut socket, _) = proxy.accept().await.unwrap();
        let read = socket.read(&mut head).await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    assert_eq!(world.ask(NATIVE).await.status, 503, "this proxy hangs up");
    assert!(asked.await.unwrap().starts_with("CONNECT login.corp:443 HTTP/1.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_exempts_an_authority_from_it() {
    for (exempt, expected) in [("", Some("CONNECT login.invalid:443 HTTP/1.1")), (".invalid", None)] {
        let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there =
            format!("authority = \"https://login.invalid\"\nproxy = \"http://{}\"", proxy.local_addr().unwrap());
        let config = TWO_IDENTITIES.replacen("authority = \"@authority@\"", &there, 1);
        let directory = support::directory();
        let path = support::write_config(directory.path(), &config, "http://127.0.0.1:9");
        let (_serve, tokens, _) = support::start_serve(&path, &[("NO_PROXY", exempt)]).await;
        let heard = tokio::spawn(async move {
            let mut head = [0; 64];
            let (mut socket, _) = proxy.accept().await.unwrap();
            let read = socket.read(&mut head).await.unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let asked = support::client().get(format!("{tokens}{NATIVE}")).header("metadata", "true").send().await.unwrap();
        assert_eq!(asked.status(), 503, "there is nobody of that name, and the proxy hangs up");
        // Whatever was to go through the proxy has reached it before the answer came.
        assert_eq!(heard.is_finished(), expected.is_some(), "NO_PROXY={exempt:?}");
        if let Some(expected) = expected {
            assert!(heard.await.unwrap().starts_with(expected));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_authority_issues() {
    for (authority, parameter, value) in [
        ("authority = \"@authority@/adfs\"", "resource", "https://vault.azure.net"),
        ("authority = \"@authority@/oidc\"\nkind = \"oidc\"", "resource", "https://vault.azure.net"),
        (
            "authority = \"@authority@/contoso.onmicrosoft.com/B2C_1_signin\"",
            "scope",
            "https://vault.azure.net/.default",
        ),
    ] {
        let entra = format!("id = \"{}\"\nauthority = \"@authority@\"", support::TENANT);
        assert!(TWO_IDENTITIES.contains(&entra));
        let world = World::with(&TWO_IDENTITIES.replacen(&entra, authority, 1)).await;
        world.ask(NATIVE).await.token();
        let exchange = support::exchanges(&world.http, world.sts.url()).await.remove(0);
        assert_eq!(exchange["form"][parameter], value, "{authority}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_for_adfs_as_it_wants() {
    let directory = support::directory();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::write(directory.path().join("app.pem"), format!("{certificate}{}", key.serialize_pem())).unwrap();
    std::fs::write(directory.path().join("public.pem"), &certificate).unwrap();
    let settings = support::STS_SETTINGS.replacen("secrets", "certificates = [\"public.pem\"]\nsecrets", 1);
    std::fs::write(directory.path().join("sts.toml"), settings).unwrap();
    let config = TWO_IDENTITIES
        .replacen("authority = \"@authority@\"", "authority = \"@authority@/adfs\"", 1)
        .replacen("{ kind = \"secret\", file = \"secret\" }", "{ kind = \"certificate\", file = \"app.pem\" }", 1);
    let world = World::within(directory, &config).await;
    world.ask(NATIVE).await.token();
    let exchange = support::exchanges(&world.http, world.sts.url()).await.remove(0);
    assert_eq!(exchange["assertion"]["header"]["alg"], "RS256");
    assert!(exchange["assertion"]["header"]["x5t"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authoritys_own_id_of_an_answer_is_logged_if_it_is_a_guid() {
    let (_sts, announced) = support::start_sts(&[]);
    let sts = announced["authority"].as_str().unwrap();
    let directory = support::directory();
    let config = support::write_config(directory.path(), TWO_IDENTITIES, sts);
    let (serve, tokens, _) = support::start_serve(&config, &[]).await;
    let http = support::client();
    let ask = |resource: &str| {
        let url = format!("{tokens}/token?resource={resource}");
        http.get(url).header("metadata", "true").header("x-ms-client-request-id", ID).send()
    };
    assert_eq!(ask("one").await.unwrap().status(), 200);
    serve.logged("token issued").await;
    let logged = |log: &str| log.lines().filter(|line| line.contains("authority_request_id=")).count();
    let log = serve.log();
    assert_eq!(logged(&log), 2, "discovery and exchange\n{log}");
    let line = log.lines().rfind(|line| line.contains("authority_request_id=")).unwrap();
    assert!(line.contains(&format!("request_id=\"{ID}\"")) || line.contains(&format!("request_id={ID}")), "{line}");
    let odd = serde_json::json!({ "headers": { "x-ms-request-id": "words of a stranger" } });
    support::break_sts(&http, sts, &support::on_token(odd)).await;
    assert_eq!(ask("two").await.unwrap().status(), 200);
    for _ in 0..250 {
        if serve.log().matches("token issued").count() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let log = serve.log();
    assert_eq!((logged(&log), log.contains("a stranger")), (2, false), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_ids_under_which_the_authority_knows_a_failure() {
    let (_sts, announced) = support::start_sts(&[]);
    let sts = announced["authority"].as_str().unwrap();
    let directory = support::directory();
    let config = support::write_config(directory.path(), TWO_IDENTITIES, sts);
    let (serve, tokens, _) = support::start_serve(&config, &[]).await;
    let http = support::client();
    let body = serde_json::json!({ "error": "consent_required", "correlation_id": ID, "trace_id": TRACE });
    support::break_sts(&http, sts, &support::on_token(serde_json::json!({ "status": 400, "body": body }))).await;
    let asked = http.get(format!("{tokens}{NATIVE}")).header("metadata", "true").send().await.unwrap();
    assert_eq!(asked.status(), 403);
    let line = serve.logged("no token").await;
    assert!(line.contains(&format!("correlation_id=\"{ID}\"")), "{line}");
    assert!(line.contains(&format!("trace id {TRACE}")), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_trust_store_is_read_for_the_first_connection() {
    let directory = support::directory();
    let tls = directory.path().join("tls");
    let (_sts, told) = support::start_sts(&["--tls-dir", tls.to_str().unwrap()]);
    let path = support::write_config(directory.path(), TWO_IDENTITIES, told["authority"].as_str().unwrap());
    let nothing = directory.path().join("nothing.pem");
    std::fs::write(&nothing, "no certificate").unwrap();
    let (ca, nothing) = (told["ca_file"].as_str().unwrap(), nothing.to_str().unwrap());
    let (tls, base) = (tls.to_str().unwrap(), directory.path().to_str().unwrap());
    let barren = "no CA certificate lies where SSL_CERT_FILE or SSL_CERT_DIR says";
    for (file, within, is_trusted, line) in [
        (ca, base, true, None),
        (nothing, base, false, Some("the system's CA certificates cannot be read")),
        (nothing, base, false, Some("other error: unexpected error: no CA certificate lies where SSL_CERT_FILE")),
        (nothing, tls, true, Some(barren)),
    ] {
        let environment = [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", within)];
        let (serve, tokens, _) = support::start_serve(&path, &environment).await;
        let asked = support::client().get(format!("{tokens}{NATIVE}")).header("metadata", "true").send().await.unwrap();
        assert_eq!(asked.status() == 200, is_trusted, "{file} {within}: {}", serve.log());
        if let Some(line) = line {
            serve.logged(line).await;
        }
    }
}

#[test]
fn a_trust_store_that_is_not_there_is_told_at_the_start() {
    let directory = support::directory();
    let path = support::write_config(directory.path(), TWO_IDENTITIES, "https://login.corp");
    let missing = directory.path().join("missing");
    for name in ["check", "serve"] {
        let mut command = support::bursar();
        command.arg(name).arg("--config").arg(&path).env("SSL_CERT_FILE", &missing).env("SSL_CERT_DIR", &missing);
        let (code, stdout, stderr) = support::out(&command.output().unwrap());
        let told = stdout + &stderr;
        assert!(code == 64 && told.contains("no CA certificate lies where SSL_CERT_FILE"), "{name}: {code} {told}");
    }
}
