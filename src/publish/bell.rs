//! A bell and who listens to it: something happened since one last looked.
//!
//! Thousands of tasks look at each change, each time they wake for whatever reason. So looking is one load: a listener
//! leaves word whom to wake once, since a task's waker stays the same all its life, and nothing is taken out of it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Rung when there is something to look at.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    listener: Mutex<Option<Waker>>,
}

/// The one who listens.
#[derive(Debug)]
pub struct Ear {
    bell: Arc<Bell>,
    /// Whom the bell wakes.
    known: Option<Waker>,
}

impl Bell {
    /// Wakes the listener, unless it has not looked since the last time.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let waker = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// For what takes a waker.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

impl Ear {
    /// Of a bell that nobody listens to yet.
    pub fn new(bell: Arc<Bell>) -> Self {
        Self { bell, known: None }
    }

    /// The bell.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Ready when the bell rang since this was last ready.
    pub fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let waker = context.waker();
        if !self.known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *self.bell.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
            self.known = Some(waker.clone());
        }
        if self.bell.rung.load(Ordering::Acquire) {
            self.bell.rung.store(false, Ordering::Release);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_listener_is_woken_once_until_it_looks() {
        let [first, second] = [Arc::new(Count::default()), Arc::new(Count::default())];
        let wakers: [Waker; 2] = [first.clone().into(), second.clone().into()];
        let [first_context, second_context] = [Context::from_waker(&wakers[0]), Context::from_waker(&wakers[1])];
        let mut ear = Ear::new(Arc::new(Bell::default()));
        ear.bell().ring();
        assert!(ear.poll(&first_context).is_ready(), "it rang before anybody listened");
        assert!(ear.poll(&first_context).is_pending());
        ear.bell().ring();
        ear.bell().ring();
        assert_eq!(first.0.load(Ordering::Relaxed), 1);
        assert!(ear.poll(&first_context).is_ready());
        assert!(ear.poll(&second_context).is_pending());
        ear.bell().ring();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
    }
}
