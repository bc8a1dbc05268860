//! Every kind of authority that MSAL tells apart.

use super::*;

const POLICY: &str = "B2C_1A_Apps";
const RESOURCE: &str = "https://vault.azure.net";

/// A lab whose applications are the default one by a secret, and one by a certificate.
async fn lab(identity: &Identity) -> Lab {
    let text = format!(
        r#"
        [[apps]]
        client_id = "{DEV_APP}"
        secrets = ["{DEV_SECRET}"]
        roles = ["Reader"]
        [[apps]]
        client_id = "{CERT_APP}"
        certificates = ["app.pem"]
        "#
    );
    Lab::with(settings(&text, &[("app.pem", &identity.cert_pem)]).0).await
}

/// Claims that a certificate's assertion makes at that endpoint.
fn claims_at(lab: &Lab, path: &str) -> Value {
    with(&own_claims(lab), "aud", json!(format!("{}{path}", lab.sts.url())))
}

async fn assert_with(lab: &Lab, path: &str, assertion: &str) -> Reply {
    lab.post(path, &assertion_form(CERT_APP, assertion)).await
}

/// Whether both are the body of an error, and there is nothing else in it.
fn bare_error(reply: &Reply) -> (u16, &str, &str) {
    assert_eq!(reply.body.as_object().unwrap().len(), 2, "{}", reply.body);
    let text = |name: &str| reply.body[name].as_str().unwrap();
    (reply.status, text("error"), text("error_description"))
}

/// Follows the configuration to the keys, and verifies the token with them.
async fn verified_by(lab: &Lab, document: &Value, token: &str) -> Value {
    let keys = lab.send(lab.http.get(document["jwks_uri"].as_str().unwrap())).await;
    assert_eq!(keys.status, 200);
    lab.verified(token).await
}

mod adfs {
    use super::*;

