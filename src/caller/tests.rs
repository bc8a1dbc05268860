use proptest::prelude::*;

use super::account::AccountRule;
use super::glob::Glob;
use super::proof::UserRule;
use super::subject::SubjectRule;
use super::*;
use crate::dialect::headers::SECRET;
use crate::secret::Imprint;

const APP_SERVICE: Guard = Guard::HeaderSecret(IDENTITY_HEADER);
const APP_SERVICE_2017: Guard = Guard::HeaderSecret(SECRET);

/// These, in the places in which they are listed.
fn in_order(proofs: Vec<Proof>, order: &[Means]) -> Callers {
    Callers::named(proofs.into_iter().enumerate(), order)
}

fn secrets(texts: &[&str]) -> Proof {
    Proof::HeaderSecret(texts.iter().map(|text| Imprint::of(text.as_bytes())).collect())
}

fn glob(text: &str) -> Option<Glob> {
    Some(Glob::parse(text).unwrap())
}

fn account(namespace: &str, name: &str) -> Proof {
    Proof::ServiceAccount(AccountRule::new(glob(namespace), glob(name), None, None).unwrap())
}

fn user(uid: Option<u32>, gid: Option<u32>) -> Proof {
    Proof::Unix(UserRule { uid, gid })
}

fn spiffe(id: &str) -> Proof {
    Proof::Mtls(SubjectRule { spiffe_id: glob(id), dns_name: None, subject: None })
}

fn subject(id: &str) -> Subject {
    Subject { uris: vec![id.to_owned()], ..Subject::default() }
}

/// The place of the caller that is recognised, the token that has to be verified, or the status.
fn recognised(callers: &Callers, guard: Guard, peer: &Peer<'_>) -> Result<Option<usize>, u16> {
    match callers.recognise(guard, peer) {
        Ok(Recognition::Known(caller)) => Ok(caller.place()),
        Ok(Recognition::Token { .. }) => Err(0),
        Err(fault) => Err(fault.status()),
    }
}

#[test]
fn where_none_are_told_apart_any_of_the_secrets_is_enough_and_nothing_else_is() {
    let known = ["old", "new"].map(|text| Secret::from(text.to_owned()));
    let show = |secrets: &[Secret], shown| {
        let peer = Peer { identity_header: shown, ..Peer::default() };
        recognised(&Callers::open(secrets), APP_SERVICE, &peer)
    };
    assert_eq!(show(&known, Some(b"old")), Ok(None));
    assert_eq!(show(&known, Some(b"new")), Ok(None));
    for wrong in [None, Some(&b""[..]), Some(b"ne"), Some(b"new "), Some(b"\xff")] {
        assert_eq!(show(&known, wrong), Err(401));
    }
    assert_eq!(show(&[], Some(b"")), Err(401));
    assert_eq!(show(&[Secret::from(String::new())], Some(b"")), Err(401));
}

#[test]
fn a_wrong_proof_is_refused_where_none_is_needed() {
    let open = Callers::open(&[Secret::from("right".to_owned())]);
    let show = |callers: &Callers, shown| {
        recognised(callers, Guard::Metadata, &Peer { is_loopback: true, secret: shown, ..Peer::default() })
    };
    assert_eq!(show(&open, None), Ok(None));
    assert_eq!(show(&open, Some(b"right")), Ok(None));
    assert_eq!(show(&open, Some(b"wrong")), Err(401));
    assert_eq!(show(&Callers::open(&[]), Some(b"means nothing here")), Ok(None));
    let named = in_order(vec![secrets(&["right"]), Proof::Loopback], &Means::ALL);
    assert_eq!(show(&named, None), Ok(Some(1)));
    assert_eq!(show(&named, Some(b"right")), Ok(Some(0)));
    assert_eq!(show(&named, Some(b"wrong")), Err(401), "it does not fall back to loopback");
    // Nor where nobody is known by such a proof any more.
    let alone = in_order(vec![Proof::Loopback], &[Means::Loopback]);
    let here = Peer { is_loopback: true, ..Peer::default() };
    assert_eq!(recognised(&alone, Guard::Metadata, &here), Ok(Some(0)));
    for wrong in [
        Peer { identity_header: Some(b"stale"), ..here },
        Peer { secret: Some(b"stale"), ..here },
        Peer { authorization: Some(b"Bearer stale"), ..here },
        Peer { authorization: Some(b"Bearer"), ..here },
    ] {
        assert_eq!(recognised(&alone, Guard::Metadata, &wrong), Err(401), "{wrong:?}");
    }
    let with_secret = Peer { secret: Some(b"right"), authorization: Some(b"Bearer garbage"), ..here };
    assert_eq!(recognised(&named, Guard::Metadata, &with_secret), Err(401));
}

