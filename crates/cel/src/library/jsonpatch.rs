//! `jsonpatch.escapeKey`. Upstream: k8s.io/apiserver/pkg/cel/library/jsonpatch.go.

use crate::functions::{Table, mismatch};
use crate::value::Value as V;

pub(crate) fn add(table: &mut Table) {
    table.add("jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", "(string) -> string", |a| match &a[0] {
        V::String(s) => Ok(V::string(s.replace('~', "~0").replace('/', "~1"))),
        _ => mismatch(),
    });
}
