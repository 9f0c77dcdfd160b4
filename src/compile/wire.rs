//! Small values as Envoy's protos write them.

use std::{net::SocketAddr, time::Duration};

use crate::{
    model::Decimal,
    proto::{
        self,
        envoy::{
            config::core::v3::{
                Address, AggregatedConfigSource, ApiVersion, ConfigSource, DataSource, RuntimeDouble, SocketAddress,
                address, config_source::ConfigSourceSpecifier, data_source, socket_address,
            },
            r#type::v3::{FractionalPercent, Percent, fractional_percent::DenominatorType},
        },
        google::protobuf::{BoolValue, Duration as ProtoDuration, UInt32Value, UInt64Value},
    },
};

pub(super) fn u32_value(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(super) fn u32_or_absent(value: Option<u32>) -> Option<UInt32Value> {
    value.map(|value| UInt32Value { value })
}

pub(super) fn u64_value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

pub(super) fn bool_value(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

pub(super) fn percent(value: Decimal) -> Option<Percent> {
    Some(Percent { value: value.to_f64() })
}

/// A number that Envoy lets its runtime override: it wants a key, which nobody sets.
pub(super) fn fixed(value: Decimal, key: &str) -> RuntimeDouble {
    RuntimeDouble { default_value: value.to_f64(), runtime_key: format!("chancery.{key}") }
}

pub(super) fn duration(value: Duration) -> Option<ProtoDuration> {
    Some(proto::duration(value))
}

pub(super) fn duration_or_absent(value: Option<Duration>) -> Option<ProtoDuration> {
    value.map(proto::duration)
}

/// What stands in a file on the proxy's machine.
pub(super) fn file(path: &str) -> Option<DataSource> {
    let specifier = Some(data_source::Specifier::Filename(path.into()));
    Some(DataSource { specifier, ..Default::default() })
}

pub(super) fn socket_address(address: impl ToString, port: u16) -> Address {
    let port_specifier = Some(socket_address::PortSpecifier::PortValue(port.into()));
    let socket = SocketAddress { address: address.to_string(), port_specifier, ..Default::default() };
    Address { address: Some(address::Address::SocketAddress(socket)) }
}

pub(super) fn address_of(address: SocketAddr) -> Address {
    socket_address(address.ip(), address.port())
}

/// "From the stream this came on". `initial_fetch_timeout` stays at Envoy's 15 s: with zero, a resource that never
/// comes would keep its cluster or listener warming for ever.
pub(super) fn ads() -> Option<ConfigSource> {
    Some(ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource::default())),
        ..Default::default()
    })
}

/// A percentage as a fraction of a million, as exact as Envoy has it.
pub(super) fn millionths(percent: Decimal) -> FractionalPercent {
    const PER_PERCENT: f64 = 10_000.0;
    FractionalPercent {
        numerator: (percent.to_f64() * PER_PERCENT).round() as u32,
        denominator: DenominatorType::Million.into(),
    }
}
