//! Laws over any conversation: whatever a client does, it ends up with what it should have. What can happen, and what
//! is checked, is in `model.rs`; `make fuzz` looks for conversations that break it for longer.

use proptest::{collection::vec, prelude::*};

use super::model::{Conversation, play};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_client_ends_with_what_it_accepts(
        conversation in vec(any::<u8>(), 0..160).prop_map(|bytes| Conversation::read(&bytes)),
    ) {
        play(&conversation);
    }
}
