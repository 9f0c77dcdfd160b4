//! A future that is asked only when something has happened to it.
//!
//! A task that waits for many things asks all of them each time any one happens. Most of what a connection or a stream
//! waits for happens once in its life, if ever, and asking takes a lock; ten thousand of them ask at each change. So what
//! is seldom ready is given a waker of its own, which says whether to ask.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// See above. Once it was ready it must not be asked again.
#[derive(Debug)]
pub(super) struct Seldom<F> {
    future: F,
    call: Arc<Call>,
    waker: Waker,
}

/// Set when the future has something to say.
#[derive(Debug)]
struct Call {
    was_made: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.was_made.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future + Unpin> Seldom<F> {
    pub fn new(future: F) -> Self {
        // It has to be asked once, or it does not know whom to wake.
        let call = Arc::new(Call { was_made: AtomicBool::new(true), task: AtomicWaker::new() });
        let waker = call.clone().into();
        Self { future, call, waker }
    }
}

impl<F: Future + Unpin> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, call, waker } = self.get_mut();
        call.task.register(context.waker());
        if call.was_made.swap(false, Ordering::AcqRel) {
            Pin::new(future).poll(&mut Context::from_waker(waker))
        } else {
            Poll::Pending
        }
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
