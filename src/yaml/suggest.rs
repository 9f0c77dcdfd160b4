//! "Did you mean …": the nearest of the words that would have been right.

use strsim::damerau_levenshtein;

/// A remedy for a word that is none of the candidates: the nearest where one is near, else all of them where they
/// are few.
pub fn did_you_mean<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(nearest) = nearest(found, candidates.iter().copied()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let few = !candidates.is_empty() && candidates.len() <= 24;
    few.then(|| format!("write one of: {}", candidates.join(", ")))
}

/// The nearest candidate, if it is near: at most a third of the letters differ, case aside.
pub fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_ascii_lowercase();
    let limit = (found.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (damerau_levenshtein(&found, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
