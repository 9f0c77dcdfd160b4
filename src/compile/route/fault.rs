//! Failures on purpose: what the fault filter, which every HTTP listener has, does for a route.

use crate::{
    compile::wire::{duration, millionths},
    model::policy::routing::{Fault, FaultAbort, FaultDelay, FaultStatus},
    proto::{
        self, Any,
        envoy::extensions::filters::{
            common::fault::v3::{FaultDelay as DelayConfig, fault_delay::FaultDelaySecifier},
            http::fault::v3::{FaultAbort as AbortConfig, HttpFault, fault_abort::ErrorType},
        },
    },
};

pub(in crate::compile) fn compile(fault: &Fault) -> Any {
    let Fault { delay, abort } = fault;
    proto::any(&HttpFault {
        delay: delay.as_ref().map(|FaultDelay { duration: length, percent }| DelayConfig {
            percentage: Some(millionths(*percent)),
            fault_delay_secifier: duration(*length).map(FaultDelaySecifier::FixedDelay),
        }),
        abort: abort.as_ref().map(|FaultAbort { status, percent }| AbortConfig {
            percentage: Some(millionths(*percent)),
            error_type: Some(match *status {
                FaultStatus::Http(status) => ErrorType::HttpStatus(status.into()),
                FaultStatus::Grpc(status) => ErrorType::GrpcStatus(status),
            }),
            ..Default::default()
        }),
        ..Default::default()
    })
}
