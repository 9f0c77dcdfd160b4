//! The JSON Schema of a scalar that is read by hand, written beside its reader.

/// Says what a scalar may be: `scalar_schema!(Span, { "type": "string", "pattern": "…" });`. The schema stands where
/// the scalar is used, so that a field's own description stands beside it.
macro_rules! scalar_schema {
    ($type:ty, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use scalar_schema;
