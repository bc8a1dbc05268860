//! Certificates and keys as the `openssl` command makes them: what loads, and what is refused with its remedy.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use bursar::clock::{Clock, Timestamp};
use bursar::config::Config;
use support::{NATIVE, STS_SETTINGS, TWO_IDENTITIES, World};

const FIRST: &str = r#"[{ kind = "secret", file = "secret" }]"#;
const PASS: &str = r#"passphrase = { file = "pass" }"#;

/// Runs lines of shell, each an `openssl` command, in `directory`.
fn openssl(directory: &Path, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let output = Command::new("sh").current_dir(directory).args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line} (is openssl installed?)\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A root, an intermediate and a leaf, with files that hold them in many forms.
fn chain() -> tempfile::TempDir {
    let directory = support::directory();
    std::fs::write(directory.path().join("pass"), "open sesame\n").unwrap();
    std::fs::write(directory.path().join("wrong"), "open barley\n").unwrap();
    std::fs::write(directory.path().join("ca.ext"), "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n")
        .unwrap();
    openssl(
        directory.path(),
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.crt -subj /CN=root -days 3650
         openssl req -newkey rsa:2048 -nodes -keyout mid.key -out mid.csr -subj /CN=mid
         openssl x509 -req -in mid.csr -CA root.crt -CAkey root.key -CAcreateserial -out mid.crt -days 3650 -extfile ca.ext
         openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf
         openssl x509 -req -in leaf.csr -CA mid.crt -CAkey mid.key -CAcreateserial -out public.pem -days 3650
         openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -subj /CN=other -days 3650
         cat root.crt other.crt public.pem leaf.key mid.crt > odd.pem
         cat root.crt other.crt mid.crt > odd-certs.pem
         openssl rsa -in leaf.key -traditional -out pkcs1.key
         openssl pkcs8 -topk8 -v2 aes256 -in leaf.key -out aes256.key -passout file:pass
         openssl pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA1 -in leaf.key -out sha1.key -passout file:pass
         openssl pkcs8 -topk8 -v2 des3 -in leaf.key -out des3.key -passout file:pass
         openssl pkcs8 -topk8 -scrypt -in leaf.key -out scrypt.key -passout file:pass
         openssl rsa -in leaf.key -traditional -aes256 -out rfc1423.key -passout file:pass
         openssl pkcs12 -export -inkey leaf.key -in public.pem -certfile odd-certs.pem -out modern.pfx -passout file:pass
         openssl pkcs12 -export -legacy -inkey leaf.key -in public.pem -certfile odd-certs.pem -out legacy.pfx -passout file:pass
         openssl pkcs12 -export -inkey leaf.key -in public.pem -out bare.pfx -passout pass:
         openssl pkcs12 -export -keypbe NONE -certpbe NONE -nomac -inkey leaf.key -in public.pem -out open.pfx -passout pass:
         openssl pkcs12 -export -keypbe AES-128-CBC -certpbe PBE-SHA1-3DES -macalg sha512 -inkey leaf.key -in public.pem -out mixed.pfx -passout file:pass
         openssl pkcs12 -export -legacy -keypbe PBE-SHA1-RC4-128 -certpbe PBE-SHA1-RC4-128 -inkey leaf.key -in public.pem -out rc4.pfx -passout file:pass
         openssl pkcs12 -export -nokeys -in public.pem -out keyless.pfx -passout file:pass
         cat public.pem pkcs1.key > pkcs1.pem
         cat public.pem aes256.key > aes256.pem
         cat public.pem leaf.key other.key > two-keys.pem",
    );
    directory
}

/// The mistakes of a configuration with this certificate credential, as `bursar check` prints them.
fn mistakes(directory: &Path, parts: &str, now: Timestamp) -> String {
    let credential = format!("[{{ kind = \"certificate\", {parts} }}]");
    let text = TWO_IDENTITIES.replacen(FIRST, &credential, 1);
    let path = support::write_config(directory, &text, "http://127.0.0.1:1");
    Config::read(Some(&path), HashMap::new(), now).map_or_else(|mistakes| mistakes.to_string(), |_| String::new())
}

