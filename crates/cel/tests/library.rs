//! Kubernetes' libraries: the examples of their documentation, and what they say of bad input.
//!
//! Upstream: the comments and tests of k8s.io/apiserver/pkg/cel/library.

use cel::{Answer, Authorization, Authorizer, Env, Object, PER_CALL_LIMIT, Question, Type, Value, Vars};
use serde_json::json;

fn evaluate(env: &Env, expression: &str) -> Result<String, String> {
    let program = env.compile(expression).map_err(|e| e.to_string())?;
    let outcome = program.evaluate(&Vars::new(), PER_CALL_LIMIT);
    let value = outcome.value.map_err(|e| e.to_string())?;
    Ok(value.to_json().map_or_else(|| format!("{value:?}"), |j| j.to_string()))
}

fn holds(expressions: &[&str]) {
    let env = Env::kubernetes();
    for expression in expressions {
        assert_eq!(evaluate(&env, expression), Ok("true".into()), "{expression}");
    }
}

fn fails(rows: &[(&str, &str)]) {
    let env = Env::kubernetes();
    for (expression, message) in rows {
        assert_eq!(evaluate(&env, expression), Err((*message).into()), "{expression}");
    }
}

#[test]
fn lists() {
    holds(&[
        "[1, 2, 3].isSorted()",
        "['a', 'b', 'b', 'c'].isSorted()",
        "![2.0, 1.0].isSorted()",
        "[].isSorted() || true",
        "[1, 3].sum() == 4",
        "[1.0, 3.0].sum() == 4.0",
        "[duration('1m'), duration('1s')].sum() == duration('1m1s')",
        "[1, 3].min() == 1 && [1, 3].max() == 3",
        "[1, 2, 2, 3].indexOf(2) == 1",
        "['a', 'b', 'b', 'c'].lastIndexOf('b') == 2",
        "[1.0].indexOf(1.1) == -1",
        "[1, 2, 3, 4, 5].slice(1, 3) == [2, 3]",
        "[[1], [2, 3]].flatten() == [1, 2, 3]",
        "[3, 1, 2].sort() == [1, 2, 3]",
        "[{'n': 'b'}, {'n': 'a'}].sortBy(e, e.n)[0].n == 'a'",
        "[1, 2, 2].distinct() == [1, 2]",
        "lists.range(3) == [0, 1, 2]",
        "[1, 2].reverse() == [2, 1]",
        "[1, 2].first() == optional.of(1) && [1, 2].last().value() == 2",
        "sets.contains([1, 2, 3, 4], [2, 3]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1, 2])",
        "[1, 2, 3].transformList(i, v, i * v) == [0, 2, 6]",
        "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}",
        "[1, 2].exists(i, v, i == 1 && v == 2) && {'a': 1}.all(k, v, k == 'a' && v == 1) && [5].existsOne(i, v, v == 5)",
    ]);
    fails(&[("[1].filter(v, v > 1).min() == 1", "min called on empty list"), ("[1, 2].slice(2, 1) == []", "cannot slice(2, 1), start index must be less than or equal to end index")]);
}

#[test]
fn regular_expressions_and_urls() {
    holds(&[
        "'abc 123'.find('[0-9]*') == ''",
        "'abc 123'.find('[0-9]+') == '123'",
        "'xyz'.find('[0-9]+') == ''",
        "'123 abc 456'.findAll('[0-9]+') == ['123', '456']",
        "'123 abc 456'.findAll('[0-9]+', 1) == ['123']",
        "'xyz'.findAll('[0-9]+') == []",
        "url('/path').getScheme() == ''",
        "url('https://example.com/').getScheme() == 'https'",
        "url('https://example.com:80/').getHost() == 'example.com:80'",
        "url('https://[::1]:80/').getHost() == '[::1]:80'",
        "url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://user:pass@example.com:80/path?query=val#fragment').getPort() == '80'",
        "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
        "url('https://example.com').getEscapedPath() == ''",
        "url('https://example.com/path?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']}",
        "url('https://example.com/path?').getQuery() == {}",
        "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path')",
        "!isURL('https://a:b:c/') && !isURL('../relative-path')",
    ]);
    fails(&[
        ("url('../relative-path').getHost()", "URL parse error during conversion from string: parse \"../relative-path\": invalid URI for request"),
        ("url('').getHost()", "URL parse error during conversion from string: parse \"\": empty url"),
    ]);
}

