//! Cases seen with upstream's kubectl.

use serde_json::{Value, json};

use crate::{Template, relaxed};

fn store() -> Value {
    json!({"items": [
        {"metadata": {"name": "a", "labels": {"x.y/z": "1"}}, "n": 1, "ready": true, "ports": [1, 2, 3]},
        {"metadata": {"name": "b"}, "n": 2, "ready": false, "ports": [4]},
        {"metadata": {"name": "c"}, "n": 3, "w": 2.5, "ports": []},
    ], "kind": "List<>"})
}

fn check(template: &str, wanted: &str) {
    let shown = match Template::parse(template) {
        Err(e) => format!("parse: {e}"),
        Ok(t) => t.render(&store(), true).unwrap_or_else(|e| format!("eval: {e}")),
    };
    assert_eq!(shown, wanted, "{template}");
}

#[test]
fn paths_filters_and_ranges() {
    check("{.items[*].metadata.name}", "a b c");
    check("{items[0].metadata.name}", "eval: unrecognized identifier items");
    check("{$.items[0].n}", "1");
    check("{.items[-1:].metadata.name}", "c");
    check("{.items[-1].metadata.name}", "c");
    check("{.items[0:2].n}", "1 2");
    check("{.items[::2].n}", "1 3");
    check("{.items[5].n}", "eval: array index out of bounds: index 5, length 3");
    check("{.items[0,2].metadata.name}", "a c");
    check("{.items[*]['metadata','n'].name}", "a b c");
    check("{..name}", "a b c");
    check("{.items[?(@.n==2)].metadata.name}", "b");
    check("{.items[?(@.metadata.name!=\"a\")].metadata.name}", "b c");
    check("{.items[?(@.ready)].metadata.name}", "a b");
    check("{.items[?(@.n>\"2\")].metadata.name}", "eval: incompatible types for comparison");
    check("{range .items[*]}{.metadata.name}={.n}{\"\\n\"}{end}", "a=1\nb=2\nc=3\n");
    check("{range .items[*]}{range .ports[*]}{@},{end};{end}", "1,2,3,;4,;;");
    check("{range .none[*]}x{end}y", "y");
    check("{.items[0].metadata.labels.x\\.y/z}", "1");
    check("{.items[0].metadata}", "{\"labels\":{\"x.y/z\":\"1\"},\"name\":\"a\"}");
    check("{.kind}", "List<>");
    check("{end}", "eval: not in range, nothing to end");
    check("{.items", "parse: unclosed action");
    check("{.items[}", "parse: unterminated array");
    check("{.items[a]}", "parse: invalid array index a");
    check("{.items[?(@.n==1}", "parse: unterminated filter");
    check("{....}", "parse: invalid multiple recursive descent");
    check("plain {.kind} text", "plain List<> text");
}

#[test]
fn missing_keys_are_errors_when_asked() {
    let template = Template::parse("{.nope}").unwrap();
    assert_eq!(template.render(&store(), false).unwrap_err().to_string(), "nope is not found");
    assert_eq!(template.render(&store(), true).unwrap(), "");
}

#[test]
fn relaxed_paths() {
    for path in ["a.b", ".a.b", "{a.b}", "{.a.b}"] {
        assert_eq!(relaxed(path).unwrap(), "{.a.b}");
    }
    assert!(relaxed("{{.a}}").is_err());
}

#[test]
fn hostile_templates_end() {
    let nested = "{.a[?(@".repeat(200);
    assert!(Template::parse(&nested).is_err());
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "a": deep, "b": 1 });
    }
    let template = Template::parse(&format!("{{{}}}", "..a".repeat(12))).unwrap();
    assert!(template.render(&deep, true).is_err());
}
