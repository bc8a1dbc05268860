//! No secret, assertion or token shows in a log at `trace`, in `/metrics` or in an error.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use serde_json::json;
use support::{client, start_serve, start_sts, write_config};

const CLIENT_SECRET: &str = "marked~client/secret+7f3a";
/// The same as a form has it.
const ENCODED_SECRET: &str = "marked%7Eclient%2Fsecret%2B7f3a";
const WRONG_SECRET: &str = "marked-wrong-secret-91bc";
const HEADER_SECRET: &str = "marked-header-secret-55d0";

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
header_secret = [{ file = "header" }]
drain = "0s"
[log]
level = "trace"
format = "@format@"
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "@authority@"
instance_discovery = false
ca_file = "ca.pem"
[identities.right]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000002"
default = true
resources = ["*"]
warm = ["https://vault.azure.net"]
credentials = [{ kind = "secret", file = "secret" }]
[identities.wrong]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000006"
resources = ["*"]
credentials = [{ kind = "secret", env = "MARKED" }]
[identities.certificate]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000007"
resources = ["*"]
credentials = [{ kind = "certificate", file = "app.pem" }]
[identities.assertion]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000008"
resources = ["*"]
credentials = [{ kind = "assertion", file = "assertion" }]
"#;

const SETTINGS: &str = r#"
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000002"
secrets = ["marked~client/secret+7f3a"]
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000006"
secrets = ["another"]
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000007"
certificates = ["public.pem"]
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000008"
secrets = ["another"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_secret_shows() {
    for format in ["text", "json"] {
        drive(format).await;
    }
}

/// Writes what the configuration names, and gives the private key.
fn prepare(directory: &Path) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let key = key.serialize_pem();
    for (name, text) in [
        ("secret", CLIENT_SECRET),
        ("header", HEADER_SECRET),
        ("assertion", "bWFya2VkLWFzc2VydGlvbg.bWFya2VkLWFzc2VydGlvbg.bWFya2VkLWFzc2VydGlvbg"),
        ("public.pem", &certificate),
        ("app.pem", &format!("{key}{certificate}")),
        ("sts.toml", SETTINGS),
    ] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    key
}

/// Drives every kind of credential through success and failure, then looks at all that came out.
async fn drive(format: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let key = prepare(directory.path());
    let directory_name = directory.path().to_str().unwrap();
    let settings = path("sts.toml");
    let (_sts, announced) = start_sts(&["--tls-dir", directory_name, "--config", settings.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let config = write_config(directory.path(), &CONFIG.replace("@format@", format), authority);
    let (serve, tokens, admin) = start_serve(&config, &[("MARKED", WRONG_SECRET)]).await;

    let ca = reqwest::Certificate::from_pem(&std::fs::read(path("ca.pem")).unwrap()).unwrap();
    let to_sts = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    // An authority, or a proxy in its place, may echo what it was sent.
    let echo = json!([{ "match": { "scope": "echo/.default" }, "status": 401, "times": 1, "body": {
        "error": "invalid_client", "error_description": format!("AADSTS7000215: got client_secret={ENCODED_SECRET}&scope=x") } }]);

    let http = client();
    let mut shown = String::new();
    let mut issued = Vec::new();
    for target in ["resource=a", "resource=a&identity=certificate"] {
        let request = http.get(format!("{tokens}/token?{target}")).header("metadata", "true");
        let body: serde_json::Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        issued.push(body["access_token"].as_str().unwrap().to_owned());
    }
    support::break_sts(&to_sts, authority, &echo).await;
    for (target, header) in [
        ("/token?resource=a&identity=wrong", HEADER_SECRET),
        ("/token?resource=a&identity=assertion", HEADER_SECRET),
        ("/token?resource=echo", HEADER_SECRET),
        ("/msi/token?api-version=2019-08-01&resource=a", "wrong-header"),
        ("/msi/token?api-version=2019-08-01&resource=a&client_id=nobody", HEADER_SECRET),
    ] {
        let request =
            http.get(format!("{tokens}{target}")).header("metadata", "true").header("x-identity-header", header);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{target}: {}", answer.status());
        shown += &format!("{:?}", answer.headers());
        shown += &answer.text().await.unwrap();
    }
    for page in ["/metrics", "/readyz", "/status"] {
        shown += &http.get(format!("{admin}{page}")).send().await.unwrap().text().await.unwrap();
    }
    assert!(shown.contains("no token came"), "the page tells of the failures:\n{shown}");
    serve.logged("AADSTS7000215").await;
    serve.terminate();
    let (code, stdout, log) = serve.ended().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("the words are withheld"), "the authority's words are in the log:\n{log}");
    assert!(log.contains("answered"), "the log reaches down to our finest level:\n{log}");
    shown += &stdout;
    shown += &log;

    let key_line = key.lines().nth(3).unwrap();
    let mut secrets =
        vec![CLIENT_SECRET, ENCODED_SECRET, WRONG_SECRET, HEADER_SECRET, "bWFya2VkLWFzc2VydGlvbg", key_line];
    secrets.extend(issued.iter().flat_map(|token| token.split('.')));
    secrets.push("eyJ");
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} shows in\n{shown}");
    }
}
