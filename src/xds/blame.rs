//! Which resources of a response a client's words blame, and what of these words is kept.
//!
//! A rejection names its resources in one of three ways. Envoy lists those it could not apply (`Error adding/updating
//! cluster(s) orders:80: …`). What breaks a constraint of the protobuf it prints whole, with the name in it; such a
//! print can be megabytes long and is not kept. Others mention names, or none.

use crate::model::ResourceName;

/// As much of a client's words is kept.
const LONGEST: usize = 2_000;

/// How Envoy begins the print of a whole message. Spaces follow, of varying number, and a line for each field.
const PRINTED: &str = "goo.gle/debugproto";

/// What Envoy says behind such a print.
const CONSTRAINT: &str = "Proto constraint validation failed";

/// The resources among these that the words blame; none where they name none.
pub(super) fn named(message: &str, names: &[ResourceName]) -> Vec<ResourceName> {
    match printed_name(message) {
        Some(name) => names.iter().filter(|candidate| candidate.as_str() == name).cloned().collect(),
        None => names.iter().filter(|candidate| mentions(message, candidate.as_str())).cloned().collect(),
    }
}

/// The words without what is printed whole, and not without end.
pub(super) fn summary(message: &str) -> String {
    let Some(name) = printed_name(message) else { return shortened(message) };
    let reason = message.rfind(CONSTRAINT).map_or("(a message too long to be kept)", |at| &message[at..]);
    format!("{name}: {}", shortened(reason))
}

/// The name of a message that is printed whole: the first field at the outermost level that is a name.
fn printed_name(message: &str) -> Option<&str> {
    let print = message.split_once(PRINTED)?.1;
    let name = |line: &'_ str| -> Option<(usize, usize)> {
        let (field, value) = line.split_once(':')?;
        let value = value.trim();
        let is_name = matches!(field, "name" | "cluster_name") && value.len() >= 2 && value.starts_with('"');
        let start = line.len() - line.split_once('"')?.1.len();
        is_name.then_some((start, line.rfind('"')?))
    };
    print.lines().find_map(|line| name(line).and_then(|(start, end)| line.get(start..end)))
}

/// Whether a name stands in a text as a word: `orders:80` does not stand in `orders:8080` or `orders:80/v1`.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let mut after = text[at + name.len()..].chars();
            let goes_on = match after.next() {
                // A full stop or a colon behind a name may as well end what is said of it.
                Some('.' | ':') => after.next().is_some_and(is_part),
                Some(c) => is_part(c),
                None => false,
            };
            !goes_on && !text[..at].ends_with(|c| is_part(c) || c == ':')
        })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(message: &str) -> Vec<String> {
        let names = ["orders:80", "orders:8080", "orders:80/v1", "shop.orders:80", "users:80", "outbound"];
        named(message, &names.map(ResourceName::new)).iter().map(ResourceName::to_string).collect()
    }

    #[test]
    fn envoy_lists_what_it_could_not_apply() {
        let message =
            "Error adding/updating cluster(s) orders:80: malformed IP address: nonsense, users:80: no such filter";
        assert_eq!(blamed(message), ["orders:80", "users:80"]);
        assert_eq!(blamed("Error adding/updating listener(s) orders:80/v1: x\n"), ["orders:80/v1"]);
        assert_eq!(blamed("Error adding/updating cluster(s) shop.orders:80: x"), ["shop.orders:80"]);
    }

    #[test]
    fn envoy_prints_what_breaks_a_constraint() {
        let message = "goo.gle/debugproto   \nname:  \"orders:80\"\ntype: EDS\nload {\n  name: \"users:80\"\n}\n: Proto \
                       constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)";
        assert_eq!(blamed(message), ["orders:80"]);
        assert_eq!(
            summary(message),
            "orders:80: Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)"
        );
        assert_eq!(blamed("goo.gle/debugproto \ncluster_name: \"users:80\"\n: bad"), ["users:80"]);
    }

    #[test]
    fn a_text_without_names_blames_nobody() {
        assert!(blamed("missing ): (").is_empty());
        assert!(blamed("").is_empty());
        assert!(blamed("goo.gle/debugproto").is_empty());
        assert_eq!(blamed("orders:80."), ["orders:80"]);
    }

    #[test]
    fn endless_words_are_cut_between_characters() {
        let cut = summary(&"ü".repeat(10_000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        let print = format!("goo.gle/debugproto \nname: \"x\"\n{}", "y\n".repeat(1_000_000));
        assert!(summary(&print).len() < 100);
    }
}
