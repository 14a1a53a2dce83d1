//! The hash by which a running container is recognised as the one its spec asks for.

use k8s_openapi::api::core::v1::Container;

/// Covers what cannot change under a running container: its name and image.
///
/// Upstream: pkg/kubelet/container/helpers.go hashes these two only, so that defaulting by a newer server restarts nothing.
pub fn container_hash(container: &Container) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    let text = serde_json::json!({"name": container.name, "image": container.image}).to_string();
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    format!("{hash:x}")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;

    #[test]
    fn follows_the_image_and_nothing_that_defaulting_adds() {
        let one = Container { name: "a".into(), image: Some("i:1".into()), ..Container::default() };
        let defaulted = Container { termination_message_path: Some("/dev/termination-log".into()), ..one.clone() };
        let other = Container { image: Some("i:2".into()), ..one.clone() };
        assert_eq!(super::container_hash(&one), super::container_hash(&defaulted));
        assert_ne!(super::container_hash(&one), super::container_hash(&other));
    }
}
