//! Upstream's numbers: what rules cost when they run, and what they are estimated to cost.
//!
//! Upstream: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/celcoststability_test.go, k8s.io/apiserver/pkg/cel/library/cost_test.go.
//! There lists and conversions of literals are not folded in the second, so its run-time numbers are not repeated here.

use std::sync::Arc;

use cel::{Decl, DeclKind, Env, ListDecl, ListSemantics, PER_CALL_LIMIT, Value, Vars};
use serde_json::{Value as Json, json};

fn decl(kind: DeclKind) -> Decl {
    Decl::new(kind)
}

fn object(name: &str, fields: Vec<(&str, Decl)>) -> Decl {
    Decl::object(name, fields.into_iter().map(|(n, d)| (n.to_owned(), d)))
}

fn keyed(items: Decl, keys: &[&str]) -> Decl {
    decl(DeclKind::List(ListDecl { items: Arc::new(items), semantics: ListSemantics::Map(keys.iter().map(|k| (*k).to_owned()).collect()) }))
}

fn set(items: Decl) -> Decl {
    decl(DeclKind::List(ListDecl { items: Arc::new(items), semantics: ListSemantics::Set }))
}

/// `val1`, `val2`, ... of these declarations and values.
fn numbered(rows: Vec<(Decl, Json)>) -> (Decl, Json) {
    let (mut fields, mut values) = (Vec::new(), serde_json::Map::new());
    for (i, (decl, value)) in rows.into_iter().enumerate() {
        let name = format!("val{}", i + 1);
        values.insert(name.clone(), value);
        fields.push((name, decl));
    }
    (Decl::object("selfType", fields), Json::Object(values))
}

fn check(this: &Decl, json: &Json, rules: &[(&str, u64)]) {
    let this = Arc::new(this.clone());
    let env = Env::kubernetes().declare("self", this.clone());
    for (rule, cost) in rules {
        let program = env.compile(rule).unwrap_or_else(|e| panic!("{rule}: {e}"));
        let outcome = program.evaluate(&Vars::new().with("self", Value::json(json, &this).expect("the data")), PER_CALL_LIMIT);
        assert_eq!(outcome.value.as_ref().ok().and_then(Value::as_bool), Some(true), "{rule}: {:?}", outcome.value);
        assert_eq!(outcome.cost, *cost, "{rule}");
    }
}

#[test]
fn scalars() {
    let (this, json) = numbered(vec![
        (decl(DeclKind::Int), json!(i64::MAX)),
        (decl(DeclKind::Int), json!(i64::MAX)),
        (decl(DeclKind::Int), json!(i32::MAX)),
        (decl(DeclKind::Double), json!(10.0)),
        (decl(DeclKind::Double), json!(1)),
        (decl(DeclKind::Bool), json!(true)),
        (decl(DeclKind::Bytes), json!("QUI=")),
        (decl(DeclKind::Int), json!(5)),
    ]);
    check(
        &this,
        &json,
        &[
            ("self.val1 == self.val2", 5),
            ("type(self.val1) == int", 4),
            ("self.val3 + 1 == 2147483647 + 1", 5),
            ("type(self.val5) == double", 4),
            ("self.val5 == 1.0", 3),
            ("double(self.val8) < self.val4", 6),
            ("self.val8 < int(self.val4)", 6),
            ("double(5) < 10.0", 1),
            ("5 < int(10.0)", 1),
            ("double(self.val8) < 10.0", 4),
            ("self.val7 == b'AB'", 3),
            ("size(self.val7) == 2", 4),
            ("type(self.val6) == bool", 4),
        ],
    );
}

