//! Whatever a file says, nothing panics: inputs that work, with some of their characters changed at random, are read,
//! resolved and compiled as far as they go.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{fs, path::PathBuf, sync::LazyLock};

use chancery::{control::World, discovery::file, model::NodeGroup, policy::Library};
use proptest::{collection::vec, prelude::*};
use support::world::{catalog, source};

/// Every input of the goldens: services, then policies.
static INPUTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let split = |path: &PathBuf| {
        let text = fs::read_to_string(path.join("input.yaml")).unwrap();
        let (services, policies) = text.split_once("\n---\n").unwrap_or((&text, ""));
        (services.to_owned(), policies.to_owned())
    };
    paths.iter().map(split).collect()
});

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
        let (services, policies) = &INPUTS[case % INPUTS.len()];
        let changed = mutate(services, &in_services);
        let catalog = match file::read(&source("services.yaml", &changed)) {
            Ok(_) => catalog(&changed),
            Err(problems) => {
                prop_assert!(!problems.is_empty(), "what is refused is explained");
                catalog(services)
            }
        };
        let mut library = Library::default();
        library.update([&source("policies.yaml", &mutate(policies, &in_policies))]);
        for problem in library.problems() {
            prop_assert!(!problem.message.is_empty());
            prop_assert!(!problem.to_string().is_empty());
        }
        let mut world = World::default();
        world.update(catalog, library.policies().clone());
        world.compile(&NodeGroup::default()).snapshot.to_json();
        world.problems();
        world.lints();
    }
}
