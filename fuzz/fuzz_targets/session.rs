//! Any bytes as a conversation with one stream's session, in either dialect: subscriptions, late, wrong and missing
//! answers, rejections, broken streams, changes, time. What must hold is in `tests/protocol/model.rs`.
#![no_main]

#[allow(dead_code, reason = "a conversation is played with a part of the language")]
#[path = "../../tests/protocol/conversation.rs"]
mod conversation;
#[path = "../../tests/protocol/model.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| model::play(&model::Conversation::read(bytes)));
