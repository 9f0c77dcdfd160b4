//! `loadBalancer`: the algorithm, complete.

use super::super::document::{
    scalar::Span,
    settings::{self, HashFunction as WrittenHashFunction, Simple},
};
use super::{text, texts};
use crate::model::{
    Decimal,
    policy::{ConsistentHash, HashFunction, HashKey, HashTable, LoadBalancer, SlowStart, WeightedRoundRobin},
};

/// Istio's default for the smallest ring.
const DEFAULT_MINIMUM_RING_SIZE: u64 = 1024;

pub(super) fn algorithm(written: &settings::LoadBalancer) -> LoadBalancer {
    if let Some(hash) = &written.consistent_hash {
        return LoadBalancer::ConsistentHash(consistent_hash(hash));
    }
    let slow_start = slow_start(written);
    if let Some(weighted) = &written.weighted_round_robin {
        return LoadBalancer::WeightedRoundRobin(weighted_round_robin(weighted, slow_start));
    }
    match written.simple.unwrap_or(Simple::Unspecified) {
        Simple::RoundRobin => LoadBalancer::RoundRobin { slow_start },
        Simple::Random => LoadBalancer::Random,
        Simple::Passthrough => LoadBalancer::Passthrough,
        Simple::Unspecified | Simple::LeastRequest | Simple::LeastConn => {
            let least = written.least_request.clone().unwrap_or_default();
            LoadBalancer::LeastRequest {
                choice_count: least.choice_count.map(|count| count.0),
                active_request_bias: least.active_request_bias.map(|bias| bias.0),
                slow_start,
            }
        }
    }
}

fn slow_start(written: &settings::LoadBalancer) -> Option<SlowStart> {
    let older = written
        .warmup_duration_secs
        .map(|duration| settings::Warmup { duration: Some(duration), ..settings::Warmup::default() });
    let warmup = written.warmup.clone().or(older)?;
    Some(SlowStart {
        window: warmup.duration?.0,
        aggression: warmup.aggression.map_or(Decimal::whole(1), |aggression| aggression.0),
        min_weight_percent: warmup.minimum_percent.map_or(Decimal::whole(10), |percent| percent.0),
    })
}

fn weighted_round_robin(written: &settings::WeightedRoundRobin, slow_start: Option<SlowStart>) -> WeightedRoundRobin {
    let settings::WeightedRoundRobin {
        blackout_period,
        weight_expiration_period,
        weight_update_period,
        error_utilization_penalty,
        enable_oob_load_report,
        oob_reporting_period,
        metric_names_for_computing_utilization,
    } = written;
    let span = |span: &Option<Span>| span.map(|span| span.0);
    WeightedRoundRobin {
        blackout_period: span(blackout_period),
        weight_expiration_period: span(weight_expiration_period),
        weight_update_period: span(weight_update_period),
        error_utilization_penalty: error_utilization_penalty.map(|penalty| penalty.0),
        enable_oob_load_report: *enable_oob_load_report,
        oob_reporting_period: span(oob_reporting_period),
        metric_names_for_computing_utilization: texts(metric_names_for_computing_utilization),
        slow_start,
    }
}

fn consistent_hash(written: &settings::ConsistentHash) -> ConsistentHash {
    let settings::ConsistentHash {
        http_header_name,
        http_cookie,
        use_source_ip,
        http_query_parameter_name,
        ring_hash,
        maglev,
        minimum_ring_size,
    } = written;
    let table = match maglev {
        Some(maglev) => HashTable::Maglev { table_size: maglev.table_size.map(|size| size.0) },
        None => {
            let ring = ring_hash.clone().unwrap_or_default();
            let minimum = ring.minimum_ring_size.or(*minimum_ring_size);
            HashTable::Ring {
                minimum_size: minimum.map_or(DEFAULT_MINIMUM_RING_SIZE, |size| size.0),
                maximum_size: ring.maximum_ring_size.map(|size| size.0),
                function: ring.hash_function.map(|function| match function {
                    WrittenHashFunction::XxHash => HashFunction::XxHash,
                    WrittenHashFunction::MurmurHash2 => HashFunction::MurmurHash2,
                }),
            }
        }
    };
    let header = http_header_name.as_deref().map(|name| HashKey::Header(name.into()));
    let query = http_query_parameter_name.as_deref().map(|name| HashKey::QueryParameter(name.into()));
    let source = (*use_source_ip == Some(true)).then_some(HashKey::SourceIp);
    let keys = [header, http_cookie.as_ref().map(cookie), source, query].into_iter().flatten().collect();
    ConsistentHash { table, keys }
}

fn cookie(written: &settings::HttpCookie) -> HashKey {
    let attribute = |attribute: &settings::CookieAttribute| (text(&attribute.name), text(&attribute.value));
    HashKey::Cookie {
        name: text(&written.name),
        ttl: written.ttl.map(|ttl| ttl.0),
        path: written.path.as_deref().map(Into::into),
        attributes: written.attributes.iter().flatten().map(attribute).collect(),
    }
}