#[test]
fn every_form_that_openssl_writes_loads() {
    let directory = chain();
    for parts in [
        "file = 'odd.pem'",
        "file = 'pkcs1.pem'",
        "file = 'public.pem', key = 'leaf.key'",
        "file = 'public.pem', key = 'pkcs1.key'",
        &format!("file = 'aes256.pem', {PASS}"),
        &format!("file = 'public.pem', key = 'aes256.key', {PASS}"),
        &format!("file = 'public.pem', key = 'sha1.key', {PASS}"),
        &format!("file = 'public.pem', key = 'des3.key', {PASS}"),
        &format!("file = 'public.pem', key = 'scrypt.key', {PASS}"),
        &format!("file = 'modern.pfx', {PASS}"),
        &format!("file = 'legacy.pfx', {PASS}"),
        &format!("file = 'mixed.pfx', {PASS}"),
        &format!("file = 'keyless.pfx', key = 'leaf.key', {PASS}"),
        "file = 'bare.pfx'",
        "file = 'open.pfx'",
    ] {
        assert_eq!(mistakes(directory.path(), parts, Clock::System.now()), "", "{parts}");
    }
}

#[test]
fn keys_of_every_usual_size_load() {
    let directory = support::directory();
    for size in [2048, 3072, 4096] {
        openssl(directory.path(), &format!("openssl req -x509 -newkey rsa:{size} -nodes -keyout k -out c -subj /CN=a"));
        assert_eq!(mistakes(directory.path(), "file = 'c', key = 'k'", Clock::System.now()), "", "{size}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_remedy() {
    let directory = chain();
    openssl(
        directory.path(),
        "openssl req -x509 -newkey rsa:1024 -nodes -keyout small.key -out small.crt -subj /CN=small
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key -out ec.crt -subj /CN=ec
         openssl ec -in ec.key -out sec1.key
         openssl pkcs12 -export -inkey ec.key -in ec.crt -out ec.pfx -passout file:pass",
    );
    std::fs::write(directory.path().join("empty"), "").unwrap();
    std::fs::create_dir(directory.path().join("directory")).unwrap();
    std::fs::File::create(directory.path().join("giant")).unwrap().set_len(1 << 30).unwrap();
    std::fs::write(
        directory.path().join("cut.pfx"),
        &std::fs::read(directory.path().join("modern.pfx")).unwrap()[..900],
    )
    .unwrap();
    for (parts, at, problem, remedy) in [
        ("file = 'ec.crt', key = 'ec.key'", "key", "no RSA key", "openssl req -x509"),
        ("file = 'ec.crt', key = 'sec1.key'", "key", "no RSA key", "openssl req -x509"),
        (&*format!("file = 'ec.pfx', {PASS}"), "file", "no RSA key", "openssl req -x509"),
        ("file = 'small.crt', key = 'small.key'", "key", "2048 to 8192 bits", "openssl req -x509"),
        ("file = 'public.pem', key = 'other.key'", "key", "belongs to none", "made with it"),
        ("file = 'two-keys.pem'", "file", "more than one", "Keep the one"),
        ("file = 'public.pem'", "file", "there is no private key", "'key'"),
        ("file = 'leaf.key'", "file", "there is no certificate", "BEGIN CERTIFICATE"),
        ("file = 'empty'", "file", "the file is empty", "Write the certificate"),
        ("file = 'public.pem', key = 'empty'", "key", "the file is empty", "Write"),
        ("file = 'directory'", "file", "it is no regular file", "Name a file"),
        ("file = 'giant'", "file", "it is too large", "Name a file"),
        ("file = 'public.pem', key = 'giant'", "key", "it is too large", "Name a file"),
        ("file = 'aes256.pem'", "passphrase", "no passphrase is given", "passphrase = { file"),
        ("file = 'modern.pfx'", "passphrase", "no passphrase is given", "passphrase = { file"),
        ("file = 'aes256.pem', passphrase = { file = 'wrong' }", "passphrase", "does not open", "belongs to it"),
        ("file = 'modern.pfx', passphrase = { file = 'wrong' }", "passphrase", "does not open", "belongs to it"),
        ("file = 'legacy.pfx', passphrase = { file = 'wrong' }", "passphrase", "does not open", "belongs to it"),
        (&format!("file = 'public.pem', key = 'rfc1423.key', {PASS}"), "key", "of long ago", "openssl pkcs8 -topk8"),
        (&format!("file = 'rc4.pfx', {PASS}"), "file", "is not supported", "openssl pkcs12 -export"),
        (&format!("file = 'cut.pfx', {PASS}"), "file", "neither PEM nor a PFX", "openssl pkcs12 -export"),
    ] {
        let told = mistakes(directory.path(), parts, Clock::System.now());
        let path = format!("identities.first.credentials[0].{at}: ");
        let fits = told.lines().count() == 1 && told.starts_with(&path);
        assert!(fits && told.contains(problem) && told.contains(remedy), "{parts}: {told:?}");
    }
}

#[test]
fn a_certificate_that_does_not_hold_is_refused_with_its_date() {
    let directory = support::directory();
    openssl(directory.path(), "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=a -days 30");
    let (parts, day) = ("file = 'c', key = 'k'", std::time::Duration::from_hours(24));
    let now = Clock::System.now();
    assert_eq!(mistakes(directory.path(), parts, now + day * 29), "");
    let late = mistakes(directory.path(), parts, now + day * 31);
    assert!(late.contains("file: the certificate expired at 20") && late.contains("Renew it"), "{late}");
    let early = mistakes(directory.path(), parts, now - day);
    assert!(early.contains("file: the certificate is not valid before 20") && early.contains("clock"), "{early}");
}

#[test]
fn a_pfx_and_its_passphrase_are_replaced_one_after_the_other() {
    let directory = chain();
    openssl(
        directory.path(),
        "openssl pkcs12 -export -inkey other.key -in other.crt -out other.pfx -passout file:wrong
         cp modern.pfx app.pfx
         cp pass app.pass",
    );
    let credential = r#"[{ kind = "certificate", file = "app.pfx", passphrase = { file = "app.pass" } }]"#;
    let text = TWO_IDENTITIES.replacen(FIRST, credential, 1);
    let path = support::write_config(directory.path(), &text, "http://127.0.0.1:1");
    let now = Clock::System.now();
    let config = Config::read(Some(&path), HashMap::new(), now).unwrap();
    let credential = &config.identities[0].application().unwrap().credentials[0];
    assert_eq!(credential.files(), ["app.pfx", "app.pass"].map(|name| directory.path().join(name)));
    credential.reload(now).unwrap();
    openssl(directory.path(), "cp other.pfx app.pfx");
    let fault = credential.reload(now).unwrap_err();
    assert!(fault.inward().unwrap().contains("the passphrase does not open the key"), "{fault:?}");
    credential.reload(now).unwrap();
    assert_eq!(credential.generation(), 0);
    openssl(directory.path(), "cp wrong app.pass");
    credential.reload(now).unwrap();
    assert_eq!(credential.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pfx_gets_a_token_and_its_chain_goes_along_in_order() {
    let directory = chain();
    let known = r#"secrets = ["bursar-dev-secret"]"#;
    let settings = STS_SETTINGS.replacen(known, "certificates = [\"public.pem\"]", 1);
    std::fs::write(directory.path().join("sts.toml"), settings).unwrap();
    let parts = format!("file = \"legacy.pfx\", {PASS}, send_x5c = true, claims = {{ tier = 3, xms_az_x = \"y\" }}");
    let config = TWO_IDENTITIES.replacen(FIRST, &format!("[{{ kind = \"certificate\", {parts} }}]"), 1);
    let world = World::within(directory, &config).await;
    world.ask(NATIVE).await.token();
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    let assertion = &exchanges[0]["assertion"];
    assert_eq!((&assertion["claims"]["tier"], &assertion["claims"]["xms_az_x"]), (&3.into(), &"y".into()));
    let sent: Vec<&str> =
        assertion["header"]["x5c"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    let armoured = |name: &str| -> String {
        let text = std::fs::read_to_string(world.directory.path().join(name)).unwrap();
        text.lines().filter(|line| !line.starts_with("-----")).collect()
    };
    assert_eq!(sent, [armoured("public.pem"), armoured("mid.crt"), armoured("root.crt")], "the stranger is left out");
}
