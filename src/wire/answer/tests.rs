use proptest::prelude::*;

use super::*;
use crate::fault::Kind;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn incoming(status: u16, body: &str) -> Incoming {
    Incoming { status, retry_after: None, content_type: None, id: None, body: body.to_owned().into() }
}

fn fault_of(status: u16, body: &str) -> Fault {
    token(&incoming(status, body), Reading::at(NOW), &[]).unwrap_err()
}

#[test]
fn times_are_read_as_numbers_or_strings() {
    for (times, life, refresh_in) in [
        (r#","expires_in":3599"#, 3599, None),
        (r#","expires_in":"3599","refresh_in":"1800""#, 3599, Some(1800)),
        (r#","expires_in":86399,"refresh_in":43199"#, 86_399, Some(43_199)),
        (r#","expires_on":"1700000100""#, 100, None),
        (r#","expires_in":"soon","expires_on":1700000100"#, 100, None),
        ("", 600, None),
        (r#","expires_in":99999999999999"#, 24 * 366 * 3600, None),
        (r#","expires_in":1e300"#, 24 * 366 * 3600, None),
        (r#","expires_in":3599.7,"refresh_in":"-1""#, 3599, None),
        (r#","expires_in":null"#, 600, None),
        (r#","expires_in":" 3599 ""#, 3599, None),
        (r#","expires_in":"3.6e3""#, 3600, None),
        (r#","expires_in":18446744073709551615"#, 24 * 366 * 3600, None),
        (r#","expires_in":"1e308""#, 24 * 366 * 3600, None),
        (r#","expires_in":[],"expires_on":1700000100"#, 100, None),
        (r#","expires_on":18446744073709551615"#, 24 * 366 * 3600, None),
        (r#","expires_in":1,"refresh_in":1e308"#, 1, None),
    ] {
        let body = format!(r#"{{"access_token":"t"{times}}}"#);
        let token = token(&incoming(200, &body), Reading::at(NOW), &[]).unwrap();
        assert_eq!(token.life().as_secs(), life, "{times}");
        assert_eq!(token.refresh_in().map(|d| d.as_secs()), refresh_in, "{times}");
    }
}

#[test]
fn what_is_no_usable_token_is_an_outage() {
    for body in [
        "",
        "{}",
        "null",
        "<html>Please sign in to the Wi-Fi</html>",
        r#"{"access_token":"abc","expires_in":36"#,
        r#"{"access_token":""}"#,
        r#"{"access_token":"a\nb"}"#,
        r#"{"access_token":"a","token_type":"pop"}"#,
        r#"{"access_token":"a","expires_in":0}"#,
        r#"{"access_token":"a","expires_in":-1}"#,
        r#"{"access_token":"a","expires_in":"-1"}"#,
        r#"{"access_token":"a","expires_in":"soon"}"#,
        r#"{"access_token":"a","expires_in":0.9}"#,
        r#"{"access_token":"a","expires_in":"0"}"#,
        r#"{"access_token":"a","expires_in":""}"#,
        r#"{"access_token":"a","expires_in":"NaN"}"#,
        r#"{"access_token":"a","expires_in":"inf"}"#,
        r#"{"access_token":"a","expires_in":"1e999"}"#,
        r#"{"access_token":"a","expires_in":1e999}"#,
        r#"{"access_token":"a","expires_in":-1e300}"#,
        r#"{"access_token":"a","expires_in":true}"#,
        r#"{"access_token":"a","expires_in":{}}"#,
        r#"{"access_token":"a","expires_in":[3599]}"#,
        r#"{"access_token":"a","expires_in":"0x10"}"#,
        r#"{"access_token":"a","expires_on":"1600000000"}"#,
        r#"{"access_token":"a","expires_on":1700000000}"#,
        r#"{"access_token":7}"#,
    ] {
        let fault = fault_of(200, body);
        assert_eq!((fault.status(), fault.turn().as_str()), (503, "authority"), "{body}");
        assert!(!fault.inward().unwrap_or_default().contains("abc"), "{fault:?}");
    }
}

#[test]
fn each_answer_has_its_kind() {
    let error = |error: &str, number: u32| {
        format!(r#"{{"error":"{error}","error_codes":[{number}],"error_description":"AADSTS{number}: words"}}"#)
    };
    for (status, body, kind) in [
        (401, error("invalid_client", 7_000_215), Kind::RejectedCredential),
        (401, error("invalid_client", 1), Kind::RejectedCredential),
        (400, error("unauthorized_client", 700_016), Kind::Misconfigured),
        (400, error("invalid_request", 90_002), Kind::Misconfigured),
        (400, error("invalid_resource", 500_011), Kind::InvalidRequest),
        (400, error("invalid_scope", 2), Kind::InvalidRequest),
        (400, error("invalid_grant", 50_196), Kind::Throttled),
        (400, error("invalid_grant", 65_001), Kind::Misconfigured),
        (400, error("something_new", 3), Kind::Misconfigured),
        (400, error("temporarily_unavailable", 4), Kind::Unavailable),
        (503, error("invalid_client", 7_000_215), Kind::Unavailable),
        (429, "Too Many Requests".to_owned(), Kind::Throttled),
        (408, String::new(), Kind::Unavailable),
        (500, "<html>".to_owned(), Kind::Unavailable),
        (403, "<html>proxy</html>".to_owned(), Kind::Unavailable),
        (407, String::new(), Kind::Unavailable),
        (302, String::new(), Kind::Unavailable),
        (204, String::new(), Kind::Unavailable),
    ] {
        assert_eq!(fault_of(status, &body).kind, kind, "{status} {body}");
    }
}

#[test]
fn a_fault_keeps_number_id_and_words_apart() {
    let id = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"AADSTS7000215: Invalid\r\nclient secret","correlation_id":"{id}"}}"#
    );
    let fault = fault_of(401, &body);
    assert_eq!((fault.aadsts(), fault.correlation_id()), (Some(7_000_215), Some(id)));
    assert!(!fault.to_string().contains("Invalid"));
    assert!(fault.inward().unwrap().contains("Invalid  client secret"));
}

#[test]
fn retry_after_is_read_in_both_forms() {
    for (text, secs) in [
        ("17", Some(17)),
        (" 0 ", None),
        ("99999999999999999999", Some(u64::MAX)),
        ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
        ("Tue, 14 Nov 2023 22:00:00 GMT", None),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(retry_after(text, NOW).map(|d| d.as_secs()), secs, "{text}");
    }
    let throttled = Incoming { retry_after: Some("17".to_owned()), ..incoming(429, "") };
    assert_eq!(token(&throttled, Reading::at(NOW), &[]).unwrap_err().retry_after(), Some(Duration::from_secs(17)));
}

#[test]
fn one_odd_field_does_not_hide_the_others() {
    for odd in [r#""error_codes":null"#, r#""error_codes":7000215"#, r#""correlation_id":5"#, r#""trace_id":{}"#] {
        let body = format!(r#"{{"error":"invalid_client","error_description":"AADSTS7000215: words",{odd}}}"#);
        let fault = fault_of(401, &body);
        assert_eq!((fault.kind, fault.aadsts()), (Kind::RejectedCredential, Some(7_000_215)), "{odd}");
    }
}

#[test]
fn words_that_repeat_a_secret_are_withheld_whole() {
    let (first, second) = (Secret::from("first-secret".to_owned()), Secret::from("second/secret".to_owned()));
    let padding = "x".repeat(595);
    for words in
        ["a first-secret b", "client_secret=second%2Fsecret&x", &format!("{padding}first-secret"), "FIRST-SECRET"]
    {
        let body = format!(r#"{{"error":"invalid_client","error_description":"{words}"}}"#);
        let fault = token(&incoming(401, &body), Reading::at(NOW), &[&first, &second]).unwrap_err();
        assert_eq!(fault.inward(), Some("HTTP 401; the words are withheld, since they repeat a credential"), "{words}");
    }
}

#[test]
fn words_stay_in_one_line_and_one_direction() {
    let fault = fault_of(401, r#"{"error":"a\u001b[31mb","error_description":"c\u202ed\u2028e\nf"}"#);
    assert_eq!(fault.inward(), Some("HTTP 401 a [31mb: c d e f (trace id -)"));
}

#[test]
fn a_type_that_is_not_json_is_refused_and_none_is_tolerated() {
    for (content_type, fine) in [
        (None, true),
        (Some(""), true),
        (Some("application/json"), true),
        (Some("Application/JSON; charset=utf-8"), true),
        (Some("text/json"), true),
        (Some("application/problem+json"), true),
        (Some("text/html; charset=utf-8"), false),
        (Some("text/plain"), false),
        (Some("application/jsonp"), false),
        (Some("application/octet-stream"), false),
    ] {
        let content_type = content_type.map(str::to_owned);
        let answer = Incoming { content_type, ..incoming(200, r#"{"access_token":"t","expires_in":60}"#) };
        let token = token(&answer, Reading::at(NOW), &[]);
        assert_eq!(token.is_ok(), fine, "{:?}", answer.content_type);
        if let Err(fault) = token {
            assert!(fault.is_transient() && fault.to_string().contains("a type that is not JSON"), "{fault}");
        }
    }
    // An error counts whatever it calls itself.
    let plain = |body| Incoming { content_type: Some("text/plain".to_owned()), ..incoming(400, body) };
    let fault = token(&plain(r#"{"error":"invalid_client"}"#), Reading::at(NOW), &[]).unwrap_err();
    assert_eq!(fault.kind, Kind::RejectedCredential);
}

#[test]
fn claims_go_up_if_they_are_an_object_and_harmless() {
    let secret = Secret::from("the-secret".to_owned());
    let claims_of = |claims: Value| {
        let body = serde_json::json!({ "error": "interaction_required", "claims": claims }).to_string();
        token(&incoming(400, &body), Reading::at(NOW), &[&secret])
            .unwrap_err()
            .claims()
            .map(|claims| claims.as_str().to_owned())
    };
    let wanted = r#"{"access_token":{"nbf":{"essential":true}}}"#;
    assert_eq!(claims_of(wanted.into()).as_deref(), Some(wanted));
    assert_eq!(claims_of(serde_json::from_str(wanted).unwrap()).as_deref(), Some(wanted));
    assert_eq!(claims_of(format!(" {wanted}\n").into()).as_deref(), Some(wanted));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(4096));
    for odd in ["", "x", "[]", "7", "null", r#"{"a":"the-secret"}"#, &long] {
        assert_eq!(claims_of(odd.into()), None, "{odd}");
    }
    assert_eq!(claims_of(Value::from(7)), None);
    let fault = fault_of(400, r#"{"error":"new","claims":"{}"}"#);
    assert_eq!((fault.status(), fault.claims().map(ClaimsRequest::as_str)), (403, Some("{}")));
}

#[test]
fn both_ids_come_back_if_they_are_guids() {
    let (one, other) = ("5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1", "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a2");
    let body = format!(r#"{{"error":"x","correlation_id":"{one}","trace_id":"{other}"}}"#);
    let fault = fault_of(400, &body);
    assert_eq!((fault.correlation_id(), fault.trace_id()), (Some(one), Some(other)));
    assert_eq!(fault_of(400, &body.replace('-', "_")).trace_id(), None);
}

/// Anything that JSON can hold where a time should be.
fn anything() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|n| if n.is_finite() { format!("{n:?}") } else { "1e999".to_owned() }),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| format!("\"{n}\"")),
        "\"[-+0-9.eE a-z]{0,12}\"",
        Just("null".to_owned()),
        Just("[1]".to_owned()),
        Just("{}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_token_is_kept_past_its_end(
        sent in 1_700_000_000_000_u64..1_700_000_100_000,
        until_signed in 0_u64..5000,
        life in 1_u64..100_000,
    ) {
        let at = |millis| Timestamp::default() + Duration::from_millis(millis);
        let exp = Timestamp::from_secs(at(sent + until_signed).as_secs() + life);
        let kept = |body: &str| token(&incoming(200, body), Reading::at(at(sent)), &[]).unwrap();
        let counted = kept(&format!(r#"{{"access_token":"t","expires_in":{life}}}"#));
        prop_assert!(counted.expires_at <= exp);
        prop_assert!(exp.since(counted.expires_at) < Duration::from_millis(until_signed + 1000));
        prop_assert_eq!(counted.life(), Duration::from_secs(life));
        let told = kept(&format!(r#"{{"access_token":"t","expires_on":"{}"}}"#, exp.as_secs()));
        prop_assert_eq!(told.expires_at, exp);
    }

    #[test]
    fn no_time_is_too_odd_to_be_read_or_refused(
        expires_in in anything(), expires_on in anything(), refresh_in in anything(), now in any::<u64>(),
    ) {
        let body = format!(
            r#"{{"access_token":"t","expires_in":{expires_in},"expires_on":{expires_on},"refresh_in":{refresh_in}}}"#
        );
        let now = Timestamp::from_secs(now);
        match token(&incoming(200, &body), Reading::at(now), &[]) {
            Ok(token) => {
                prop_assert!(token.life() <= MAX_LIFE);
                prop_assert_eq!(token.issued_at, Timestamp::from_secs(now.as_secs()));
            }
            Err(fault) => prop_assert!(fault.is_transient()),
        }
    }

    #[test]
    fn no_answer_is_too_odd(status in 100_u16..1000, body in ".{0,200}", retry_after in ".{0,40}") {
        let answer = Incoming { retry_after: Some(retry_after), ..incoming(status, &body) };
        prop_assert!(token(&answer, Reading::at(NOW), &[]).is_err());
    }
}
