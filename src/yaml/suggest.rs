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
    let distances = candidates
        .into_iter()
        .map(|candidate| (damerau_levenshtein(&found, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit);
    let (mut least, mut near) = (usize::MAX, Vec::new());
    for (distance, candidate) in distances {
        if distance < least {
            (least, near) = (distance, Vec::new());
        }
        if distance == least && !near.contains(&candidate) {
            near.push(candidate);
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

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
}
