//! Comparing and naming pod templates.

use k8s_openapi::api::core::v1::PodTemplateSpec;

pub(crate) const HASH_LABEL: &str = "pod-template-hash";

/// Equal but for the hash label. Upstream: EqualIgnoreHash.
pub(crate) fn same_template(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    without_hash(a) == without_hash(b)
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut plain = template.clone();
    if let Some(meta) = &mut plain.metadata {
        if let Some(labels) = &mut meta.labels {
            labels.remove(HASH_LABEL);
            if labels.is_empty() {
                meta.labels = None;
            }
        }
        meta.creation_timestamp = None;
    }
    plain
}

/// A short name for a template, in the alphabet of upstream's names.
// Differs: upstream hashes a dump of its Go structures; the value differs from ours, the form does not.
pub(crate) fn hash_of(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hash = Fnv32::default();
    hash.write(&serde_json::to_vec(template).unwrap_or_default());
    if let Some(collisions) = collisions {
        hash.write(&collisions.to_le_bytes());
    }
    safe_encode(&hash.0.to_string())
}

/// FNV-1a, 32 bits.
pub(crate) struct Fnv32(pub u32);

impl Default for Fnv32 {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv32 {
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// Upstream: rand.SafeEncodeString: no vowels, nothing that reads like a word.
pub(crate) fn safe_encode(text: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    text.bytes().map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect()
}
