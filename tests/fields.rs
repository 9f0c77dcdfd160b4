//! Every field of every kind of document, found in its schema and tried: misspelt it is refused with the right name
//! suggested, and it says what it is and what it becomes.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

#[path = "fields/documented.rs"]
mod documented;
#[path = "fields/misspelt.rs"]
mod misspelt;
#[path = "fields/sample.rs"]
mod sample;