#[test]
fn strings() {
    let (this, json) = numbered(vec![(decl(DeclKind::String), json!("Rook takes 👑")), (decl(DeclKind::String), json!("Rook takes 👑"))]);
    check(
        &this,
        &json,
        &[
            ("self.val1.startsWith('Rook')", 4),
            ("!self.val1.startsWith('knight')", 5),
            ("self.val1.matches('^[^0-9]*$')", 8),
            ("!self.val1.matches('^[0-9]*$')", 7),
            ("type(self.val1) == string", 4),
            ("size(self.val1) == 12", 4),
            ("self.val1.charAt(3) == 'k'", 4),
            ("self.val1.indexOf('o') == 1", 4),
            ("self.val1.indexOf('o', 2) == 2", 4),
            ("self.val1.replace(' ', 'x') == 'Rookxtakesx👑'", 7),
            ("self.val1.replace(' ', 'x', 1) == 'Rookxtakes 👑'", 7),
            ("self.val1.split(' ') == ['Rook', 'takes', '👑']", 6),
            ("self.val1.split(' ', 2) == ['Rook', 'takes 👑']", 6),
            ("self.val1.substring(5) == 'takes 👑'", 5),
            ("self.val1.substring(4, 10).trim() == 'takes'", 6),
            ("self.val1.upperAscii() == 'ROOK TAKES 👑'", 6),
        ],
    );
}

#[test]
fn times() {
    let stamp = "2011-08-18T19:03:37.010000000+01:00";
    let (this, json) =
        numbered(vec![(decl(DeclKind::Duration), json!("1h2m3s4ms")), (decl(DeclKind::DateTime), json!(stamp)), (decl(DeclKind::Date), json!("1997-07-16")), (decl(DeclKind::String), json!("1h2m3s4ms"))]);
    check(
        &this,
        &json,
        &[
            ("self.val1 == duration('1h2m') + duration('3s4ms')", 4),
            ("self.val1.getHours() == 1", 4),
            ("type(self.val1) == google.protobuf.Duration", 4),
            ("self.val2 == timestamp('2011-08-18T00:00:00.000+01:00') + duration('19h3m37s10ms')", 4),
            ("self.val2.getDate('01:00') == 18", 4),
            ("self.val3.getDate() == 16", 4),
            ("duration(self.val4) == self.val1", 6),
        ],
    );
}

#[test]
fn collections() {
    let pair = || object("selfType.objs", vec![("k", decl(DeclKind::String)), ("v", decl(DeclKind::String))]);
    let row = |k: &str, v: &str| json!({"k": k, "v": v});
    let this = object(
        "selfType",
        vec![
            ("list", Decl::list(decl(DeclKind::Int))),
            ("set", set(decl(DeclKind::String))),
            ("set2", set(decl(DeclKind::String))),
            ("map", Decl::map(decl(DeclKind::String))),
            ("objs", Decl::list(keyed(pair(), &["k"]))),
            ("enumStr", decl(DeclKind::Enum(9))),
        ],
    );
    let json = json!({
        "list": [1, 2, 3], "set": ["a", "b", "c"], "set2": ["a", "c", "b"], "map": {"k1": "a", "k2": "b"}, "enumStr": "Pending",
        "objs": [[row("a", "1"), row("b", "2")], [row("b", "2"), row("a", "1")], [row("b", "3"), row("a", "1")], [row("c", "4")]],
    });
    check(
        &this,
        &json,
        &[
            ("1 in self.list", 5),
            ("self.list[0] in self.list", 8),
            ("!(0 in self.list)", 6),
            ("self.list + self.list == [1, 2, 3, 1, 2, 3]", 6),
            ("self.list + [4, 5] == [1, 2, 3, 4, 5]", 4),
            ("self.set == ['c', 'b', 'a']", 3),
            ("self.set == self.set2", 5),
            ("self.set + self.set2 == ['a', 'b', 'c']", 6),
            ("self.set + ['c', 'd'] == ['a', 'b', 'c', 'd']", 4),
            ("self.objs[0] == self.objs[1]", 7),
            ("self.objs[0] + self.objs[2] == self.objs[2]", 11),
            ("self.objs[0] == [self.objs[0][1], self.objs[0][0]]", 22),
            ("self.objs[2] + [self.objs[0][0], self.objs[0][1]] == self.objs[0]", 26),
            ("size(self.objs[0] + [self.objs[3][0]]) == 3", 20),
            ("'k1' in self.map", 3),
            ("self.map == {'k1': 'a', 'k2': 'b'}", 3),
            ("self.enumStr in ['Pending', 'Available']", 2),
            ("self.enumStr == 'Pending'", 3),
        ],
    );
}

