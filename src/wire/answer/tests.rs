use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn incoming(status: u16, body: &str) -> Incoming {
    Incoming { status, retry_after: None, body: body.to_owned().into() }
}

fn fault_of(status: u16, body: &str) -> Fault {
    token(&incoming(status, body), NOW, &[]).unwrap_err()
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
    ] {
        let body = format!(r#"{{"access_token":"t"{times}}}"#);
        let token = token(&incoming(200, &body), NOW, &[]).unwrap();
        assert_eq!(token.life().as_secs(), life, "{times}");
        assert_eq!(token.refresh_in.map(|d| d.as_secs()), refresh_in, "{times}");
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
        r#"{"access_token":"a","expires_on":"1600000000"}"#,
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
        (" 0 ", Some(0)),
        ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
        ("Tue, 14 Nov 2023 22:00:00 GMT", Some(0)),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(retry_after(text, NOW).map(|d| d.as_secs()), secs, "{text}");
    }
    let throttled = Incoming { retry_after: Some("17".to_owned()), ..incoming(429, "") };
    assert_eq!(token(&throttled, NOW, &[]).unwrap_err().retry_after(), Some(Duration::from_secs(17)));
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
        let fault = token(&incoming(401, &body), NOW, &[&first, &second]).unwrap_err();
        assert_eq!(fault.inward(), Some("HTTP 401; the words are withheld, since they repeat a credential"), "{words}");
    }
}

#[test]
fn words_stay_in_one_line_and_one_direction() {
    let fault = fault_of(401, r#"{"error":"a\u001b[31mb","error_description":"c\u202ed\u2028e\nf"}"#);
    assert_eq!(fault.inward(), Some("HTTP 401 a [31mb: c d e f (trace id -)"));
}
