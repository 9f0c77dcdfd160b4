//! Whatever a file says, nothing panics: inputs that work, with some of their characters changed at random, are read,
//! resolved and compiled as far as they go.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*};
use support::{
    goldens::{self, Input},
    readers,
};

/// Every input of the goldens: services, then policies.
static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(goldens::inputs);

/// What may stand in the place of something: structure, extremes, and words that mean something elsewhere.
const PIECES: [&str; 24] = [
    "",
    " ",
    "\n",
    "\t",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!!str ",
    "|",
    "\"",
    "'",
    "#",
    "null",
    "-1",
    "0",
    "1e400",
    "18446744073709551616",
    "*",
    "\u{feff}é\u{10ffff}",
];

/// Replaces stretches of a text, at positions taken modulo its length.
fn mutate(text: &str, changes: &[(usize, usize, usize)]) -> String {
    let mut text = text.to_owned();
    for (at, length, piece) in changes {
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let begin = at % boundaries.len();
        let end = (begin + length % 6).min(boundaries.len() - 1);
        text.replace_range(boundaries[begin]..boundaries[end], PIECES[piece % PIECES.len()]);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_read_panics(
        case in any::<usize>(),
        in_services in vec((any::<usize>(), any::<usize>(), any::<usize>()), 0..3),
        in_policies in vec((any::<usize>(), any::<usize>(), any::<usize>()), 0..4),
    ) {
        let Input { services, policies, .. } = &INPUTS[case % INPUTS.len()];
        let changed = mutate(services, &in_services);
        readers::services(&changed);
        readers::policies(services, &mutate(policies, &in_policies));
    }
}
