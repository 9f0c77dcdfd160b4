//! Any text as a policy file: it is read, checked, merged with services, explained and compiled. No panic, no hang, no
//! memory without bound; what is refused is explained.
#![no_main]

#[path = "../../tests/support/readers.rs"]
mod readers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| readers::policies(readers::SERVICES, text));
