//! `tls` and `tcp` into rules for connections.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Decision, Translation, http::target, some};
use crate::{
    model::{
        Protocol,
        policy::{
            HashKey,
            routing::{TcpDestination, TcpMatch, TcpRule},
        },
    },
    policy::{
        document::virtual_service::{CidrBlock, L4MatchAttributes, RouteDestination, TlsMatchAttributes},
        routes::destination::Found,
    },
};

/// What becomes of connections whose destination is not there.
const CLOSED: &str = "connections that are led there are closed";

impl Translation<'_, '_, '_> {
    /// The rules that concern the port; `None` where no rule does. Those of `tls` come first, and are for tls ports.
    pub(super) fn l4(&mut self) -> Option<Vec<Decision<TcpRule>>> {
        let document = self.document.clone();
        let service = super::body(&document);
        let mut rules = Vec::new();
        let tls = service.tls.iter().enumerate().filter(|_| self.port.protocol == Protocol::Tls).collect::<Vec<_>>();
        for (index, route) in tls {
            let concerned = route.matches.iter().filter(|matched| self.concerns(*matched));
            let matches: Vec<TcpMatch> = concerned.map(tls_match).collect();
            if !matches.is_empty() {
                rules.push(self.l4_rule(matches, &route.route, format!("spec.tls[{index}]")));
            }
        }
        for (index, route) in service.tcp.iter().enumerate() {
            let concerned = route.matches.iter().filter(|matched| self.concerns(*matched));
            let mut matches: Vec<TcpMatch> = concerned.map(tcp_match).collect();
            if route.matches.is_empty() {
                matches.push(TcpMatch::default());
            }
            if !matches.is_empty() {
                rules.push(self.l4_rule(matches, &route.route, format!("spec.tcp[{index}]")));
            }
        }
        some(rules)
    }

    fn l4_rule(&mut self, matches: Vec<TcpMatch>, route: &[RouteDestination], field: String) -> Decision<TcpRule> {
        let several = route.len() > 1;
        let mut destinations = Vec::new();
        let mut found_all: Vec<Arc<Found>> = Vec::new();
        for (index, RouteDestination { destination, weight }) in route.iter().enumerate() {
            let found = self.find(destination, &format!("{field}.route[{index}].destination"), CLOSED);
            let weight = weight.unwrap_or(0);
            if several && weight == 0 {
                continue;
            }
            let target = target(destination, found.as_deref());
            destinations.push(TcpDestination { target, weight: if several { weight } else { 1 } });
            found_all.extend(found);
        }
        // Of several, what the one dialled says of its connections.
        let base = match found_all.as_slice() {
            [only] if destinations.len() == 1 => Some(only.clone()),
            _ => self.destinations.cluster(self.service, self.port, None).ok(),
        };
        let shaping = ["connectionPool.tcp.idleTimeout", "connectionPool.tcp.maxConnectionDuration"];
        let mut settings = BTreeMap::new();
        for path in shaping {
            let decided = base.as_ref().and_then(|base| base.merged.settings.get(path));
            settings.extend(decided.map(|decided| (path.to_owned(), decided.leaf.clone())));
        }
        let mut documents: BTreeSet<Arc<str>> = BTreeSet::from([self.document.name().into()]);
        documents.extend(settings.values().map(|leaf| Arc::from(leaf.document.name())));
        let pool = base.as_ref().map(|base| &base.effective.connection_pool);
        let rule = TcpRule {
            matches,
            destinations,
            idle_timeout: pool.and_then(|pool| pool.tcp_idle_timeout),
            max_connection_duration: pool.and_then(|pool| pool.max_connection_duration),
            hash_source_ip: found_all.iter().any(|found| found.hash_keys().contains(&HashKey::SourceIp)),
            documents: documents.into_iter().collect(),
        };
        Decision { rule, document: self.document.clone(), field, settings, replaced: BTreeMap::new() }
    }
}

fn tls_match(matched: &TlsMatchAttributes) -> TcpMatch {
    TcpMatch {
        server_names: matched.sni_hosts.iter().map(|host| host.to_ascii_lowercase().into()).collect(),
        destination_subnets: matched.destination_subnets.iter().map(|CidrBlock(subnet)| *subnet).collect(),
    }
}

fn tcp_match(matched: &L4MatchAttributes) -> TcpMatch {
    TcpMatch {
        server_names: Vec::new(),
        destination_subnets: matched.destination_subnets.iter().map(|CidrBlock(subnet)| *subnet).collect(),
    }
}
