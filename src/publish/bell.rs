//! A bell and who listens to it: something happened since one last heard it, and what.
//!
//! Thousands of tasks look at each change, each time they wake for whatever reason. So looking is one load: a listener
//! leaves word whom to wake once, since a task's waker stays the same all its life, and nothing is taken out of it. One
//! bell serves for all that a listener waits for, and says what it was rung for, so that nothing else is looked after.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Wake, Waker},
};

use super::lock::lock;

/// What a bell is rung for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// The snapshot may be a new one, or the group another.
    Changed = 1,
    /// The bell was given away as a waker, and was woken.
    Woken = 2,
    /// The connection goes.
    Farewell = 4,
    /// There is more to say once there is room.
    More = 8,
}

/// What a bell was rung for, and nobody has looked after yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rung(u32);

/// Rung when there is something to look at.
#[derive(Debug, Default)]
pub struct Bell {
    /// What it was rung for, and above that how often in a row somebody found that nobody had heard it.
    state: AtomicU32,
    listener: Mutex<Option<Waker>>,
}

/// Where the [`Ring`]s stand in a bell's state.
const RINGS: u32 = 0xff;

/// The one who listens.
#[derive(Debug)]
pub struct Ear {
    bell: Arc<Bell>,
    /// Whom the bell wakes.
    known: Option<Waker>,
}

impl Rung {
    /// Whether it was rung for that.
    pub fn is_for(self, ring: Ring) -> bool {
        self.0 & ring as u32 != 0
    }

    /// Whether it was not rung.
    pub fn is_silent(self) -> bool {
        self.0 == 0
    }

    /// That, too, is to be looked after.
    pub fn add(&mut self, Rung(more): Rung) {
        self.0 |= more;
    }

    /// That has been looked after.
    pub fn clear(&mut self, ring: Ring) {
        self.0 &= !(ring as u32);
    }
}

impl Bell {
    /// Wakes the listener, unless it has not heard the last time yet.
    pub fn ring(&self, ring: Ring) {
        let before = self.state.fetch_or(ring as u32, Ordering::AcqRel);
        if before & RINGS == 0 {
            let waker = lock(&self.listener).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Wakes nobody: for a listener that comes back by itself as soon as it can.
    pub fn mark(&self, ring: Ring) {
        self.state.fetch_or(ring as u32, Ordering::AcqRel);
    }

    /// How often in a row, this time included, this was asked while it had been rung and not heard.
    pub fn unheard(&self) -> u32 {
        let once_more = |state| (state & RINGS != 0).then(|| u32::saturating_add(state, RINGS + 1));
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, once_more);
        before.map_or(0, |before| before / (RINGS + 1) + 1)
    }

    /// For who knows that it was not heard for a good reason: [`Bell::unheard`] begins anew.
    pub fn forgive(&self) {
        self.state.fetch_and(RINGS, Ordering::AcqRel);
    }
}

/// For what takes a waker.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring(Ring::Woken);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring(Ring::Woken);
    }
}

impl Ear {
    /// Of a bell that nobody listens to yet.
    pub fn new(bell: Arc<Bell>) -> Self {
        Self { bell, known: None }
    }

    /// The bell.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// What the bell was rung for since it was last heard. If for nothing, the task is woken once it is.
    pub fn hear(&mut self, context: &Context<'_>) -> Rung {
        let waker = context.waker();
        if !self.known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *lock(&self.bell.listener) = Some(waker.clone());
            self.known = Some(waker.clone());
        }
        if self.bell.state.load(Ordering::Acquire) & RINGS == 0 {
            return Rung::default();
        }
        Rung(self.bell.state.swap(0, Ordering::AcqRel) & RINGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_listener_is_woken_once_until_it_hears() {
        let [first, second] = [Arc::new(Count::default()), Arc::new(Count::default())];
        let wakers: [Waker; 2] = [first.clone().into(), second.clone().into()];
        let [first_context, second_context] = [Context::from_waker(&wakers[0]), Context::from_waker(&wakers[1])];
        let bell = Arc::new(Bell::default());
        let mut ear = Ear::new(bell.clone());
        bell.ring(Ring::Changed);
        let only = |ring| Rung(ring as u32);
        assert_eq!(ear.hear(&first_context), only(Ring::Changed), "it rang before anybody listened");
        assert!(ear.hear(&first_context).is_silent());
        bell.ring(Ring::Changed);
        bell.ring(Ring::Farewell);
        assert_eq!(first.0.load(Ordering::Relaxed), 1);
        let mut rung = ear.hear(&first_context);
        assert!(rung.is_for(Ring::Changed) && rung.is_for(Ring::Farewell) && !rung.is_for(Ring::Woken));
        rung.clear(Ring::Changed);
        assert_eq!(rung, only(Ring::Farewell));
        assert!(ear.hear(&second_context).is_silent());
        Waker::from(bell).wake();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
        assert_eq!(ear.hear(&second_context), only(Ring::Woken));
    }

    #[test]
    fn it_is_known_how_long_nobody_has_heard() {
        let bell = Arc::new(Bell::default());
        let mut ear = Ear::new(bell.clone());
        let context = Context::from_waker(Waker::noop());
        assert_eq!([bell.unheard(), bell.unheard()], [0, 0], "there was nothing to hear");
        bell.ring(Ring::Woken);
        assert_eq!(bell.unheard(), 1);
        bell.ring(Ring::Changed);
        assert_eq!(bell.unheard(), 2, "ringing again is not hearing");
        bell.forgive();
        assert_eq!(bell.unheard(), 1, "that was forgiven");
        assert!(ear.hear(&context).is_for(Ring::Changed));
        assert_eq!(bell.unheard(), 0);
        bell.mark(Ring::More);
        assert_eq!(bell.unheard(), 1, "it is counted anew");
    }
}
