//! The last answer on a connection. Its body never tells the framework that it is over, so that nothing which came
//! behind its request is begun; the stream ends instead, once it is sent.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::Ledger;

/// A body after which nothing is said. It is not empty: the framework does not look at an empty one.
pub(super) struct Last {
    body: BoxBody,
    ledger: Rc<Ledger>,
}

impl Last {
    /// The body of the last answer.
    pub(super) const fn new(body: BoxBody, ledger: Rc<Ledger>) -> Self {
        Self { body, ledger }
    }
}

impl MessageBody for Last {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    /// Nobody has to be woken at the end: the stream is flushed right after it.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let next = Pin::new(&mut this.body).poll_next(context);
        if !matches!(next, Poll::Ready(None)) {
            return next;
        }
        this.ledger.say_last();
        Poll::Pending
    }
}
