//! The certificate of https listeners: its key, and its end.

use rcgen::{CertificateParams, KeyPair};

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// A configuration with an https listener, and a certificate that ends then beside it.
fn configuration(directory: &Path, end: Timestamp) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["bursar".to_owned()]).unwrap();
    params.not_after = (std::time::UNIX_EPOCH + Duration::from_secs(end.as_secs())).into();
    std::fs::write(directory.join("tls.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    let server = "[server]\nlisten = [\"https://127.0.0.1:1\"]\n[server.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"";
    (format!("{server}\n{GOOD}"), key)
}

#[test]
fn the_end_of_a_listener_s_certificate_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    for (end, told) in [
        (NOW + DAY * 31, None),
        (NOW + DAY * 30, Some("the certificate expires at 2027-02-14")),
        (NOW + DAY, Some("the certificate expires at 2027-01-16")),
        (NOW, Some("the certificate expired at 2027-01-15")),
        (NOW - DAY, Some("the certificate expired at 2027-01-14")),
    ] {
        let (text, _) = configuration(directory.path(), end);
        let warnings = read_in(directory.path(), &text, &[]).unwrap().warnings;
        let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), usize::from(told.is_some()), "{end} {shown:?}");
        if let Some(told) = told {
            assert!(shown[0].starts_with("server.tls.cert: ") && shown[0].contains(told), "{end} {shown:?}");
        }
    }
}

#[test]
fn a_key_that_does_not_serve_is_told_by_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (text, _) = configuration(directory.path(), NOW + DAY * 365);
    let tell = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
        read_in(directory.path(), &text, &[]).unwrap_err().to_string()
    };
    let openssl = "openssl pkey -in";
    for (content, told, remedy) in [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted", openssl),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMAAA\n-----END RSA PRIVATE KEY-----\n",
            "encrypted",
            openssl,
        ),
        ("", "no PEM private key", "private key"),
        (&KeyPair::generate().unwrap().serialize_pem(), "does not belong to the certificate", "made with it"),
    ] {
        let mistakes = tell("tls.key", content);
        assert!(mistakes.starts_with("server.tls.key: "), "{mistakes}");
        assert!(mistakes.contains(told) && mistakes.contains(remedy), "{mistakes}");
    }
    let mistakes = tell("tls.crt", "");
    assert!(mistakes.starts_with("server.tls.cert: the file holds no PEM certificate"), "{mistakes}");
    let mistakes = tell("tls.crt", VERSION_1);
    assert!(mistakes.starts_with("server.tls.cert: the certificate is malformed, or not of version 3"), "{mistakes}");
}

/// As `openssl x509 -req` makes it without extensions.
const VERSION_1: &str = "-----BEGIN CERTIFICATE-----
MIIBIzCBywIUQ8ibcgb278Xo5bS0WSGykfG5TVQwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzE0MDIwMVoYDzIxMjYxMTAzMTQwMjAx
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASIlgX72W/hLdJ4BvqJDlf9XkYDn2Ry6PwP+Lru6HucsA1waJzmBtbrFxxNXy4G
U1Qlq/E3/RfHiL0M3yVI4cL9MAoGCCqGSM49BAMCA0cAMEQCIFPB8zukJISRS3u6
olSiht/tyQzT7pkZrfyh2Wdfl0iOAiANyCoxF5MO3fFOMcMpFCrW5F5b80QfxsAF
CBUQhr0T4Q==
-----END CERTIFICATE-----
";
