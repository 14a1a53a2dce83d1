//! Objects as CBOR, where the feature is on.

use ciborium::Value;
use e2e::ApiServer;

const CBOR: &str = "application/cbor";

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = vec![0xd9, 0xd9, 0xf7];
    ciborium::into_writer(value, &mut out).expect("memory takes it");
    out
}

/// The item behind the tag that says what it is.
fn decoded(bytes: &[u8]) -> Value {
    assert!(bytes.starts_with(&[0xd9, 0xd9, 0xf7]), "{:?}", &bytes[..bytes.len().min(40)]);
    ciborium::from_reader(&bytes[3..]).expect("CBOR")
}

fn text(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).expect("UTF-8"),
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| match value {
        Value::Map(pairs) => pairs.iter().find(|(k, _)| text(k) == key).map(|(_, v)| v).unwrap_or(&Value::Null),
        Value::Array(items) => key.parse::<usize>().ok().and_then(|i| items.get(i)).unwrap_or(&Value::Null),
        Value::Tag(55799, inner) => at(inner, key),
        _ => &Value::Null,
    })
}

fn map(pairs: &[(&str, Value)]) -> Value {
    Value::Map(pairs.iter().map(|(key, value)| (Value::Text((*key).into()), value.clone())).collect())
}

fn word(text: &str) -> Value {
    Value::Text(text.into())
}

const DEFINITION: &str = r#"{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "pandas.bears.example"},
    "spec": {"group": "bears.example", "scope": "Namespaced", "names": {"plural": "pandas", "singular": "panda", "kind": "Panda"},
    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"weight": {"type": "number"}, "name": {"type": "string"}}}}}}}]}}"#;

#[test]
fn objects_come_and_go_as_cbor() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut server) = ApiServer::start(folder.path(), &["--feature-gates=CBORServingAndStorage=true"]) else { return };
    let send = |server: &ApiServer, method: &str, media: &str, path: &str, body: &[u8]| server.curl_bytes(path, &["-X", method, "-H", &format!("Content-Type: {media}"), "-H", "Accept: application/cbor"], body);
    let get = |server: &ApiServer, path: &str| server.curl_bytes(path, &["-H", "Accept: application/cbor"], &[]);

    server.kubectl("create secret generic s --from-literal=k=value").ok();
    let (code, media, body) = get(&server, "/api/v1/namespaces/default/secrets/s");
    assert_eq!((code, media.as_str()), (200, CBOR));
    assert_eq!(at(&decoded(&body), "data.k"), &Value::Tag(22, Box::new(Value::Bytes(b"value".to_vec()))), "data is data");
    let (_, _, body) = get(&server, "/api/v1/namespaces/default/secrets");
    assert_eq!((text(at(&decoded(&body), "kind")), at(&decoded(&body), "items.0.data.k")), ("SecretList".into(), &Value::Tag(22, Box::new(Value::Bytes(b"value".to_vec())))));

    let made = map(&[("apiVersion", word("v1")), ("kind", word("Secret")), ("metadata", map(&[("name", word("made"))])), ("data", map(&[("a", Value::Tag(22, Box::new(Value::Bytes(vec![1, 2, 255]))))]))]);
    let (code, _, body) = send(&server, "POST", CBOR, "/api/v1/namespaces/default/secrets", &encoded(&made));
    assert_eq!((code, text(at(&decoded(&body), "metadata.name"))), (201, "made".into()));
    assert_eq!(server.kubectl("get secret made -o jsonpath={.data.a}").ok(), "AQL/");

    server.kubectl_with("create -f -", DEFINITION).ok();
    let panda = |name: &str, weight: f64| map(&[("apiVersion", word("bears.example/v1")), ("kind", word("Panda")), ("metadata", map(&[("name", word(name))])), ("spec", map(&[("weight", Value::Float(weight)), ("name", Value::Bytes(b"Bao".to_vec()))]))]);
    let pandas = "/apis/bears.example/v1/namespaces/default/pandas";
    assert_eq!(send(&server, "POST", CBOR, pandas, &encoded(&panda("one", 82.5))).0, 201);
    let applied = send(&server, "PATCH", "application/apply-patch+cbor", &format!("{pandas}/two?fieldManager=t"), &encoded(&panda("two", 1.0)));
    assert_eq!((applied.0, applied.1.as_str()), (201, CBOR));
    assert_eq!(server.kubectl("get pandas -o jsonpath={.items[*].spec}").ok(), "{\"name\":\"Bao\",\"weight\":82.5} {\"name\":\"Bao\",\"weight\":1}");
    // A watch is a sequence of items.
    let (code, media, body) = get(&server, &format!("{pandas}?watch=1&timeoutSeconds=1"));
    assert_eq!((code, media.as_str()), (200, "application/cbor-seq"));
    let mut rest = body.as_slice();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let Value::Tag(55799, event) = ciborium::from_reader::<Value, _>(&mut rest).expect("an event") else { panic!("an event without its tag") };
        names.push(format!("{} {}", text(at(&event, "type")), text(at(&event, "object.metadata.name"))));
    }
    assert_eq!(names, ["ADDED one", "ADDED two"]);
    // Errors, and lists for kubectl's tables.
    let (code, media, body) = get(&server, "/api/v1/namespaces/default/secrets/none");
    assert_eq!((code, media.as_str(), text(at(&decoded(&body), "reason"))), (404, CBOR, "NotFound".into()));

    for (body, why) in [
        ([vec![0xd9, 0xd9, 0xf7], vec![0x81; 100_000]].concat(), "exceeded max nested level 64"),
        (vec![0xd9, 0xd9, 0xf7, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "promises more"),
        (vec![0xd9, 0xd9, 0xf7, 0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "exceeded max number of key-value pairs"),
        (vec![0xa2, 0x61, b'a', 1, 0x61, b'a', 2], "duplicate map key"),
    ] {
        let (code, _, answer) = send(&server, "POST", CBOR, pandas, &body);
        let status = decoded(&answer);
        assert!(code == 400 && text(at(&status, "message")).contains(why), "{code} {status:?}");
    }

    // Without the feature nobody speaks of it.
    server.restart(&["--feature-gates=CBORServingAndStorage=false"]);
    assert_eq!(send(&server, "POST", CBOR, pandas, &encoded(&panda("three", 1.0))).0, 406);
    let (code, _, body) = server.curl_bytes(pandas, &["-H", "Content-Type: application/cbor"], &encoded(&panda("three", 1.0)));
    assert_eq!(code, 415, "{}", String::from_utf8_lossy(&body));
    assert_eq!(get(&server, pandas).0, 406);
    let admin = ["--cert", &server.pki("admin.crt"), "--key", &server.pki("admin.key")].map(str::to_owned);
    let metrics = server.curl("/metrics", &admin.each_ref().map(String::as_str), "").1;
    for line in ["kubernetes_feature_enabled{name=\"CBORServingAndStorage\",stage=\"ALPHA\"} 0", "kubernetes_feature_enabled{name=\"ImageVolume\",stage=\"\"} 1"] {
        assert!(metrics.contains(line), "{line}");
    }
    for (flag, why) in [("Unheard=true", "unrecognized feature gate: Unheard"), ("ImageVolume=false", "cannot set feature gate ImageVolume to false, feature is locked to true")] {
        let told = ApiServer::refuses(folder.path(), &[&format!("--feature-gates={flag}")]);
        assert!(told.contains(why), "{told}");
    }
    // All alpha features: this one among them.
    server.restart(&["--feature-gates=AllAlpha=true"]);
    assert_eq!(send(&server, "POST", CBOR, pandas, &encoded(&panda("three", 1.0))).0, 201);
}
