//! Many requests of one caller at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::callers::{FLOOD, request};
use crate::support::World;

/// Requests on their way, and the answers that there are by now as status, `Retry-After` and code.
pub(crate) struct Rush {
    pub(crate) asking: JoinSet<()>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

type Answer = (u16, Option<u64>, Value);

impl Rush {
    pub(crate) fn new() -> Self {
        Self { asking: JoinSet::new(), answers: Arc::default() }
    }

    /// Sends one more request and does not wait for its answer.
    pub(crate) fn ask(&mut self, world: &World, query: &str) {
        let (request, answers) = (request(world, FLOOD, query), Arc::clone(&self.answers));
        self.asking.spawn(async move {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let after = response.headers().get("retry-after").map(|after| after.to_str().unwrap().parse().unwrap());
            let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            answers.lock().unwrap().push((status, after, body["error"].clone()));
        });
    }

    /// So many requests, about a thousand a second, and how many of them were refused once that many are.
    pub(crate) async fn rush(&mut self, world: &World, queries: impl Iterator<Item = String>, refused: usize) {
        for query in queries {
            self.ask(world, &query);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        until(async || self.answers.lock().unwrap().len() >= refused).await;
        assert_eq!(self.answers.lock().unwrap().len(), refused);
        self.check();
    }

    /// Every refusal says in whole seconds when to come again; says how many refusals and how many tokens there are.
    pub(crate) fn check(&self) -> (usize, usize) {
        let answers = self.answers.lock().unwrap();
        let (tokens, refusals): (Vec<&Answer>, Vec<_>) = answers.iter().partition(|(status, ..)| *status == 200);
        for (status, after, code) in &refusals {
            let is_right = *status == 429 && after.is_some_and(|after| (1..=5).contains(&after));
            assert!(is_right && code == "too_many_requests", "{status} {after:?} {code}");
        }
        (refusals.len(), tokens.len())
    }
}

pub(crate) async fn until(happens: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if happens().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not happen");
}
