//! Headers that pick a subset: they become metadata of the request, which Envoy holds against that of endpoints.

use crate::{
    compile::endpoints::SUBSET_METADATA,
    model::policy::SubsetHeader,
    proto::{
        self, Any,
        envoy::extensions::filters::http::header_to_metadata::v3::{
            Config,
            config::{KeyValuePair, Rule},
        },
    },
};

/// Absent where no header asks for anything.
pub(super) fn compile(headers: &[SubsetHeader]) -> Option<Any> {
    let rules: Vec<Rule> = headers.iter().map(rule).collect();
    (!rules.is_empty()).then(|| proto::any(&Config { request_rules: rules, ..Default::default() }))
}

fn rule(SubsetHeader { header, key, missing }: &SubsetHeader) -> Rule {
    let pair = KeyValuePair { metadata_namespace: SUBSET_METADATA.into(), key: key.to_string(), ..Default::default() };
    Rule {
        header: header.to_string(),
        on_header_present: Some(pair.clone()),
        on_header_missing: missing.as_ref().map(|value| KeyValuePair { value: value.to_string(), ..pair }),
        ..Default::default()
    }
}
