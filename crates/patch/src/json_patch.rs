//! RFC 6902 patches with upstream's bounds: 10,000 operations, and a limit on what `copy` may make of a small patch.
//!
//! The target changes only when every operation succeeded.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

/// Upstream: evanphx/json-patch `ErrTestFailed`.
const TEST_FAILED: &str = "failed: test failed";
const MAX_OPERATIONS: usize = 10_000;
/// Upstream bounds the bytes that copies add by the size of the largest request body.
const MAX_COPIED: usize = 3 << 20;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPatchError {
    /// The patch itself is malformed: a bad request.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// Too many operations or too much copying: request entity too large.
    #[error("{0}")]
    TooLarge(String),
    /// An operation does not apply: unprocessable.
    #[error("{0}")]
    DoesNotApply(String),
}

impl JsonPatchError {
    /// Whether the patch says itself that it is not for this target.
    pub fn is_failed_test(&self) -> bool {
        matches!(self, Self::DoesNotApply(why) if why.ends_with(TEST_FAILED))
    }
}

/// Applies the patch document to `target`.
pub fn apply_json_patch(target: &Value, patch: &[u8]) -> Result<Value, JsonPatchError> {
    let Patch(operations) = serde_json::from_slice(patch).map_err(|e| JsonPatchError::Malformed(e.to_string()))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(JsonPatchError::TooLarge(format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len())));
    }
    let mut out = target.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = &operation {
            copied += out.pointer(copy.from.as_str()).map_or(0, size);
            if copied > MAX_COPIED {
                return Err(JsonPatchError::TooLarge(format!("Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}")));
            }
        }
        if matches!(&operation, PatchOperation::Test(test) if test.value.is_null() && is_absent_member(&out, test.path.as_str())) {
            continue;
        }
        let tested = if let PatchOperation::Test(test) = &operation { Some(format!("testing value {} {TEST_FAILED}", test.path)) } else { None };
        json_patch::patch(&mut out, &[operation]).map_err(|e| JsonPatchError::DoesNotApply(tested.unwrap_or_else(|| e.to_string())))?;
    }
    Ok(out)
}

/// Whether the path names a member that its object does not have; upstream takes such a member for null when it tests.
// Upstream: gopkg.in/evanphx/json-patch.v4, patch.go, `test`.
fn is_absent_member(document: &Value, path: &str) -> bool {
    let parent = path.rsplit_once('/').and_then(|(parent, _)| document.pointer(parent));
    parent.is_some_and(Value::is_object) && document.pointer(path).is_none()
}

/// About the length of the value's JSON text, without writing it.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|i| size(i) + 1).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::apply_json_patch;

    #[test]
    fn an_absent_member_tests_as_null() {
        let add = |at: &str| format!(r#"[{{"op":"test","path":"{at}","value":null}},{{"op":"add","path":"/metadata/finalizers","value":["a"]}}]"#);
        let target = json!({"metadata": {}});
        assert_eq!(apply_json_patch(&target, add("/metadata/finalizers").as_bytes()).unwrap(), json!({"metadata": {"finalizers": ["a"]}}));
        assert!(apply_json_patch(&target, add("/absent/finalizers").as_bytes()).is_err());
        assert!(apply_json_patch(&json!({"metadata": {"finalizers": []}}), add("/metadata/finalizers").as_bytes()).unwrap_err().is_failed_test());
    }
}