#[test]
fn addresses() {
    holds(&[
        "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP(':::1') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') && !isIP('10.01.0.1')",
        "ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD') && !ip.isCanonical('2001:db8::0:0:0:abcd')",
        "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6",
        "ip('0.0.0.0').isUnspecified() && ip('127.0.0.1').isLoopback() && ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast()",
        "ip('ff02::1').isLinkLocalMulticast() && ip('169.254.169.254').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast() && !ip('fd80::1').isLinkLocalUnicast()",
        "ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()",
        "string(ip('::1')) == '::1' && type(ip('::1')) == net.IP",
        "isCIDR('192.168.0.0/16') && isCIDR('::1/128') && !isCIDR('192.168.0.0/33') && !isCIDR('::1/129')",
        "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
        "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24')) && !cidr('192.168.1.0/24').containsCIDR('192.168.2.0/24')",
        "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24') && cidr('::1/128').prefixLength() == 128",
        "string(cidr('192.168.0.0/24')) == '192.168.0.0/24'",
    ]);
    fails(&[
        ("ip('127.0.0.256').family() == 4", "IP Address \"127.0.0.256\" parse error during conversion from string: ParseAddr(\"127.0.0.256\"): IPv4 field has value >255"),
        ("cidr('192.168.0.0/').prefixLength() == 1", "network address parse error during conversion from string: network address parse error during conversion from string: netip.ParsePrefix(\"192.168.0.0/\"): bad bits after slash: \"\""),
    ]);
}

