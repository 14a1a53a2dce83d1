//! Every built-in kind, from its protobuf: defaulting, preparing, validating, warning, converting and printing take any object that decodes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static RESOURCES: LazyLock<Vec<catalog::Resource>> = LazyLock::new(catalog::builtin);

fuzz_target!(|bytes: &[u8]| {
    let Ok(codec::ProtoObject { api_version, kind, value: sent, .. }) = codec::decode_proto(bytes) else { return };
    let Some(resource) = RESOURCES.iter().find(|r| r.kind == kind && r.api_version() == api_version) else { return };
    let mut object = sent.clone();
    resource.default(&mut object);
    resource.prepare(&mut object, None);
    let _ = catalog::metadata::validate(&object, resource);
    let _ = resource.validate(&object);
    let _ = resource.warnings("", &object, None);
    let mut changed = sent;
    resource.prepare(&mut changed, Some(&object));
    for part in ["", "status"] {
        let _ = resource.validate_update(part, &changed, &object, &mut Vec::new());
        let _ = resource.warnings(part, &changed, Some(&object));
    }
    let _ = resource.cells(&object, jiff::Timestamp::UNIX_EPOCH);
});
