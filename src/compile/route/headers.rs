//! Changes of headers. Envoy removes first, then goes through what is to be set and added in the order given.

use crate::{
    model::policy::routing::HeaderChanges,
    proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction},
};

/// What several places say, the first of them first.
pub(super) fn to_add(changes: &[&HeaderChanges]) -> Vec<HeaderValueOption> {
    let options = |HeaderChanges { set, add, remove: _ }: &HeaderChanges| {
        let set = set.iter().map(|header| option(header, HeaderAppendAction::OverwriteIfExistsOrAdd));
        let add = add.iter().map(|header| option(header, HeaderAppendAction::AppendIfExistsOrAdd));
        set.chain(add).collect::<Vec<_>>()
    };
    changes.iter().flat_map(|changes| options(changes)).collect()
}

/// What several places say, each name once.
pub(super) fn to_remove(changes: &[&HeaderChanges]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in changes.iter().flat_map(|changes| &changes.remove) {
        if !names.iter().any(|present| **present == **name) {
            names.push(name.to_string());
        }
    }
    names
}

fn option((name, value): &(std::sync::Arc<str>, std::sync::Arc<str>), action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_string(), value: value.to_string(), ..Default::default() }),
        append_action: action.into(),
        ..Default::default()
    }
}
