//! A mutex taken whatever happened to whoever had it before.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For what no panic leaves half done.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
