//! Any text as a service snapshot, read and compiled with the policies that come with it.
#![no_main]

#[path = "../../tests/support/readers.rs"]
mod readers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| readers::services(text));
