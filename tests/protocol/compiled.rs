//! Section D of the rules, as far as what is sent obeys them: read off every golden.

use std::{fs, path::Path};

/// The lines of all compiled resources, with their places.
fn lines() -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let goldens = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("envoy.yaml"));
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        Some((path.display().to_string(), text.lines().map(ToOwned::to_owned).collect()))
    };
    goldens.filter_map(read).collect()
}

/// The block below each line that is this key: all that is indented further.
fn blocks<'a>(lines: &'a [String], key: &str) -> Vec<&'a [String]> {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let is_key = |(_, line): &(usize, &String)| line.trim_start_matches([' ', '-']) == key;
    let block = |(at, line): (usize, &String)| {
        let below = &lines[at + 1..];
        let length = below.iter().take_while(|next| indent(next) > indent(line)).count();
        &below[..length]
    };
    lines.iter().enumerate().filter(is_key).map(block).collect()
}

#[test]
fn item_48_an_assignment_is_called_as_its_cluster() {
    let mut seen = 0;
    for (path, lines) in lines() {
        for block in blocks(&lines, "eds_cluster_config:") {
            seen += 1;
            assert!(!block.iter().any(|line| line.trim_start().starts_with("service_name:")), "{path}: {block:?}");
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn item_55_what_is_referred_to_comes_over_ads_within_envoys_own_time() {
    let mut seen = 0;
    for (path, lines) in lines() {
        let referred = blocks(&lines, "eds_config:").into_iter().chain(blocks(&lines, "config_source:"));
        for block in referred {
            seen += 1;
            let words: Vec<&str> = block.iter().map(|line| line.trim()).collect();
            assert_eq!(words, ["ads: {}", "resource_api_version: V3"], "{path}");
        }
        assert!(!lines.iter().any(|line| line.contains("initial_fetch_timeout")), "{path}");
    }
    assert!(seen > 100, "{seen}");
}

/// A secret that we do not serve would keep its cluster warming. So a name without a source, which Envoy looks up in
/// its own bootstrap, is all we say.
#[test]
fn item_56_no_secret_is_to_be_had_from_us() {
    let mut seen = 0;
    for (path, lines) in lines() {
        seen += lines.iter().filter(|line| line.contains("sds_secret_config")).count();
        assert!(!lines.iter().any(|line| line.trim().starts_with("sds_config:")), "{path}");
    }
    assert!(seen > 0);
}
