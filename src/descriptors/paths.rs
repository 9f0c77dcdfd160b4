//! Paths into a message: `filter_chains[0].filters[envoy.filters.network.tcp_proxy].typed_config.idle_timeout`.
//!
//! An item of a list stands by its position or by its `name`, an entry of a map by its key; names with brackets in them
//! are quoted.

use prost_reflect::{ReflectMessage, Value};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a message.
    Field(String),
    /// An item of a list, or an entry of a map.
    Item(String),
}

/// The steps of a path; `None` where it is none.
pub(super) fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (item, after) = quoted.split_once("\"]")?;
            steps.push(Step::Item(item.to_owned()));
            rest = after;
        } else if let Some(item) = rest.strip_prefix('[') {
            let (item, after) = item.split_once(']')?;
            steps.push(Step::Item(item.to_owned()));
            rest = after;
        } else {
            let name = if steps.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Field((!name[..end].is_empty()).then(|| name[..end].to_owned())?));
            rest = &name[end..];
        }
    }
    matches!(steps.first(), Some(Step::Field(_))).then_some(steps)
}

/// Which item of a list is meant: by its `name`, or by its position, which may stand in brackets (`[0]`).
pub(super) fn position(items: &[Value], item: &str) -> Option<usize> {
    let by_name = items.iter().position(|found| name_of(found) == Some(item));
    let number = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item);
    by_name.or_else(|| number.parse().ok().filter(|position| *position < items.len()))
}

/// The `name` of an item that has one.
pub(super) fn name_of(item: &Value) -> Option<&str> {
    let message = item.as_message()?;
    let field = message.descriptor().get_field_by_name("name")?;
    // A borrowed text, since `get_field` would hand out a copy of it.
    let (_, value) = message.fields().find(|(found, _)| *found == field)?;
    value.as_str().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_fields_and_items() {
        let field = |name: &str| Step::Field(name.into());
        let item = |name: &str| Step::Item(name.into());
        let path = "a.b[0].c[envoy.filters.http.cors][\"x[1]\"].d";
        let steps = vec![
            field("a"),
            field("b"),
            item("0"),
            field("c"),
            item("envoy.filters.http.cors"),
            item("x[1]"),
            field("d"),
        ];
        assert_eq!(parse(path), Some(steps));
        for broken in ["", "[0]", "a..b", "a[0", "a[0]b", ".a", "a."] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