    const TOKEN: &str = "/adfs/oauth2/token";

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_discovered_without_a_version() {
        let lab = Lab::start().await;
        let base = lab.sts.url();
        let found = lab.get("/adfs/.well-known/openid-configuration").await.body;
        assert_eq!(found["issuer"], format!("{base}/adfs"));
        assert_eq!(found["token_endpoint"], format!("{base}{TOKEN}"));
        assert_eq!(found["jwks_uri"], format!("{base}/adfs/discovery/keys"));
        let missing = lab.get("/adfs/v2.0/.well-known/openid-configuration").await;
        assert_eq!(bare_error(&missing).0, 404);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_secret_gets_a_token_without_a_tenant() {
        let lab = lab(&Identity::new()).await;
        let found = lab.get("/adfs/.well-known/openid-configuration").await.body;
        let mut with_resource = changed("scope", Some("openid"));
        with_resource.push(("resource", RESOURCE));
        for form in [secret_form(DEV_SECRET).to_vec(), with_resource] {
            let reply = lab.post(TOKEN, &form).await;
            assert_eq!((&reply.body["token_type"], &reply.body["expires_in"]), (&json!("bearer"), &json!(3600)));
            let claims = verified_by(&lab, &found, reply.token()).await;
            assert_eq!(claims["iss"], found["access_token_issuer"]);
            assert_eq!((&claims["aud"], &claims["appid"]), (&json!(RESOURCE), &json!(DEV_APP)));
            assert_eq!((&claims["ver"], claims.get("tid")), (&json!("1.0"), None));
        }
        let own = lab.post(TOKEN, &changed("scope", Some("openid"))).await;
        assert_eq!(lab.verified(own.token()).await["aud"], format!("microsoft:identityserver:{DEV_APP}"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_sha_1_names_a_certificate() {
        let identity = Identity::new();
        let lab = lab(&identity).await;
        let claims = claims_at(&lab, TOKEN);
        let reply = assert_with(&lab, TOKEN, &identity.sign(&identity.rs256(), &claims)).await;
        assert_eq!(lab.verified(reply.token()).await["appid"], CERT_APP);
        let refused = assert_with(&lab, TOKEN, &identity.sign(&identity.ps256(), &claims)).await;
        let (status, error, text) = bare_error(&refused);
        assert_eq!((status, error), (400, "invalid_client"));
        assert!(text.starts_with("MSIS9623: "), "{text}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_refuses_in_its_own_words() {
        let lab = lab(&Identity::new()).await;
        for (name, value, error, number) in [
            ("client_secret", "wr0ng", "invalid_client", "MSIS9622"),
            ("client_id", OTHER_TENANT, "invalid_client", "MSIS9607"),
            ("grant_type", "password", "unsupported_grant_type", "MSIS9611"),
            ("resource", "https://gone.invalid", "invalid_resource", "MSIS9602"),
        ] {
            let refused = lab.post(TOKEN, &changed(name, Some(value))).await;
            let (status, said, text) = bare_error(&refused);
            assert_eq!((status, said), (400, error), "{name}");
            assert!(text.starts_with(&format!("{number}: ")), "{text}");
        }
    }
}

mod b2c {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_policy_has_its_endpoints_and_a_domain_is_a_tenant() {
        let identity = Identity::new();
        let lab = lab(&identity).await;
        let base = lab.sts.url();
        for tenant in [TENANT, "contoso.onmicrosoft.com"] {
            let place = format!("/{tenant}/{POLICY}");
            let found = lab.get(&format!("{place}/v2.0/.well-known/openid-configuration")).await.body;
            let token = format!("{place}/oauth2/v2.0/token");
            assert_eq!(found["token_endpoint"], format!("{base}{token}"));
            let reply = lab.post(&token, &secret_form(DEV_SECRET)).await;
            assert_eq!(reply.body["expires_in"], 3600);
            let claims = verified_by(&lab, &found, reply.token()).await;
            let issuer = format!("{base}/{}/v2.0/", claims["tid"].as_str().unwrap());
            assert_eq!((&claims["iss"], &found["issuer"]), (&json!(issuer), &json!(issuer)));
            for (claim, value) in [("ver", "1.0"), ("azp", DEV_APP), ("tfp", POLICY), ("acr", POLICY)] {
                assert_eq!(claims[claim], value, "{claim}");
            }
            let assertion = identity.sign(&identity.ps256(), &claims_at(&lab, &token));
            assert_eq!(assert_with(&lab, &token, &assertion).await.status, 200);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_refuses_as_entra_does() {
        let lab = lab(&Identity::new()).await;
        let at = |tenant: &str| format!("/{tenant}/b2c_1_in/oauth2/v2.0/token");
        let refused = lab.post(&at(TENANT), &secret_form("wr0ng")).await;
        assert_eq!(refused.refusal(), (401, "invalid_client", 7_000_215));
        let refused = lab.post(&at("contoso"), &secret_form(DEV_SECRET)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request", 900_023));
        let missing = lab.post(&format!("/{TENANT}/b2c_1_in/oauth2/token"), &secret_form(DEV_SECRET)).await;
        assert_eq!(missing.refusal().0, 404);
    }
}

mod ciam {
    use super::*;

    const HOST: &str = "contoso.ciamlogin.com";

    #[tokio::test(flavor = "multi_thread")]
    async fn the_host_makes_it_external_id() {
        let identity = Identity::new();
        let lab = lab(&identity).await;
        let document = "/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration";
        let found = lab.send(lab.http.get(format!("{}{document}", lab.sts.url())).header("host", HOST)).await.body;
        let endpoint = found["token_endpoint"].as_str().unwrap();
        let path = endpoint.strip_prefix(&format!("http://{HOST}")).unwrap();
        let tenant = path.split('/').nth(1).unwrap();
        assert_eq!(found["issuer"], format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0"));
        let post = |form: &[(&str, &str)]| lab.send(lab.post_to(path, form).header("host", HOST));
        let claims = lab.verified(post(&secret_form(DEV_SECRET)).await.token()).await;
        assert_eq!((&claims["iss"], &claims["tid"]), (&found["issuer"], &json!(tenant)));
        let signed = identity.sign(&identity.ps256(), &with(&own_claims(&lab), "aud", json!(endpoint)));
        assert_eq!(post(&assertion_form(CERT_APP, &signed)).await.status, 200);
        let refused = post(&secret_form("wr0ng")).await;
        assert_eq!(refused.refusal(), (401, "invalid_client", 7_000_215));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_certificate_has_the_names_of_the_world() {
        let dir = tempfile::tempdir().unwrap();
        let sts = Sts::start(Settings::default(), &[loopback()], Some(dir.path()), Clock::System).await.unwrap();
        let port: SocketAddr = sts.url().strip_prefix("https://").unwrap().parse().unwrap();
        client(None);
        let pem = fs::read(sts.announcement().ca_file.unwrap()).unwrap();
        let authority = reqwest::Certificate::from_pem(&pem).unwrap();
        for (host, trusted) in [
            (HOST, true),
            ("contoso.b2clogin.com", true),
            ("login.microsoftonline.com", true),
            ("login.microsoftonline.us", true),
            ("westus2.login.microsoft.com", true),
            ("a.contoso.ciamlogin.com", false),
            ("example.com", false),
        ] {
            let http = reqwest::Client::builder()
                .no_proxy()
                .resolve(host, port)
                .tls_certs_only([authority.clone()])
                .build()
                .unwrap();
            let url = format!("https://{host}:{}/{TENANT}/discovery/keys", port.port());
            assert_eq!(http.get(url).send().await.is_ok(), trusted, "{host}");
        }
    }
}

mod oidc {
    use super::*;

    const TOKEN: &str = "/oidc/token";

    #[tokio::test(flavor = "multi_thread")]
    async fn its_issuer_is_where_it_lies() {
        let lab = Lab::start().await;
        let issuer = format!("{}/oidc", lab.sts.url());
        let found = lab.get("/oidc/.well-known/openid-configuration").await.body;
        assert_eq!(found["issuer"], issuer);
        assert_eq!(found["token_endpoint"], format!("{issuer}/token"));
        assert_eq!(found["jwks_uri"], format!("{issuer}/keys"));
        let reply = lab.post(TOKEN, &changed("scope", Some("read write"))).await;
        assert_eq!((&reply.body["scope"], &reply.body["expires_in"]), (&json!("read write"), &json!(3600)));
        let claims = verified_by(&lab, &found, reply.token()).await;
        for (claim, value) in [
            ("iss", issuer.as_str()),
            ("sub", DEV_APP),
            ("client_id", DEV_APP),
            ("aud", DEV_APP),
            ("scope", "read write"),
        ] {
            assert_eq!(claims[claim], value, "{claim}");
        }
        let mut form = changed("scope", None);
        form.push(("resource", RESOURCE));
        assert_eq!(lab.verified(lab.post(TOKEN, &form).await.token()).await["aud"], RESOURCE);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_certificate_may_be_named_in_any_way() {
        let identity = Identity::new();
        let lab = lab(&identity).await;
        let claims = claims_at(&lab, TOKEN);
        let issuer = with(&claims, "aud", json!(format!("{}/oidc", lab.sts.url())));
        let kid = |algorithm, kid: &str| {
            let mut header = Header::new(algorithm);
            header.kid = Some(kid.to_owned());
            header
        };
        let sha256 = BASE64_URL_SAFE_NO_PAD.encode(identity.thumbprint(&SHA256));
        for header in [
            identity.ps256(),
            identity.rs256(),
            kid(Algorithm::PS256, &sha256),
            Header::new(Algorithm::PS256),
            Header::new(Algorithm::RS256),
        ] {
            for claims in [&claims, &issuer] {
                let reply = assert_with(&lab, TOKEN, &identity.sign(&header, claims)).await;
                assert_eq!(reply.status, 200, "{header:?}: {}", reply.body);
            }
        }
        let stranger = Identity::new();
        for assertion in [
            identity.sign(&kid(Algorithm::PS256, "other"), &claims),
            stranger.sign(&Header::new(Algorithm::PS256), &claims),
            stranger.sign(&stranger.ps256(), &claims),
        ] {
            let refused = assert_with(&lab, TOKEN, &assertion).await;
            let (status, error, text) = bare_error(&refused);
            assert_eq!((status, error), (401, "invalid_client"));
            assert!(!text.contains("AADSTS"), "{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_refuses_in_plain_words() {
        let lab = lab(&Identity::new()).await;
        for (name, value, expected) in [
            ("client_secret", Some("wr0ng"), (401, "invalid_client")),
            ("client_id", Some(OTHER_TENANT), (401, "invalid_client")),
            ("grant_type", Some("password"), (400, "unsupported_grant_type")),
            ("grant_type", None, (400, "invalid_request")),
            ("resource", Some("https://gone.invalid"), (400, "invalid_target")),
        ] {
            let refused = lab.post(TOKEN, &changed(name, value)).await;
            let (status, error, text) = bare_error(&refused);
            assert_eq!((status, error), expected, "{name}");
            assert!(!text.contains("AADSTS"), "{text}");
        }
        let form = [("grant_type", "client_credentials")];
        let basic = |secret| lab.send(lab.post_to(TOKEN, &form).basic_auth(DEV_APP, Some(secret)));
        assert_eq!(basic(DEV_SECRET).await.status, 200);
        let refused = basic("x").await;
        assert_eq!(bare_error(&refused).0, 401);
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    }
}

mod everywhere {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn faults_and_journal_work() {
        let lab = lab(&Identity::new()).await;
        let b2c = format!("/{TENANT}/{POLICY}/oauth2/v2.0/token");
        for (path, tenant) in [("/adfs/oauth2/token", "adfs"), (&b2c, TENANT), ("/oidc/token", "oidc")] {
            lab.clear("requests").await;
            lab.faults(json!([{"match": {"tenant": tenant, "client_id": DEV_APP}, "times": 1, "status": 429}])).await;
            let busy = lab.post(path, &secret_form(DEV_SECRET)).await;
            assert_eq!((busy.status, &busy.body["error"]), (429, &json!("temporarily_unavailable")), "{path}");
            assert_eq!(lab.post(path, &secret_form(DEV_SECRET)).await.status, 200, "{path}");
            let journal = lab.get("/_sts/requests").await.body;
            assert_eq!(journal[1]["path"], path);
            assert!(!journal.to_string().contains(DEV_SECRET));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_faulty_status_alone_has_the_body_of_an_error() {
        let lab = Lab::start().await;
        for (status, expected) in [
            (429, (429, "temporarily_unavailable", 90_055)),
            (503, (503, "temporarily_unavailable", 90_033)),
            (401, (401, "invalid_client", 7_000_215)),
            (418, (418, "invalid_request", 9_002_313)),
        ] {
            lab.faults(json!([{"times": 1, "status": status}])).await;
            assert_eq!(lab.token().await.refusal(), expected);
        }
        lab.faults(json!([{"times": 1, "status": 429, "body": ""}])).await;
        assert_eq!(lab.token().await.body, json!(""));
    }
}
