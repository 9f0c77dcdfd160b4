//! Fields of other dialects that are read nowhere yet: refused wherever they stand, so that nobody believes they have an
//! effect. In their own dialect they have one, so it is not said to remove them: each says what to write instead.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::yaml::{invalid, scalar_schema};

/// A type for each remedy: no value can have it, and reading one is an error that tells the remedy.
macro_rules! unsupported {
    ($($name:ident: $remedy:literal;)+) => {$(
        #[doc = concat!("Refused: ", $remedy, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub enum $name {}

        scalar_schema!($name, {
            "not": {},
            "doNotSuggest": true,
            "errorMessage": concat!("this field is not supported: ", $remedy),
        });

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                de::IgnoredAny::deserialize(deserializer)?;
                Err(invalid("this field is not supported", $remedy))
            }
        }
    )+};
}

unsupported! {
    AbortHttp2Error: "write `httpStatus` or `grpcStatus`";
    DefaultGateways: "leave it out: a route of the mesh has services as parents";
    DefaultTrafficPolicy: "write a TrafficPolicy without a target";
    EgressCapture: "leave it out: sidecars are dialled, nothing captures connections";
    EgressPort: "write `listen` at the port of the service, in the snapshot";
    EndpointNetwork: "leave it out, with an address by which sidecars reach the endpoint";
    EndpointServiceAccount: "write `subjectAltNames` of the ServiceEntry";
    ExponentialDelay: "write `fixedDelay`";
    ExternalAuth: "decide in the service itself: nobody else is asked here";
    Inbound: "nothing stands for it: outbound traffic alone passes a sidecar here";
    RuleWorkloads: "write a TrafficPolicy with `clients`";
    ServiceWorkloads: "list the workloads as `endpoints`, or have them in a source of discovery";
    SidecarOutbound: "write `outboundTraffic` of the Mesh";
    SourceSubnet: "write `sourceLabels` or `sourceNamespace`";
    Tunnel: "nothing stands for it: sidecars dial endpoints themselves";
}
