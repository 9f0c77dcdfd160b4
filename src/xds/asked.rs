//! Long lists in requests, read once: thousands of sidecars ask for the same names and bring the same versions.
//!
//! A list is known by its bytes. Reading a thousand names into an ordered set takes longer than sending what they ask
//! for, so what was read lately is kept, within a bound, and shared. A list nobody had is read like any other.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::subscription::Names;
use crate::{model::ResourceName, publish::lock, resources::Version};

/// What a long list says.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The names subscribed to, sorted.
    pub subscribe: Names,
    /// What the client has from before, by name. A version that is none of ours is one that differs from all of ours.
    pub initial_versions: Arc<BTreeMap<ResourceName, Option<Version>>>,
}

impl Asked {
    /// The names as a short list has them.
    pub fn names(&self) -> Vec<String> {
        self.subscribe.iter().map(ToString::to_string).collect()
    }
}

/// How many bytes of lists are kept.
const KEPT: usize = 8 * 1024 * 1024;

/// Lists that were read lately.
#[derive(Debug, Default)]
pub(super) struct AskedBefore(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lists: HashMap<u64, (Bytes, Arc<Asked>)>,
    /// The oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

impl AskedBefore {
    /// What these bytes say; `read` is asked when they are new.
    pub fn get<E>(&self, list: &Bytes, read: impl FnOnce() -> Result<Asked, E>) -> Result<Arc<Asked>, E> {
        let hash = xxh3_64(list);
        let known =
            |kept: &Kept| kept.lists.get(&hash).filter(|(bytes, _)| bytes == list).map(|(_, asked)| asked.clone());
        if let Some(asked) = known(&lock(&self.0)) {
            return Ok(asked);
        }
        // Read without the lock: a second stream may do the same meanwhile, and one of the two is kept.
        let asked = Arc::new(read()?);
        let mut kept = lock(&self.0);
        if let Some(asked) = known(&kept) {
            return Ok(asked);
        }
        // A copy, since these bytes are a part of a buffer.
        let bytes = Bytes::copy_from_slice(list);
        kept.bytes += bytes.len();
        kept.order.push_back(hash);
        if let Some((replaced, _)) = kept.lists.insert(hash, (bytes, asked.clone())) {
            kept.bytes -= replaced.len();
        }
        while kept.bytes > KEPT {
            let Some(oldest) = kept.order.pop_front() else { break };
            if let Some((bytes, _)) = kept.lists.remove(&oldest) {
                kept.bytes -= bytes.len();
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn asked(names: usize) -> Result<Asked, Infallible> {
        let subscribe = (0..names).map(|number| ResourceName::new(number.to_string())).collect();
        Ok(Asked { subscribe: Arc::new(subscribe), initial_versions: Arc::default() })
    }

    #[test]
    fn equal_bytes_are_read_once() {
        let before = AskedBefore::default();
        let first = before.get(&Bytes::from_static(b"list"), || asked(3)).expect("it reads");
        let again = before.get(&Bytes::from_static(b"list"), || asked(0)).expect("it is known");
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(before.get(&Bytes::from_static(b"other"), || Err("no list")), Err("no list"));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let before = AskedBefore::default();
        for number in 0..20u8 {
            let list = Bytes::from(vec![number; 1024 * 1024]);
            before.get(&list, || asked(1)).expect("it reads");
        }
        let kept = lock(&before.0);
        assert_eq!((kept.bytes, kept.lists.len(), kept.order.len()), (KEPT, 8, 8));
    }
}
