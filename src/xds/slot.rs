//! The place between a stream and its response body: one thing to be sent, or none.
//!
//! A place and not a queue: what does not fit is not made yet, so a client that is slow is sent the newest state. Two
//! tasks share it, and each is woken only for what it waits for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// The stream's side.
#[derive(Debug)]
pub(super) struct Giver<T>(Arc<Mutex<Slot<T>>>);

/// The body's side.
#[derive(Debug)]
pub(super) struct Taker<T>(Arc<Mutex<Slot<T>>>);

#[derive(Debug)]
struct Slot<T> {
    content: Option<T>,
    giver: Option<Waker>,
    /// The giver waits for room, not only for the other side to go.
    waits_for_room: bool,
    taker: Option<Waker>,
    giver_gone: bool,
    taker_gone: bool,
}

/// The other side is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// An empty place.
pub(super) fn slot<T>() -> (Giver<T>, Taker<T>) {
    let slot =
        Slot { content: None, giver: None, waits_for_room: false, taker: None, giver_gone: false, taker_gone: false };
    let slot = Arc::new(Mutex::new(slot));
    (Giver(slot.clone()), Taker(slot))
}

impl<T> Giver<T> {
    /// Whether something can be given now.
    pub fn has_room(&self) -> bool {
        let slot = lock(&self.0);
        slot.content.is_none() && !slot.taker_gone
    }

    /// Gives; there must be room. What is there already is replaced.
    pub fn give(&self, content: T) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.content = Some(content);
            slot.taker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready when the other side is gone or, if that is waited for, when there is room.
    pub fn poll(&self, wants_room: bool, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut slot = lock(&self.0);
        if slot.taker_gone {
            return Poll::Ready(Err(Gone));
        }
        if wants_room && slot.content.is_none() {
            return Poll::Ready(Ok(()));
        }
        slot.waits_for_room = wants_room;
        remember(&mut slot.giver, context);
        Poll::Pending
    }
}

impl<T> Taker<T> {
    /// What was given; `None` once the giver is gone and nothing is left.
    pub fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        if let Some(content) = slot.content.take() {
            let waker = if slot.waits_for_room { slot.giver.take() } else { None };
            drop(slot);
            if let Some(waker) = waker {
                waker.wake();
            }
            return Poll::Ready(Some(content));
        }
        if slot.giver_gone {
            return Poll::Ready(None);
        }
        remember(&mut slot.taker, context);
        Poll::Pending
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.giver_gone = true;
            slot.taker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.taker_gone = true;
            slot.giver.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn remember(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(waker) if waker.will_wake(context.waker()) => {}
        _ => *place = Some(context.waker().clone()),
    }
}

/// Nothing panics while it holds this.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    #[test]
    fn each_side_is_woken_only_for_what_it_waits_for() {
        let (giver, taker) = slot();
        let (giver_woken, giver_waker) = waker();
        let (taker_woken, taker_waker) = waker();
        let (mut giving, mut taking) = (Context::from_waker(&giver_waker), Context::from_waker(&taker_waker));
        assert_eq!(taker.poll_take(&mut taking), Poll::Pending);
        assert!(giver.has_room());
        giver.give(1);
        assert_eq!(taker_woken.0.load(Ordering::Relaxed), 1);
        assert!(!giver.has_room());

        assert_eq!(giver.poll(false, &mut giving), Poll::Pending);
        assert_eq!(taker.poll_take(&mut taking), Poll::Ready(Some(1)));
        assert_eq!(giver_woken.0.load(Ordering::Relaxed), 0, "nobody waited for room");

        giver.give(2);
        assert_eq!(giver.poll(true, &mut giving), Poll::Pending);
        assert_eq!(taker.poll_take(&mut taking), Poll::Ready(Some(2)));
        assert_eq!(giver_woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(giver.poll(true, &mut giving), Poll::Ready(Ok(())));
    }

    #[test]
    fn what_was_given_last_is_taken_before_the_end() {
        let (giver, taker) = slot();
        let (woken, waker) = waker();
        let mut context = Context::from_waker(&waker);
        giver.give("last");
        drop(giver);
        assert_eq!(taker.poll_take(&mut context), Poll::Ready(Some("last")));
        assert_eq!(taker.poll_take(&mut context), Poll::Ready(None));

        let (giver, taker) = slot::<()>();
        assert_eq!(giver.poll(false, &mut context), Poll::Pending);
        drop(taker);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(giver.poll(false, &mut context), Poll::Ready(Err(Gone)));
        assert!(!giver.has_room());
    }
}