#[test]
fn presence_and_loops() {
    let inner = object("selfType.a1", vec![("b1", object("selfType.a1.b1", vec![("c1", decl(DeclKind::Int))])), ("d2", object("selfType.a1.d2", vec![("e2", decl(DeclKind::Int))]))]);
    let item = object("selfType.listMap", vec![("k", decl(DeclKind::String)), ("v", decl(DeclKind::String)), ("v2", decl(DeclKind::String))]);
    let this = object(
        "selfType",
        vec![
            ("a", object("selfType.a", vec![("b", decl(DeclKind::Int)), ("d", decl(DeclKind::Int))])),
            ("a1", inner),
            ("val", Decl::map(decl(DeclKind::Int))),
            ("listMap", keyed(item, &["k"])),
            ("array", Decl::list(decl(DeclKind::Int))),
        ],
    );
    let json = json!({
        "a": {"b": 1, "d": null}, "a1": {"b1": {"c1": 4}}, "val": {"b": 1, "d": 2}, "array": [1, 1, 2, 2, 3, 3, 4, 5],
        "listMap": [{"k": "a1", "v": "b1"}, {"k": "a2", "v": "b2"}, {"k": "a3", "v": "b3", "v2": "z"}],
    });
    check(
        &this,
        &json,
        &[
            ("has(self.a.b)", 2),
            ("!has(self.a.d)", 3),
            ("has(self.a1.b1.c1)", 3),
            ("!(has(self.a1.d2) && has(self.a1.d2.e2))", 3),
            ("!has(self.a1.d2)", 3),
            ("self.val.all(k, self.val[k] > 0)", 17),
            ("self.val.exists_one(k, self.val[k] == 2)", 14),
            ("!self.val.exists_one(k, self.val[k] > 0)", 17),
            ("size(self.val.filter(k, self.val[k] > 1)) == 1", 26),
            ("has(self.listMap[0].v)", 3),
            ("self.listMap.all(m, m.k.startsWith('a'))", 21),
            ("self.listMap.all(m, !has(m.v2) || m.v2 == 'z')", 21),
            ("self.listMap.exists(m, m.k.endsWith('1'))", 13),
            ("self.listMap.exists_one(m, m.k == 'a3')", 15),
            ("!self.listMap.exists(m, m.v == 'x')", 25),
            ("size(self.listMap.filter(m, m.k == 'a1')) == 1", 27),
            ("self.listMap.exists(m, m.k == 'a1' && m.v == 'b1')", 16),
            ("self.listMap.map(m, m.v).exists(v, v == 'b1')", 55),
            ("self.listMap.exists(m, has(m.v2) && m.v2 == 'z')", 21),
            ("!self.listMap.all(m, has(m.v2) && m.v2 != 'z')", 10),
            ("self.listMap.filter(m, has(m.v2) && m.v2 == 'z').size() == 1", 24),
            ("self.listMap.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1", 25),
            ("self.listMap.filter(m, has(m.v2) && m.v2 == 'z').map(m, m.v2).size() == 1", 39),
            ("self.listMap.exists(m, m.v2 == 'z')", 24),
            ("!self.listMap.all(m, m.v2 != 'z')", 22),
            ("2 in self.array", 10),
            ("self.array.all(e, e > 0)", 43),
            ("self.array.exists(e, e > 2)", 36),
            ("self.array.exists_one(e, e > 4)", 22),
            ("!self.array.exists_one(e, e == 2)", 25),
            ("size(self.array.filter(e, e%2 == 0)) == 3", 68),
            ("self.array.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)", 194),
        ],
    );
}

#[test]
fn int_or_string() {
    let this = object("selfType", vec![("something", decl(DeclKind::IntOrString)), ("min", decl(DeclKind::IntOrString)), ("current", decl(DeclKind::Int)), ("available", decl(DeclKind::Int))]);
    let json = json!({"something": "25%", "min": "50%", "current": 5, "available": 10});
    check(
        &this,
        &json,
        &[
            ("type(self.something) == int ? self.something == 1 : self.something == '25%'", 7),
            ("self.something != 1", 3),
            ("self.something == 1 || self.something == '25%'", 6),
            ("self.something != ['anything']", 3),
            (r"type(self.min) == string && self.min.matches(r'(\d+(\.\d+)?%)')", 10),
            ("type(self.min) == int ? self.current <= self.min : double(self.current) / double(self.available) >= double(self.min.replace('%', '')) / 100.0", 17),
        ],
    );
}

