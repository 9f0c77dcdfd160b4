//! `chancery schema`: JSON Schema made from the types that read YAML, and what is made from it in turn. Every field of
//! every kind is tried: misspelt it is refused, and each says what it is.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

#[path = "schema/command.rs"]
mod command;
#[path = "schema/documented.rs"]
mod documented;
#[path = "schema/misspelt.rs"]
mod misspelt;
#[path = "schema/sample.rs"]
mod sample;
