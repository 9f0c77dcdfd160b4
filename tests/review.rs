//! The review in `docs/review.md` happens: its files are committed, its commands run, and what they print stands there.
//! `UPDATE_GOLDEN=1` writes what they print into the page.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{fs, path::Path, process::Command};

#[test]
fn the_review_happens_as_it_is_told() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/review.md");
    let told = fs::read_to_string(&page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]).args(args);
        assert!(git.current_dir(folder.path()).status().unwrap().success(), "{args:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    let mut happened = String::new();
    let mut rest = told.as_str();
    let mut commands = 0;
    while let Some(at) = rest.find("```") {
        let (before, block) = rest.split_at(at);
        let (head, body) = block[3..].split_once('\n').unwrap();
        let end = body.find("```").unwrap();
        let mut content = body[..end].to_owned();
        rest = &body[end + 3..];
        let file = head.split(' ').find_map(|word| word.strip_prefix("file=").or_else(|| word.strip_prefix("change=")));
        if let Some(file) = file {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &content).unwrap();
            if head.contains("file=") {
                git(&["add", "-A"]);
                git(&["commit", "-q", "-m", file]);
            }
        } else if head == "console" {
            let command = content.lines().next().unwrap().to_owned();
            let mut words = command.strip_prefix("$ chancery ").unwrap().split(' ');
            let mut chancery = Command::new(env!("CARGO_BIN_EXE_chancery"));
            let output = chancery.args(&mut words).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            content = format!("{command}\n{}", String::from_utf8(output.stdout).unwrap());
            commands += 1;
        }
        happened.push_str(&format!("{before}```{head}\n{content}```"));
    }
    happened.push_str(rest);
    assert_eq!(commands, 2, "the commands are gone");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&page, &happened).unwrap();
    } else {
        assert_eq!(happened, told);
    }
}
