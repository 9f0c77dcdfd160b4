//! A future that is asked only when something has happened to it.
//!
//! A task that waits for many things asks all of them each time any one happens. Most of what a connection waits for
//! happens once in its life, if ever, and asking takes a lock; ten thousand of them ask at each change. So what is seldom
//! ready is given a waker of its own, which says whether to ask.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::publish::{Bell, Ear, Ring};

/// See above. Once it was ready it must not be asked again.
#[derive(Debug)]
pub(super) struct Seldom<F> {
    future: F,
    /// Hears when the future has something to say.
    ear: Ear,
    waker: Waker,
}

impl<F: Future + Unpin> Seldom<F> {
    pub fn new(future: F) -> Self {
        let bell = Arc::new(Bell::default());
        // It has to be asked once, or it does not know whom to wake.
        bell.ring(Ring::Woken);
        Self { future, waker: bell.clone().into(), ear: Ear::new(bell) }
    }
}

impl<F: Future + Unpin> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, ear, waker } = self.get_mut();
        if ear.hear(context).is_silent() {
            return Poll::Pending;
        }
        Pin::new(future).poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_asked_when_it_has_something_to_say() {
        let (sender, mut receiver) = oneshot::channel();
        let mut asked = 0;
        let mut seldom = Seldom::new(poll_fn(|context| {
            asked += 1;
            Pin::new(&mut receiver).poll(context)
        }));
        for _ in 0..5 {
            assert!(poll_fn(|context| Poll::Ready(Pin::new(&mut seldom).poll(context))).await.is_pending());
        }
        sender.send("said").expect("somebody listens");
        assert_eq!((&mut seldom).await, Ok("said"));
        drop(seldom);
        assert_eq!(asked, 2);
    }
}
