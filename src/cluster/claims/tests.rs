//! Every claim, in the shapes that clusters write.

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn rules(legacy: bool) -> Rules {
    let audiences = vec!["bursar".to_owned(), "api://bursar".to_owned()];
    Rules { issuer: "https://kubernetes.default.svc.cluster.local".to_owned(), audiences, legacy }
}

/// As Kubernetes 1.30 projects it.
fn bound() -> Value {
    json!({
        "aud": ["bursar"], "exp": 1_800_003_600, "iat": 1_800_000_000, "nbf": 1_800_000_000,
        "iss": "https://kubernetes.default.svc.cluster.local", "jti": "8b0ad1c0-2b1e-4d1f-9c8e-0d9f7a4a5a10",
        "kubernetes.io": {
            "namespace": "pay",
            "node": { "name": "node-1", "uid": "b5a8e3c1" },
            "pod": { "name": "roll-7f", "uid": "1f1c2d3e" },
            "serviceaccount": { "name": "roll", "uid": "9a9b9c9d" },
            "warnafter": 1_800_003_607
        },
        "sub": "system:serviceaccount:pay:roll"
    })
}

/// As a Secret of the type kubernetes.io/service-account-token holds it.
fn legacy() -> Value {
    json!({
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "pay",
        "kubernetes.io/serviceaccount/secret.name": "roll-token-x7k2p",
        "kubernetes.io/serviceaccount/service-account.name": "roll",
        "kubernetes.io/serviceaccount/service-account.uid": "9a9b9c9d",
        "sub": "system:serviceaccount:pay:roll"
    })
}

/// The claims with one more, or one less if that is null. A path leads into objects.
fn with(mut claims: Value, path: &str, value: Value) -> Value {
    let (parent, name) = path.rsplit_once('>').unwrap_or(("", path));
    let pointer = parent.split('>').filter(|part| !part.is_empty()).map(|part| format!("/{}", part.replace('/', "~1")));
    let object = claims.pointer_mut(&pointer.collect::<String>()).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
    claims
}

