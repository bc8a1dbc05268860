//! Lets the API server say whose a token is (TokenReview). It also knows of pods and accounts that are gone, which
//! no signature tells.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::claims::{CHECK_CLUSTER, Told, clipped, named};
use super::endpoint::{Endpoint, LIMIT};
use super::refusal;
use crate::caller::account::ServiceAccount;
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::name::Malformed;
use crate::secret::Secret;
use crate::wire::Content;

/// An API server that reviews tokens.
pub struct Reviewer {
    endpoint: Endpoint,
    audiences: Vec<String>,
    /// One for each review under way.
    turns: Semaphore,
    /// One for each review that is under way or waits for its turn.
    places: Semaphore,
}

impl Reviewer {
    /// The reviewer at `endpoint`, which is asked for tokens that are meant for one of `audiences`.
    #[must_use]
    pub fn new(endpoint: Endpoint, audiences: Vec<String>) -> Self {
        Self { endpoint, audiences, turns: Semaphore::new(UNDER_WAY), places: Semaphore::new(UNDER_WAY + WAITING) }
    }

    /// Has a token reviewed whose claims say what is `told`; whose it is, is what the API server says.
    ///
    /// # Errors
    /// 401 when it does not accept the token, or knows it as another's; the faults of [`Endpoint::ask`], also when
    /// others are before it for as long as an answer may take.
    pub async fn review(&self, token: &str, told: Told, now: Timestamp) -> Result<Told, Fault> {
        let _place = self.places.try_acquire().map_err(|_| self.endpoint.crowded("no more may wait"))?;
        let turn = timeout(LIMIT, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| self.endpoint.crowded("no turn in time"))?;
        // A legacy token has no audience, and is reviewed as one for the API server itself.
        let audiences = if told.expires.is_some() { &self.audiences[..] } else { &[] };
        let answer = self.endpoint.ask(Some(Content::Json(question(token, audiences))), now).await?;
        let status = status(&answer).map_err(|malformed| self.endpoint.odd(&malformed))?;
        let account = account(&status, audiences, token)?;
        if (&account.namespace, &account.name) != (&told.account.namespace, &told.account.name) {
            return Err(refusal("it is another's than it says", CHECK_CLUSTER, String::new()));
        }
        Ok(Told { account, ..told })
    }
}

fn question(token: &str, audiences: &[String]) -> Secret {
    let question = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token, "audiences": audiences },
    });
    Secret::from(question.to_string())
}

fn status(answer: &[u8]) -> Result<Status, Malformed> {
    let review: Review = serde_json::from_slice(answer).map_err(|_| Malformed("this is no TokenReview"))?;
    Ok(review.status)
}

/// Whose the token is. An API server that says nothing of audiences did not look at them
/// (<https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/>).
fn account(status: &Status, audiences: &[String], token: &str) -> Result<ServiceAccount, Fault> {
    if !status.authenticated {
        return Err(refusal("the API server does not accept it", CHECK_CLUSTER, said(status, token)));
    }
    if !audiences.is_empty() && !status.audiences.iter().any(|one| audiences.contains(one)) {
        let remedy = "set the audience of the projected token to one that this service's operator gives";
        return Err(refusal("it is for another audience", remedy, clipped(&status.audiences.join(" "))));
    }
    let Some((namespace, name)) = named(&status.user.username) else {
        let why = clipped(&status.user.username);
        return Err(refusal("it is no service account's", CHECK_CLUSTER, why));
    };
    let extra = |key: &str| status.user.extra.get(key)?.first().cloned();
    Ok(ServiceAccount {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        pod: extra("authentication.kubernetes.io/pod-name"),
        node: extra("authentication.kubernetes.io/node-name"),
    })
}

/// The API server's own words, unless they repeat the token.
fn said(status: &Status, token: &str) -> String {
    let words = status.error.as_str().unwrap_or_default();
    if Secret::from(token.to_owned()).is_repeated_in(words) {
        "its words repeat the token".to_owned()
    } else {
        clipped(words)
    }
}

#[derive(Deserialize)]
struct Review {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    authenticated: bool,
    #[serde(default)]
    user: User,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    error: Value,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    extra: HashMap<String, Vec<String>>,
}

/// Whoever makes up tokens makes us ask for so many at once and no more.
const UNDER_WAY: usize = 16;
/// More could not be served in time by an API server that takes a tenth of a second for each.
const WAITING: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn reviewed(answer: &Value, audiences: &[&str]) -> Result<ServiceAccount, String> {
        let audiences: Vec<String> = audiences.iter().map(|&one| one.to_owned()).collect();
        let status = status(answer.to_string().as_bytes()).map_err(|malformed| malformed.to_string())?;
        account(&status, &audiences, "the.marked.token").map_err(|fault| format!("{fault} {:?}", fault.inward()))
    }

    #[test]
    fn an_account_is_told_by_its_user_name() {
        let extra = json!({
            "authentication.kubernetes.io/pod-name": ["roll-7f"], "authentication.kubernetes.io/node-name": ["node-1"],
            "authentication.kubernetes.io/credential-id": ["JTI=x"],
        });
        let user = json!({"username": "system:serviceaccount:pay:roll", "uid": "u", "groups": ["g"], "extra": extra});
        let answer = json!({"status": {"authenticated": true, "user": user, "audiences": ["bursar"]}});
        let account = reviewed(&answer, &["bursar"]).unwrap();
        assert_eq!((account.namespace.as_str(), account.name.as_str()), ("pay", "roll"));
        assert_eq!((account.pod.as_deref(), account.node.as_deref()), (Some("roll-7f"), Some("node-1")));
        let unbound =
            json!({"status": {"authenticated": true, "user": {"username": "system:serviceaccount:pay:roll"}}});
        assert_eq!(reviewed(&unbound, &[]).unwrap().pod, None);
    }

    #[test]
    fn anything_else_is_refused_and_the_token_not_repeated() {
        let user = |name: &str| json!({"authenticated": true, "user": {"username": name}, "audiences": ["bursar"]});
        for (status, words) in [
            (json!({}), "does not accept it"),
            (json!({"authenticated": false, "error": "invalid bearer token"}), "invalid bearer token"),
            (json!({"error": "the.marked.token is odd"}), "its words repeat the token"),
            (json!({"error": 3}), "does not accept it"),
            (user("system:node:node-1"), "no service account's"),
            (user("system:serviceaccount:pay"), "no service account's"),
            (user("system:serviceaccount:pay:roll:x"), "no service account's"),
            (
                json!({"authenticated": true, "user": {"username": "system:serviceaccount:pay:roll"}}),
                "another audience",
            ),
            (json!({"authenticated": "yes"}), "no TokenReview"),
        ] {
            let told = reviewed(&json!({ "status": status }), &["bursar"]).unwrap_err();
            assert!(told.contains(words) && !told.contains("marked"), "{status}: {told}");
        }
        assert!(reviewed(&json!([]), &[]).unwrap_err().contains("no TokenReview"));
    }

    #[test]
    fn the_question_does_not_print() {
        let question = question("the.marked.token", &["a".to_owned()]);
        assert!(!format!("{question:?}").contains("marked"));
        let expected = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"the.marked.token","audiences":["a"]}}"#;
        assert_eq!(question.expose(), expected);
    }
}