#[test]
fn quantities_versions_and_formats() {
    holds(&[
        "isQuantity('1.3Gi')",
        "!isQuantity('1,3G')",
        "isQuantity('10000k')",
        "!isQuantity('200K')",
        "!isQuantity('Mi')",
        "quantity('50000000G').isInteger() && !quantity('9999999999999999999999999999999999999G').isInteger()",
        "quantity('50k').asInteger() == 50000 && quantity('50k').sub(20000).asApproximateFloat() == 30000.0",
        "quantity('50k').add(quantity('20k')) == quantity('70k') && quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
        "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50M').compareTo(quantity('50Mi')) == -1 && quantity('150Mi').isGreaterThan(quantity('100Mi'))",
        "quantity('-1').sign() == -1",
        "semver('1.2.3').major() == 1 && semver('1.2.3').compareTo(semver('2.0.0')) == -1 && semver('1.0.0-alpha').isLessThan(semver('1.0.0'))",
        "isSemver('v1.0', true) && !isSemver('v1.0') && semver('01.01.01', true) == semver('1.1.1') && semver('1.0', true).patch() == 0",
        "!format.dns1123Label().validate('my-label-name').hasValue() && format.dns1123Label().validate('My').hasValue()",
        "!format.qualifiedName().validate('apiextensions.k8s.io/v1beta1').hasValue() && !format.dns1123LabelPrefix().validate('my-label-prefix-').hasValue()",
        "!format.named('uuid').value().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() && !format.named('unknown').hasValue()",
        "!format.date().validate('2021-01-01').hasValue() && !format.datetime().validate('2021-01-01T00:00:00Z').hasValue() && !format.byte().validate('aGVsbG8=').hasValue()",
        "format.uri().validate('x').value() == ['parse \"x\": invalid URI for request']",
        "!format.uuid().validate('123e4567e89b-12d3a456426614174000').hasValue() && format.uuid().validate('123e4567--e89b12d3a456426614174000').hasValue()",
        "format.byte().validate('').hasValue() && !format.datetime().validate('2021-01-01t00:00:00z').hasValue()",
        "format.uuid().validate('x').value().join('\\n') == 'does not match the UUID format'",
    ]);
    fails(&[
        ("quantity('Three').sign() == 0", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("quantity('9999999999999999999999999999999999999G').asInteger() == 0", "cannot convert value to integer"),
        ("semver('200K').major() == 0", "No Major.Minor.Patch elements found"),
    ]);
}

#[test]
fn errors_at_run_time() {
    fails(&[
        ("1 / 0 == 1", "division by zero"),
        ("1 % 0 == 1", "modulus by zero"),
        ("9223372036854775807 + 1 == 1", "integer overflow"),
        ("[1][5] == 1", "index out of bounds: 5"),
        ("{'a': 1}['b'] == 1", "no such key: b"),
        ("{'a': 1}.b == 1", "no such key: b"),
        ("int('x') == 1", "type conversion error from 'string' to 'int'"),
        ("dyn(1) + 'a' == 'b'", "no such overload: _+_(int, string)"),
        ("optional.none().value() == 1", "optional.none() dereference"),
        ("'a'.substring(3) == ''", "index out of range: 3"),
    ]);
    holds(&["(1 / 0 == 1) || true", "!(false && 1 / 0 == 1)", "[0, 1].exists(v, 1 / v == 1)", "true ? true : 1 / 0 == 1"]);
}

struct Everything;

impl Authorizer for Everything {
    fn authorize(&self, question: &Question) -> Answer {
        Answer { allowed: question.verb == "get", reason: format!("{}/{}/{}", question.group, question.resource, question.name), error: None }
    }
}

#[test]
fn authorization() {
    let env = Env::kubernetes()
        .variable("authorizer", Type::object("kubernetes.authorization.Authorizer"))
        .variable("authorizer.requestResource", Type::object("kubernetes.authorization.ResourceCheck"));
    let request = Question { group: "apps".into(), resource: "deployments".into(), name: "web".into(), ..Question::default() };
    for expression in [
        "authorizer.path('/healthz').check('get').allowed()",
        "!authorizer.group('').resource('pods').namespace('default').check('create').allowed()",
        "authorizer.group('apps').resource('deployments').name('x').check('get').reason() == 'apps/deployments/x'",
        "authorizer.serviceAccount('default', 'bob').group('').resource('pods').fieldSelector('spec.nodeName=a').labelSelector('a=b').check('get').error() == ''",
        "authorizer.requestResource.check('get').allowed() && authorizer.requestResource.check('get').reason() == 'apps/deployments/web'",
    ] {
        let program = env.compile(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        let vars = Vars::new().with("authorizer", Value::Authorization(Authorization::new(&Everything))).with("authorizer.requestResource", Value::Authorization(Authorization::of_request(&Everything, request.clone())));
        assert_eq!(program.evaluate(&vars, PER_CALL_LIMIT).value.map(|v| v.as_bool()), Ok(Some(true)), "{expression}");
    }
}

#[test]
fn mutations() {
    let env = Env::kubernetes().with_mutations().variable("object", Type::Dyn);
    let apply = env.compile("Object{spec: Object.spec{replicas: object.spec.replicas + 1, containers: [Object.spec.containers{name: 'a'}]}, metadata: Object.metadata{?labels: optional.none()}}").unwrap();
    assert_eq!(apply.result_type(), Type::object("Object"));
    let object = json!({"spec": {"replicas": 2}});
    let vars = Vars::new().with("object", Value::json(&object, cel::Decl::DYN).unwrap());
    let Ok(Value::Object(Object::Built(built))) = apply.evaluate(&vars, PER_CALL_LIMIT).value else { panic!("an object") };
    assert_eq!(built.check_type_names(), Ok(()));
    assert_eq!(Value::Object(Object::Built(built)).to_json(), Some(json!({"metadata": {}, "spec": {"containers": [{"name": "a"}], "replicas": 3}})));

    let patch = env.compile("[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b~c'), value: 'x'}]").unwrap();
    assert_eq!(patch.result_type(), Type::list(Type::object("JSONPatch")));
    assert_eq!(patch.evaluate(&vars, PER_CALL_LIMIT).value.unwrap().to_json(), Some(json!([{"op": "add", "path": "/metadata/labels/a~1b~0c", "value": "x"}])));

    let wrong = env.compile("Object{spec: Object.status{}}").unwrap();
    let Ok(Value::Object(Object::Built(built))) = wrong.evaluate(&vars, PER_CALL_LIMIT).value else { panic!("an object") };
    assert_eq!(built.check_type_names(), Err("unexpected type name \"Object.status\", expected \"Object.spec\", which matches field name path from root Object type".into()));
    assert!(Env::kubernetes().compile("jsonpatch.escapeKey('a')").is_err());
    assert!(env.compile("JSONPatch{op: 1}").unwrap_err().to_string().contains("expected type of field 'op' is 'string' but provided type is 'int'"));
}

#[test]
fn escaped_names() {
    for (name, escaped) in [("a-b", "a__dash__b"), ("a.b/c", "a__dot__b__slash__c"), ("a__b", "a__underscores__b"), ("namespace", "__namespace__"), ("self", "self")] {
        assert_eq!(cel::escape(name).as_deref(), Some(escaped));
        assert_eq!(cel::unescape(escaped).as_deref(), Some(name));
    }
    assert_eq!(cel::escape("1a"), None);
    assert_eq!(cel::escape("a!"), None);
    assert_eq!(cel::unescape("a__other__b"), None);
}