#[test]
fn whatever_stands_in_authorization_has_to_be_right_where_callers_are_told_apart() {
    let here = |shown| Peer { authorization: Some(shown), is_loopback: true, ..Peer::default() };
    let by_account = in_order(vec![account("shop", "*"), Proof::Loopback], &Means::ALL);
    let by_place = in_order(vec![Proof::Loopback], &[Means::Loopback]);
    let open = Callers::open(&[Secret::from("right".to_owned())]);
    for shown in ["", "Bearer\tx", "Bearerx", "Token x", "Basic x", "Negotiate", "x", "\u{e9}"] {
        let peer = here(shown.as_bytes());
        for callers in [&by_account, &by_place] {
            assert_eq!(recognised(callers, Guard::Metadata, &peer), Err(401), "{shown:?}");
        }
        assert_eq!(recognised(&open, Guard::Metadata, &peer), Ok(None), "{shown:?}: nobody is known by it");
    }
    // What a key file held stands there too, and is looked at by itself.
    for (guard, expected) in [(Guard::KeyFile, Ok(Some(0))), (Guard::Metadata, Err(401))] {
        let peer = Peer { holds_key: true, ..here(b"Basic key") };
        assert_eq!(recognised(&by_place, guard, &peer), expected, "{guard:?}");
    }
}

#[test]
fn each_header_opens_its_own_dialect_and_two_must_agree() {
    let callers = in_order(vec![secrets(&["a", "a2"]), secrets(&["b"])], &Means::ALL);
    let show = |guard, identity_header: Option<&str>, secret: Option<&str>| {
        let (identity_header, secret) = (identity_header.map(str::as_bytes), secret.map(str::as_bytes));
        recognised(&callers, guard, &Peer { identity_header, secret, ..Peer::default() })
    };
    assert_eq!(show(APP_SERVICE, Some("a"), None), Ok(Some(0)));
    assert_eq!(show(APP_SERVICE_2017, None, Some("b")), Ok(Some(1)));
    assert_eq!(show(APP_SERVICE, None, Some("b")), Err(401), "the guard's own header is missing");
    assert_eq!(show(APP_SERVICE, Some("a"), Some("a2")), Ok(Some(0)));
    assert_eq!(show(APP_SERVICE, Some("a"), Some("b")), Err(401));
    assert_eq!(show(Guard::Metadata, None, None), Err(401), "nobody is anybody");
}

#[test]
fn the_order_decides_and_nothing_wrong_is_passed_over() {
    let proofs = || vec![spiffe("spiffe://corp/a"), secrets(&["b"]), user(Some(7), None)];
    let (id, seven) = (subject("spiffe://corp/a"), User { uid: 7, gid: 7 });
    let all = Peer { subject: Some(&id), secret: Some(b"b"), user: Some(seven), ..Peer::default() };
    assert_eq!(recognised(&in_order(proofs(), &Means::ALL), Guard::Metadata, &all), Ok(Some(0)));
    let other = [Means::Unix, Means::HeaderSecret, Means::Mtls];
    assert_eq!(recognised(&in_order(proofs(), &other), Guard::Metadata, &all), Ok(Some(2)));
    let stranger = subject("spiffe://corp/x");
    let wrong = Peer { subject: Some(&stranger), ..all };
    assert_eq!(recognised(&in_order(proofs(), &other), Guard::Metadata, &wrong), Err(401));
    let strange_user = Peer { user: Some(User { uid: 8, gid: 8 }), secret: Some(b"b"), ..Peer::default() };
    assert_eq!(recognised(&in_order(proofs(), &other), Guard::Metadata, &strange_user), Ok(Some(1)));
}