/// Estimates of expressions over literals.
#[test]
fn estimates_of_literals() {
    let authorizer = cel::Type::object("kubernetes.authorization.Authorizer");
    let env = Env::relaxed().variable("authorizer", authorizer);
    let rows: &[(&str, u64, u64)] = &[
        ("[1, 2, 3, 4, 5].sum()", 15, 15),
        ("[uint(1), uint(2), uint(3), uint(4), uint(5)].sum()", 20, 20),
        ("[duration('1s'), duration('2s')].sum()", 14, 14),
        ("[1, 2, 3, 4, 5].indexOf(3)", 15, 15),
        ("'01234567890123456789012345678901234567890123456789'.indexOf('123')", 5, 5),
        ("url('https:://kubernetes.io/').getHost()", 4, 4),
        ("ip('192.168.0.1')", 2, 2),
        ("ip('2001:db8:3333:4444:5555:6666:7777:8888').family()", 5, 5),
        ("ip.isCanonical('192.168.0.1')", 3, 3),
        ("cidr('192.168.0.0/16').masked()", 3, 3),
        ("cidr('192.168.0.0/16').containsCIDR(cidr('192.0.0.0/30'))", 7, 11),
        ("cidr('192.168.0.0/16').containsIP(ip('192.0.0.1'))", 4, 7),
        ("cidr('2001:db8::/32').containsIP('2001:db8::1')", 5, 8),
        ("'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9),
        ("strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", 7, 11),
        ("'abc 123 def 123'.replace('123', '456', 1)", 3, 3),
        ("'abc 123 def 123'.findAll('123', 1)", 2, 2),
        ("authorizer.path('/healthz').check('get').allowed()", 350_003, 350_003),
        ("authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend').check('create').errored()", 350_007, 350_007),
        ("quantity(\"12Mi\")", 1, 1),
        ("quantity(\"50k\").add(20).sub(quantity(\"100k\")).sub(-50000).asInteger() > 0", 7, 7),
        ("quantity(\"200M\") == quantity(\"200M\")", 3, 3),
        ("sets.contains([1], [1, 1])", 23, 23),
        ("sets.equivalent([1, 2, 3], [3u, 2.0, 1])", 39, 39),
        ("sets.intersects([[1], [2, 3]], [[1, 2], [2, 3.0]])", 65, 65),
        ("!sets.intersects([], [])", 22, 22),
    ];
    for (expression, min, max) in rows {
        let program = env.compile(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        let estimate = program.estimate();
        assert_eq!((estimate.min, estimate.max), (*min, *max), "{expression}");
    }
}

type Build = fn(Option<u64>) -> Decl;

fn bounded(mut decl: Decl, max: Option<u64>) -> Decl {
    decl.max = max;
    decl
}

fn required(name: &str) -> Decl {
    let mut object = object(name, vec![("required", decl(DeclKind::String)), ("optional", decl(DeclKind::String))]);
    if let DeclKind::Object(o) = &mut object.kind {
        let o = Arc::make_mut(o);
        o.fields.get_mut("required").expect("declared").required = true;
    }
    object
}

/// Estimates follow the bounds of the schema, and without bounds what fits into a request.
/// Upstream: compilation_test.go (TestCostEstimation) of apiextensions-apiserver.
#[test]
fn estimates_follow_bounds() {
    let numbers: Build = |max| bounded(Decl::list(decl(DeclKind::Double)), max);
    let strings: Build = |max| bounded(Decl::list(decl(DeclKind::String)), max);
    let text: Build = |max| bounded(decl(DeclKind::String), max);
    let bytes: Build = |max| bounded(decl(DeclKind::Bytes), max);
    let map: Build = |max| bounded(Decl::map(decl(DeclKind::Double)), max);
    let all_bounded: Build = |max| bounded(Decl::list(bounded(decl(DeclKind::String), max)), max);
    let rows: &[(Build, &str, u64, u64, u64)] = &[
        (numbers, "self.all(x, true)", 4_718_591, 10, 32),
        (strings, "self.all(x, true)", 3_145_727, 20, 62),
        (|max| bounded(Decl::list(decl(DeclKind::Bool)), max), "self.all(x, true)", 1_887_437, 5, 17),
        (|max| bounded(Decl::list(Decl::list(decl(DeclKind::Double))), max), "self.all(x, true)", 3_145_727, 100, 302),
        (|max| bounded(Decl::list(required("selfType.items")), max), "self.all(x, true)", 555_128, 50, 152),
        (map, "self.all(x, true)", 1_348_169, 10, 32),
        (|max| bounded(Decl::map(decl(DeclKind::Bool)), max), "self.all(x, true)", 943_718, 100, 302),
        (|max| bounded(Decl::map(required("selfType.values")), max), "self.all(x, true)", 428_963, 20, 62),
        (|max| bounded(Decl::list(decl(DeclKind::Duration)), max), "self.all(x, true)", 2_359_295, 5, 17),
        (|max| bounded(Decl::list(decl(DeclKind::Date)), max), "self.all(x, true)", 725_936, 15, 47),
        (|max| bounded(Decl::list(decl(DeclKind::DateTime)), max), "self.all(x, true)", 428_963, 25, 77),
        (|max| bounded(Decl::list(decl(DeclKind::IntOrString)), max), "self.all(x, true)", 4_718_591, 10, 32),
        (text, "self.contains('test')", 314_574, 10, 5),
        (text, "self.startsWith('test')", 2, 15, 2),
        (text, "size(self + \"hello\") > size(\"hello\")", 314_578, 4, 7),
        (numbers, "self[1] == 0.0", 2, 5000, 2),
        (strings, "self[1] == self[1]", 314_577, 8, 314_577),
        (numbers, "self.all(x, self.all(y, self.all(z, true)))", u64::MAX, 10, 3552),
        (text, "self.matches(\"x\")", 314_574, 50, 22),
        (text, "\"\".matches(\"(((((((((())))))))))[0-9]\")", 7, 10, 7),
        (text, "self.matches(\"\")", 1, 100, 1),
        (|max| bounded(Decl::map(bounded(decl(DeclKind::String), max)), max), "self.all(x, x.contains(self[x]))", 2_752_507, 10, 72),
        (map, "self[\"x\"] == 0.0", 2, 0, 2),
        (text, "self == \"x\"", 2, 0, 1),
        (bytes, "self == b\"x\"", 2, 0, 1),
        (numbers, "self.all(x, x == 0.0)", 6_291_454, 3 * 1024 * 2048, 25_165_826),
        (|max| bounded(Decl::list(decl(DeclKind::IntOrString)), max), "self[0] == 5", 3, 10, 3),
        (|max| bounded(Decl::list(required("selfType.items")), max), "self[0] == null", 2, 422, 2),
        (|max| bounded(Decl::list(Decl::map(decl(DeclKind::Double))), max), "self.all(x, x.y == 25.2)", 6_291_452, 12, 74),
        (|max| bounded(Decl::list(Decl::map(decl(DeclKind::Double))), max), "self[0].x > 2.0", 4, 3000, 4),
        (|max| bounded(Decl::list(decl(DeclKind::Date)), max), "self[2].getDayOfMonth() == 13", 4, 42, 4),
        (text, "self.find('[0-9]+') == ''", 629_147, 10, 11),
        (all_bounded, "self.join(' ') == 'aa bb'", 329_853_068_905, 10, 43),
    ];
    for (build, rule, unbounded, max, set) in rows {
        let estimate = |max| {
            let env = Env::kubernetes().declare("self", Arc::new(build(max)));
            env.compile(rule).unwrap_or_else(|e| panic!("{rule}: {e}")).estimate().max
        };
        if *unbounded != u64::MAX {
            assert_eq!(estimate(None), *unbounded, "{rule} without bounds");
        }
        assert_eq!(estimate(Some(*max)), *set, "{rule} of at most {max}");
    }
}
