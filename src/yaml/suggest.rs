//! "Did you mean …": the nearest of the words that would have been right.

use strsim::damerau_levenshtein;

/// A remedy for a word that is none of the candidates: the nearest where one is near, or several that are equally
/// near, else all of them where they are few.
pub fn did_you_mean<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match all_nearest(found, candidates.iter().copied()).as_slice() {
        [] => {
            let few = !candidates.is_empty() && candidates.len() <= 24;
            few.then(|| format!("write one of: {}", candidates.join(", ")))
        }
        near => {
            let mut quoted: Vec<String> = near.iter().map(|word| format!("`{word}`")).collect();
            let last = quoted.pop()?;
            let others = if quoted.is_empty() { String::new() } else { quoted.join(", ") + " or " };
            Some(format!("did you mean {others}{last}?"))
        }
    }
}

/// The nearest candidate, if it is near: at most a third of the letters differ, case aside.
pub fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    all_nearest(found, candidates).into_iter().next()
}

/// All that are as near as the nearest.
fn all_nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let found = found.to_ascii_lowercase();
    let limit = (found.chars().count() / 3).max(1);
    let letters = Letters::of(&found);
    let (mut least, mut near) = (limit, Vec::new());
    for candidate in candidates {
        if letters.edits_to(&Letters::of(candidate)) > least {
            continue;
        }
        let distance = damerau_levenshtein(&found, &candidate.to_ascii_lowercase());
        if distance < least {
            (least, near) = (distance, Vec::new());
        }
        if distance == least && !near.contains(&candidate) {
            near.push(candidate);
        }
    }
    near
}

/// How often each letter stands in a word, case aside. What two words have more and less of each says how many edits
/// lie between them at least, at a small part of what counting them costs: thousands of services are asked whether they
/// were meant. Letters that share a place only make it say less.
struct Letters([u8; 64]);

impl Letters {
    fn of(word: &str) -> Self {
        let mut counts = [0_u8; 64];
        for letter in word.chars() {
            let count = &mut counts[letter.to_ascii_lowercase() as usize % 64];
            *count = count.saturating_add(1);
        }
        Self(counts)
    }

    /// At least so many: an edit adds a letter, takes one away, or does both.
    fn edits_to(&self, other: &Self) -> usize {
        let (mut more, mut less) = (0_usize, 0_usize);
        for (own, others) in self.0.iter().zip(&other.0) {
            more += usize::from(own.saturating_sub(*others));
            less += usize::from(others.saturating_sub(*own));
        }
        more.max(less)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_equally_near_are_all_told() {
        assert_eq!(did_you_mean("tlp", ["tcp", "tls", "http"]).as_deref(), Some("did you mean `tcp` or `tls`?"));
        assert_eq!(
            did_you_mean("HTTPX", ["HTTP", "HTTP2", "HTTPS"]).as_deref(),
            Some("did you mean `HTTP`, `HTTP2` or `HTTPS`?")
        );
        assert_eq!(did_you_mean("TLs", ["tcp", "tls"]).as_deref(), Some("did you mean `tls`?"));
        assert_eq!(did_you_mean("quic", ["tcp", "tls"]).as_deref(), Some("write one of: tcp, tls"));
        assert_eq!(did_you_mean("quic", []), None);
    }

    #[test]
    fn letters_never_say_more_edits_than_there_are() {
        let words =
            ["service-0142", "Service-0124", "service-9142x", "zahlung-für-ö", "zahlungen-fur", "", "tcp", "ααββ"];
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
            let edits = damerau_levenshtein(&a.to_ascii_lowercase(), &b.to_ascii_lowercase());
            assert!(Letters::of(a).edits_to(&Letters::of(b)) <= edits, "{a} {b}");
        }
        assert_eq!(Letters::of("tcp").edits_to(&Letters::of("udp")), 2);
    }
}