#[test]
fn a_token_is_verified_before_anybody_is_it() {
    let jwt = "eyJhbGciOiJub25lIn0.e30.x";
    let proofs = || vec![account("shop", "*"), account("shop", "billing"), secrets(&["s"]), Proof::Loopback];
    let callers = in_order(proofs(), &Means::ALL);
    let shown = format!("bearer  {jwt}");
    let bearer = Peer { authorization: Some(shown.as_bytes()), is_loopback: true, ..Peer::default() };
    let token = Ok(Recognition::Token { token: jwt.as_bytes(), instead: None });
    assert_eq!(callers.recognise(Guard::Metadata, &bearer).map_err(|fault| fault.status()), token);
    let header = Peer { identity_header: Some(jwt.as_bytes()), ..Peer::default() };
    assert_eq!(callers.recognise(APP_SERVICE, &header).map_err(|fault| fault.status()), token);
    let two = Peer { identity_header: Some(b"eyJ.other.x"), ..bearer };
    assert_eq!(recognised(&callers, APP_SERVICE, &two), Err(401));
    let first = in_order(proofs(), &[Means::Loopback, Means::ServiceAccount, Means::HeaderSecret]);
    let Ok(Recognition::Token { instead: Some(by_loopback), .. }) = first.recognise(Guard::Metadata, &bearer) else {
        panic!("the token is still verified");
    };
    assert_eq!(by_loopback.place(), Some(3));
    let known = |namespace: &str, name: &str| {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let account = ServiceAccount { namespace, name, pod: None, node: None };
        callers.recognise_account(&account).map(Caller::place).map_err(|fault| fault.status())
    };
    assert_eq!(known("shop", "billing"), Ok(Some(1)), "the narrower rule");
    assert_eq!(known("shop", "web"), Ok(Some(0)));
    assert_eq!(known("other", "billing"), Err(401));
    let accounts = in_order(vec![account("shop", "*"), Proof::Loopback], &Means::ALL);
    let secret = Peer { secret: Some(b"no token"), is_loopback: true, ..Peer::default() };
    assert_eq!(recognised(&accounts, Guard::Metadata, &secret), Err(401), "nobody is known by a secret");
    let no_accounts = in_order(vec![secrets(&[jwt])], &Means::ALL);
    assert_eq!(recognised(&no_accounts, APP_SERVICE, &header), Ok(Some(0)), "a secret may look like a token");
}

#[test]
fn a_rule_says_what_was_written() {
    for (proof, told) in [
        (account("shop-*", "*"), "namespace shop-*, service_account *"),
        (spiffe("spiffe://corp/*/a"), "spiffe_id spiffe://corp/*/a"),
        (user(Some(7), None), "uid 7"),
        (user(None, Some(0)), "gid 0"),
        (secrets(&["secret"]), ""),
        (Proof::Loopback, ""),
    ] {
        let conditions: Vec<String> = proof.conditions().iter().map(|(key, value)| format!("{key} {value}")).collect();
        assert_eq!(conditions.join(", "), told);
    }
}

#[test]
fn the_narrower_user_is_meant() {
    let callers = in_order(vec![user(None, Some(1)), user(Some(1), None), user(Some(1), Some(1))], &Means::ALL);
    for (uid, gid, place) in [(1, 1, Ok(Some(2))), (1, 2, Ok(Some(1))), (2, 1, Ok(Some(0))), (2, 2, Err(401))] {
        let peer = Peer { user: Some(User { uid, gid }), ..Peer::default() };
        assert_eq!(recognised(&callers, Guard::Metadata, &peer), place);
    }
}

#[test]
fn secrets_are_renewed_and_nothing_else_is() {
    let callers = in_order(vec![secrets(&["old"]), Proof::Loopback], &Means::ALL);
    let renewed = callers.with_secrets(|_| vec![Imprint::of(b"new")]).unwrap();
    let show = |shown| recognised(&renewed, APP_SERVICE, &Peer { identity_header: Some(shown), ..Peer::default() });
    assert_eq!((show(b"new"), show(b"old")), (Ok(Some(0)), Err(401)));
    assert_eq!(recognised(&renewed, Guard::Metadata, &Peer { is_loopback: true, ..Peer::default() }), Ok(Some(1)));
}

#[test]
fn a_renewed_secret_makes_nobody_another() {
    let callers = in_order(vec![secrets(&["a"]), secrets(&["b", "b2"])], &Means::ALL);
    assert!(callers.with_secrets(|_| vec![Imprint::of(b"both")]).is_none());
    let own = |place: Option<usize>| vec![Imprint::of(format!("new-{place:?}").as_bytes()); 2];
    assert!(callers.with_secrets(own).is_some(), "one caller may have one twice");
}

proptest! {
    #[test]
    fn whoever_shows_no_right_proof_is_nobody(shown in any::<Vec<u8>>(), other in any::<Option<Vec<u8>>>()) {
        prop_assume!(shown != b"right");
        let callers = in_order(vec![secrets(&["right"]), Proof::Loopback], &Means::ALL);
        let peer = Peer { identity_header: Some(&shown), authorization: other.as_deref(), is_loopback: true, ..Peer::default() };
        for guard in [APP_SERVICE, Guard::Metadata] {
            prop_assert_eq!(recognised(&callers, guard, &peer), Err(401));
        }
    }
}
