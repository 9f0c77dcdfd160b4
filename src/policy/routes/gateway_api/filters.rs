//! What filters come to.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        Decimal, Port,
        policy::routing::{
            Cors, HeaderChanges, HostRewrite, HttpMatch, PathMatch, PathRewrite, Redirect, Rewrite, TextMatch,
            UnmatchedPreflights,
        },
    },
    policy::document::gateway_api::{
        Filter, HTTPCORSFilter, HTTPHeader, HTTPHeaderFilter, HTTPPathModifier, HTTPRequestMirrorFilter,
        HTTPRequestRedirectFilter, HTTPURLRewriteFilter,
    },
};

/// What the filters of a rule, or of a backend, change. Mirrors are not among it: they lead somewhere.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub request_headers: HeaderChanges,
    pub response_headers: HeaderChanges,
    pub redirect: Option<Redirect>,
    pub rewrite: Rewrite,
    pub cors: Option<Cors>,
}

impl Changes {
    /// `matched` is what the rule looks at where a prefix is replaced: it has that one match then.
    pub fn of(filters: &[Filter<'_>], matched: Option<&HttpMatch>, port: &Port) -> Self {
        let mut changes = Self::default();
        for filter in filters {
            match filter {
                Filter::RequestHeaders(headers) => changes.request_headers = header_changes(headers),
                Filter::ResponseHeaders(headers) => changes.response_headers = header_changes(headers),
                Filter::Redirect(redirect) => changes.redirect = Some(redirect_to(redirect, matched, port)),
                Filter::Rewrite(HTTPURLRewriteFilter { hostname, path }) => {
                    changes.rewrite = Rewrite {
                        path: path.as_ref().map(|path| path_rewrite(path, matched)),
                        host: hostname.as_deref().map(|host| HostRewrite::Literal(host.into())),
                    };
                }
                Filter::Cors(filter) => changes.cors = Some(cors(filter)),
                Filter::Mirror(_) | Filter::Extension(_) => {}
            }
        }
        changes
    }
}

/// Values stand there as they are, so that Envoy must read no commands in them. The first entry for a name counts.
fn header_changes(filter: &HTTPHeaderFilter) -> HeaderChanges {
    let HTTPHeaderFilter { set, add, remove } = filter;
    let pairs = |headers: &[HTTPHeader]| {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for HTTPHeader { name, value } in headers {
            let name: Arc<str> = name.to_ascii_lowercase().into();
            if !pairs.iter().any(|(earlier, _)| *earlier == name) {
                pairs.push((name, value.replace('%', "%%").into()));
            }
        }
        pairs
    };
    HeaderChanges {
        set: pairs(set),
        add: pairs(add),
        remove: remove.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
    }
}

fn path_rewrite(modifier: &HTTPPathModifier, matched: Option<&HttpMatch>) -> PathRewrite {
    let HTTPPathModifier { kind: _, replace_full_path, replace_prefix_match } = modifier;
    match (replace_full_path, replace_prefix_match) {
        (Some(path), _) if path.is_empty() => PathRewrite::Whole("/".into()),
        (Some(path), _) => PathRewrite::Whole(path.as_str().into()),
        (None, prefix) => {
            let prefix = prefix.as_deref().unwrap_or_default().trim_end_matches('/');
            // Of the prefix `/` Envoy replaces the slash, too.
            let is_root = matched.is_none_or(|matched| matched.path == PathMatch::Any);
            PathRewrite::MatchedPart(if is_root { format!("{prefix}/").into() } else { prefix.into() })
        }
    }
}

fn redirect_to(redirect: &HTTPRequestRedirectFilter, matched: Option<&HttpMatch>, port: &Port) -> Redirect {
    let HTTPRequestRedirectFilter { scheme, hostname, path, port: written, status_code } = redirect;
    let implied = match scheme.as_deref() {
        // Envoy writes no port beside another host; one that is not the scheme's own has to stay.
        None => Some(port.number).filter(|number| hostname.is_some() && number.get() != 80),
        // It would keep the port of the request, which is the old scheme's.
        Some("https") => std::num::NonZeroU16::new(443).filter(|_| hostname.is_none() && port.number.get() != 80),
        Some(_) => std::num::NonZeroU16::new(80).filter(|_| hostname.is_none() && port.number.get() != 80),
    };
    Redirect {
        scheme: scheme.as_deref().map(Into::into),
        host: hostname.as_deref().map(Into::into),
        port: written.or(implied),
        path: path.as_ref().map(|path| path_rewrite(path, matched)),
        status: status_code.unwrap_or(302),
    }
}

/// Which share of the requests is copied.
pub(super) fn share(mirror: &HTTPRequestMirrorFilter) -> Decimal {
    let whole = Decimal::whole(100);
    match (&mirror.percent, &mirror.fraction) {
        (Some(percent), _) => percent.0,
        (None, Some(fraction)) => {
            let denominator = f64::from(fraction.denominator.unwrap_or(100));
            Decimal::from_f64(f64::from(fraction.numerator) * 100.0 / denominator).unwrap_or(whole)
        }
        (None, None) => whole,
    }
}

/// How long a browser may remember what it was told, unless something is said.
const MAX_AGE: Duration = Duration::from_secs(5);

fn cors(filter: &HTTPCORSFilter) -> Cors {
    let HTTPCORSFilter { allow_origins, allow_credentials, allow_methods, allow_headers, expose_headers, max_age } =
        filter;
    let list = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    Cors {
        allow_origins: allow_origins.iter().map(|origin| allowed_origin(origin)).collect(),
        allow_methods: list(allow_methods),
        allow_headers: list(allow_headers),
        expose_headers: list(expose_headers),
        max_age: Some(max_age.map_or(MAX_AGE, |seconds| Duration::from_secs(seconds.into()))),
        allow_credentials: *allow_credentials,
        unmatched_preflights: UnmatchedPreflights::Answered,
    }
}

/// `*` alone is any origin, to Envoy too; within one it stands for one or more labels of the host.
fn allowed_origin(origin: &str) -> TextMatch {
    match origin.split_once('*') {
        Some((before, after)) if origin != "*" => {
            TextMatch::Regex(format!("{}[^/]+{}", regex_syntax::escape(before), regex_syntax::escape(after)).into())
        }
        _ => TextMatch::Exact(origin.into()),
    }
}