fn token(header: &str, claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

const HEADER: &str = r#"{"alg":"RS256","kid":"one"}"#;

fn judged(claims: &Value, rules: &Rules) -> Result<Told, String> {
    let token = token(HEADER, &claims.to_string());
    let told = Shown::parse(&token).and_then(|shown| shown.judge(rules, NOW));
    told.map_err(|fault| {
        let text = format!("{fault} {}", fault.inward().unwrap_or_default());
        assert_eq!(fault.status(), 401, "{text}");
        assert!(!token.split('.').any(|part| part.len() > 4 && text.contains(part)), "{text}");
        text
    })
}

#[test]
fn a_bound_token_tells_its_pod_and_node() {
    let account = |pod: Option<&str>, node: Option<&str>| {
        let (pod, node) = (pod.map(str::to_owned), node.map(str::to_owned));
        ServiceAccount { namespace: "pay".to_owned(), name: "roll".to_owned(), pod, node }
    };
    let expires = Some(Timestamp::from_secs(1_800_003_600));
    for (path, value, expected) in [
        ("jti", json!("x"), account(Some("roll-7f"), Some("node-1"))),
        ("aud", json!("api://bursar"), account(Some("roll-7f"), Some("node-1"))),
        ("aud", json!(["other", "bursar"]), account(Some("roll-7f"), Some("node-1"))),
        ("nbf", Value::Null, account(Some("roll-7f"), Some("node-1"))),
        ("iat", Value::Null, account(Some("roll-7f"), Some("node-1"))),
        ("nbf", json!(1_800_000_030), account(Some("roll-7f"), Some("node-1"))),
        ("kubernetes.io>node", Value::Null, account(Some("roll-7f"), None)),
        ("kubernetes.io>pod", Value::Null, account(None, Some("node-1"))),
    ] {
        let told = judged(&with(bound(), path, value.clone()), &rules(false)).unwrap();
        assert_eq!(told, Told { account: expected, expires }, "{path} {value}");
    }
}

#[test]
fn each_wrong_claim_is_refused_with_its_name() {
    for (path, value, words) in [
        ("iss", json!("https://other.cluster"), "it is of another issuer"),
        ("iss", json!("https://kubernetes.default.svc.cluster.local/"), "it is of another issuer"),
        ("iss", Value::Null, "it is malformed"),
        ("aud", json!(["https://kubernetes.default.svc"]), "it is for another audience"),
        ("aud", json!("Bursar"), "it is for another audience"),
        ("aud", json!([]), "it is for another audience"),
        ("aud", Value::Null, "it is for another audience"),
        ("aud", json!(3), "it is malformed"),
        ("exp", json!(1_800_000_000), "it has expired"),
        ("exp", json!(1_799_999_999), "it has expired"),
        ("exp", Value::Null, "it never ends"),
        ("exp", json!("1800003600"), "it is malformed"),
        ("exp", json!(-1), "it is malformed"),
        ("exp", json!(1e300), "it is malformed"),
        ("nbf", json!(1_800_000_031), "it is not valid yet"),
        ("iat", json!(1_800_000_031), "it is not valid yet"),
        ("sub", json!("system:serviceaccount:pay:other"), "it is no service account's"),
        ("sub", json!("system:serviceaccount:pay:roll:x"), "it is no service account's"),
        ("sub", json!("pay:roll"), "it is no service account's"),
        ("sub", Value::Null, "it is malformed"),
        ("kubernetes.io", Value::Null, "it is no service account's"),
        ("kubernetes.io>namespace", json!("other"), "it is no service account's"),
        ("kubernetes.io>serviceaccount>name", json!("other"), "it is no service account's"),
        ("kubernetes.io>serviceaccount", Value::Null, "it is malformed"),
        ("kubernetes.io/serviceaccount/namespace", json!("pay"), "it is no service account's"),
    ] {
        let told = judged(&with(bound(), path, value.clone()), &rules(true)).unwrap_err();
        assert!(told.contains(words), "{path} {value}: {told}");
    }
}

#[test]
fn a_legacy_token_is_taken_where_the_operator_says_so() {
    assert!(judged(&legacy(), &rules(false)).unwrap_err().contains("it is a legacy token"));
    let told = judged(&legacy(), &rules(true)).unwrap();
    assert_eq!((told.account.namespace.as_str(), told.account.name.as_str()), ("pay", "roll"));
    assert_eq!((told.account.pod, told.expires), (None, None));
    for (path, value, words) in [
        ("aud", json!(["other"]), "it is for another audience"),
        ("exp", json!(1_799_999_999), "it has expired"),
        ("sub", json!("system:serviceaccount:pay:other"), "it is no service account's"),
        ("kubernetes.io/serviceaccount/namespace", json!("other"), "it is no service account's"),
        ("kubernetes.io/serviceaccount/service-account.name", Value::Null, "it is no service account's"),
    ] {
        let told = judged(&with(legacy(), path, value), &rules(true)).unwrap_err();
        assert!(told.contains(words), "{path}: {told}");
    }
    let claims = with(bound(), "exp", Value::Null);
    assert!(judged(&claims, &rules(true)).unwrap_err().contains("it never ends"), "only legacy tokens do not end");
}

#[test]
fn what_is_no_token_is_refused_before_it_is_understood() {
    let claims = bound().to_string();
    let good = token(HEADER, &claims);
    let padded = format!("{}=.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"} "#), good.split_once('.').unwrap().1);
    let twice = claims.replacen('{', r#"{"iss":"https://other","#, 1);
    for (text, words) in [
        (String::new(), "it is malformed"),
        ("a.b".to_owned(), "it is malformed"),
        ("..".to_owned(), "it is malformed"),
        (format!("{good}.x"), "it is malformed"),
        (format!(" {good}"), "it is malformed"),
        (padded, "it is malformed"),
        (token("[]", &claims), "it is malformed"),
        (token(r#"{"kid":"one"}"#, &claims), "it is malformed"),
        (token(HEADER, "[]"), "it is malformed"),
        (token(HEADER, &twice), "it is malformed"),
        (token(r#"{"alg":"RS256","kid":"one","crit":["b64"],"b64":false}"#, &claims), "it is malformed"),
        (token(r#"{"alg":"RS256","alg":"none"}"#, &claims), "it is malformed"),
        (token(HEADER, &format!("{}{}", "[".repeat(1000), "]".repeat(1000))), "it is malformed"),
        (format!("{good}{}", "A".repeat(LARGEST)), "it is too large"),
    ] {
        let fault = Shown::parse(&text).err().unwrap();
        assert!(fault.status() == 401 && fault.to_string().contains(words), "{text:.80}: {fault}");
    }
    assert!(Shown::parse(&good).is_ok());
}

#[test]
fn a_token_names_its_key() {
    for (header, kid) in [
        (HEADER, Some("one")),
        (r#"{"alg":"RS256"}"#, None),
        (r#"{"alg":"RS256","kid":""}"#, None),
        (r#"{"alg":"RS256","kid":null}"#, None),
    ] {
        let token = token(header, &bound().to_string());
        assert_eq!(Shown::parse(&token).unwrap().kid().ok(), kid, "{header}");
    }
}

#[test]
fn foreign_words_stay_short_and_in_one_line() {
    let claims = with(bound(), "iss", json!(format!("https://x\n2026 ERROR {}", "y".repeat(5000))));
    let told = judged(&claims, &rules(false)).unwrap_err();
    assert!(!told.contains('\n') && told.len() < 900, "{told}");
}
