//! Certificates for tests: an authority, what it issues and revokes, and what stands in for files on a proxy's machine.

use std::{collections::BTreeMap, sync::OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        // Who has the name of the one that signed it would be taken to have signed itself.
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    pub fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A list of what was revoked: nothing.
    pub fn revoked(&self) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// Puts certificates in the place of the files that resources name, and collects the secrets they expect of a bootstrap.
pub fn stand_in(resources: &mut Value, secrets: &mut BTreeMap<String, Value>) {
    static FILES: OnceLock<BTreeMap<&str, String>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let authority = Authority::new();
        let (chain, key) = authority.issue("stand.in");
        [
            ("certificate_chain", chain),
            ("private_key", key),
            ("trusted_ca", authority.pem()),
            ("crl", authority.revoked()),
        ]
        .into()
    });
    let inline = |field: &str| json!({ "inline_string": files[field] });
    match resources {
        Value::Object(fields) => {
            for (field, value) in fields.iter_mut() {
                if files.contains_key(field.as_str()) && value.get("filename").is_some() {
                    *value = inline(field);
                }
                let mut add = |name: &Value, secret: (&str, Value)| {
                    let name = name.as_str().unwrap();
                    secrets.insert(name.to_owned(), json!({ "name": name, secret.0: secret.1 }));
                };
                match field.as_str() {
                    "tls_certificate_sds_secret_configs" => {
                        let pair = ["certificate_chain", "private_key"].map(|field| (field.to_owned(), inline(field)));
                        add(&value[0]["name"], ("tls_certificate", Value::Object(pair.into_iter().collect())));
                    }
                    "validation_context_sds_secret_config" => {
                        add(&value["name"], ("validation_context", json!({ "trusted_ca": inline("trusted_ca") })));
                    }
                    _ => {}
                }
                stand_in(value, secrets);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| stand_in(item, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
