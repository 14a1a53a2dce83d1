//! Device selection: results, errors and estimated costs are upstream's.
//!
//! Upstream: k8s.io/dynamic-resource-allocation/cel/compile_test.go.

use serde_json::{Value as Json, json};

const DRIVER: &str = "dra.example.com";

/// The estimate, and what the evaluation says.
fn run(expression: &str, device: &Json) -> Result<(u64, bool), (u64, String)> {
    let program = cel::compile_selector(expression).map_err(|e| (0, e))?;
    let most = program.estimate().max;
    let vars = cel::Vars::new().with("device", cel::device(DRIVER, device).map_err(|e| (most, e))?);
    let outcome = program.evaluate(&vars, cel::SELECTOR_MAX_COST);
    assert!(outcome.cost <= most, "{expression}: costs {} of {most}", outcome.cost);
    match outcome.value {
        Ok(value) => Ok((most, value.as_bool().unwrap_or_default())),
        Err(e) => Err((most, e.to_string())),
    }
}

fn attribute(name: &str, value: Json) -> Json {
    json!({"attributes": {name: value}})
}

#[test]
fn selectors() {
    let none = json!({});
    let yes = attribute("name", json!({"bool": true}));
    let services = attribute("services", json!({"string": "some_example_value"}));
    let one = attribute("name", json!({"version": "1.0.0"}));
    let memory = json!({"capacity": {"memory": {"value": "1Mi"}, "name": {"value": "1Mi"}}});
    let rows: [(&str, &Json, u64); 24] = [
        ("true", &none, 0),
        (r#"!("no-such-domain" in device.attributes)"#, &none, 4),
        (r#""dra.example.com" in device.attributes"#, &attribute("dra.example.com/something", json!({"bool": true})), 3),
        (r#"device.driver == "dra.example.com""#, &none, 4),
        (r#"device.attributes["dra.example.com"].name"#, &yes, 4),
        (r#"device.attributes["dra.example.com"]["name"]"#, &yes, 4),
        (r#"cel.bind(dra, device.attributes["dra.example.com"], dra.name)"#, &yes, 15),
        (r#"device.attributes["other.example.com"].name"#, &attribute("other.example.com/name", json!({"bool": true})), 4),
        (r#"device.attributes["dra.example.com"].name > 0"#, &attribute("name", json!({"int": 1})), 5),
        (r#"device.attributes["dra.example.com"].name == "fish""#, &attribute("name", json!({"string": "fish"})), 5),
        (r#"device.attributes["dra.example.com"].name.isGreaterThan(semver("0.0.1"))"#, &one, 6),
        (r#"device.attributes["dra.example.com"].name.isGreaterThan(semver("v0.0.1", true)) && isSemver("v1.0.0", true)"#, &one, 7),
        (r#"device.capacity["dra.example.com"].name.isGreaterThan(quantity("1Ki"))"#, &memory, 6),
        (r#""name" in device.capacity["dra.example.com"] && device.capacity["dra.example.com"].name.isGreaterThan(quantity("1Ki"))"#, &memory, 10),
        (r#"!("name" in device.capacity["dra.example.com"]) || device.capacity["dra.example.com"].name.isGreaterThan(quantity("1Ki"))"#, &none, 11),
        (r#"device.attributes.exists_one(x, x == "dra.example.com")"#, &services, 164),
        (r#"device.attributes["dra.example.com"].exists_one(x, x == "services")"#, &services, 133),
        (r#"device.attributes["dra.example.com"].services.split("example").size() >= 2"#, &services, 19),
        (r#"device.attributes["dra.example.com"].services.matches("[^a]?sym")"#, &attribute("services", json!({"string": "asymetric"})), 18),
        (r#"device.capacity.exists_one(x, x == "dra.example.com")"#, &memory, 164),
        (r#"device.capacity["dra.example.com"].exists_one(x, x == "memory") || true"#, &memory, 133),
        ("device.allowMultipleAllocations == true", &json!({"allowMultipleAllocations": true}), 3),
        ("device.allowMultipleAllocations == false", &none, 3),
        (r#"device.attributes["dra.example.com"].name && device.attributes["dra.example.com"].name && device.attributes["dra.example.com"].name"#, &yes, 12),
    ];
    for (expression, device, cost) in rows {
        assert_eq!(run(expression, device), Ok((cost, true)), "{expression}");
    }
}

#[test]
fn a_domain_without_attributes() {
    let none = json!({});
    for expression in [
        r#"has(device.attributes.x) && device.attributes[?"y"].hasValue() && size(device.attributes) == 0"#,
        r#"device.attributes["a"] == {} && device.attributes == {} && !("a" in device.attributes) && !has(device.attributes["a"].b)"#,
    ] {
        assert_eq!(run(expression, &none).map(|r| r.1), Ok(true), "{expression}");
    }
}

#[test]
fn everything() {
    let device = json!({
        "attributes": {"bool": {"bool": true}, "int": {"int": 1}, "string": {"string": "fish"}, "version": {"version": "1.0.0"}},
        "capacity": {"quantity": {"value": "1Mi"}},
    });
    let expression = r#"
device.capacity["dra.example.com"].quantity.isGreaterThan(quantity("1Ki")) &&
device.attributes["dra.example.com"].bool &&
device.attributes["dra.example.com"].int > 0 &&
device.attributes["dra.example.com"].string == "fish" &&
device.attributes["dra.example.com"].version.isGreaterThan(semver("0.0.1")) &&
device.capacity["dra.example.com"]["quantity"].isGreaterThan(quantity("1Ki")) &&
device.attributes["dra.example.com"]["bool"] &&
device.attributes["dra.example.com"]["int"] > 0 &&
device.attributes["dra.example.com"]["string"] == "fish" &&
device.attributes["dra.example.com"]["version"].isGreaterThan(semver("0.0.1"))
"#;
    assert_eq!(run(expression, &device), Ok((52, true)));
}

#[test]
fn errors() {
    let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let expensive = format!("{ten}.all(x, {ten}.all(y, {ten}.all(z, {ten}.all(z2, {ten}.all(z3, {ten}.all(z4, {ten}.all(z5, int('1'.find('[0-9]*')) < 100)))))))");
    let none = json!({});
    let rows = [
        ("1", &none, 0, "must evaluate to bool or the unknown type, not int"),
        ("device.x", &none, 0, "compilation failed: ERROR: <input>:1:7: undefined field 'x'\n | device.x\n | ......^"),
        (r#"device.attributes["no-such-domain"].noSuchAttr.isGreaterThan(quantity("0"))"#, &none, 6, "no such key: noSuchAttr"),
        (r#"device.attributes["no-such-domain"]["noSuchAttr"].isGreaterThan(quantity("0"))"#, &none, 6, "no such key: noSuchAttr"),
        (r#"device.attributes["dra.example.com"].names"#, &attribute("names", json!({"strings": ["fish", "bird"]})), 4, "attribute names: unsupported attribute value"),
        (r#"device.attributes["dra.example.com"].name.exists(x, x > 0)"#, &attribute("name", json!({"int": 1})), 389, "got 'types.Int', expected iterable type"),
        (r#"device.attributes["dra.example.com"].name.exists(x, x > 0)"#, &attribute("name", json!({"version": "1.0.0"})), 389, "got 'cel.Semver', expected iterable type"),
        (expensive.as_str(), &none, 85_555_551, "operation cancelled: actual cost limit exceeded"),
    ];
    for (expression, device, cost, error) in rows {
        assert_eq!(run(expression, device), Err((cost, error.to_owned())), "{expression}");
    }
    assert!(cel::compile_selector("?!").unwrap_err().starts_with("compilation failed: ERROR: <input>:1:1: Syntax error"));
    assert!(cel::compile_selector(r#"device.attributes["x"].name.includes("fish")"#).unwrap_err().contains("undeclared reference to 'includes'"));
}
