//! Templates against what Go's text/template makes of them.

use std::rc::Rc;

use gotemplate::{Budget, Functions, MissingKey, Set, Str, Value};

fn render(text: &str, data: Value) -> Result<String, String> {
    let mut set = Set::new("t", Rc::new(Functions::builtin()), MissingKey::Zero);
    set.parse("t", text.as_bytes()).map_err(|e| e.to_string())?;
    Rc::new(set).execute("t", data, &Budget::new(200_000, 1 << 30)).map(|out| String::from_utf8_lossy(&out).into_owned()).map_err(|e| e.to_string())
}

fn data() -> Value {
    Value::map([
        (Str::from("n"), Value::Float(1e6)),
        (Str::from("l"), Value::list(vec![Value::int(1), Value::str("x"), Value::Nil])),
        (Str::from("m"), Value::map([(Str::from("b"), Value::Bool(true)), (Str::from("a"), Value::str("é"))])),
    ])
}

#[test]
fn renders_as_go_does() {
    let cases = [
        ("{{ .n }} {{ .l }} {{ .m }} {{ .nope }}", "1e+06 [1 x <nil>] map[a:é b:true] <no value>"),
        ("{{ range $i, $e := .l }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}={{ $e }} {{ end }}", "0=1 2=<no value> "),
        ("{{ range $i := 5 }}{{ if gt $i 2 }}{{ break }}{{ end }}{{ $i }}{{ else }}none{{ end }}", "012"),
        ("a {{- /* c */ -}} b {{ with .m }}{{ .a | printf \"%q\" }}{{ else }}no{{ end }}", "ab \"é\""),
        ("{{ define \"x\" }}<{{ . }}>{{ end }}{{ template \"x\" .m.a }}{{ block \"y\" 1 }}{{ . }}{{ end }}", "<é>1"),
        ("{{ printf \"%05.2f|%-4d|%x|%v|%T\" 3.14159 7 \"hi\" .l .m }}", "03.14|7   |6869|[1 x <nil>]|map[string]interface {}"),
        ("{{ and 1 0 2 }} {{ or 0 \"\" \"z\" }} {{ not true }} {{ len .l }} {{ index .l 1 }}", "0 z false 3 x"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }} {{ html \"<a>\" }} {{ js \"'\" }} {{ urlquery \"a b\" }}", "2 &lt;a&gt; \\' a+b"),
    ];
    for (text, want) in cases {
        assert_eq!(render(text, data()).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn fails_as_go_does() {
    let cases = [
        ("{{ .n.x }}", "template: t:1:5: executing \"t\" at <.n.x>: can't evaluate field x in type interface {}"),
        ("a\n{{ .nope.b }}", "template: t:2:8: executing \"t\" at <.nope.b>: nil pointer evaluating interface {}.b"),
        ("{{ if }}", "template: t:1: missing value for if"),
        ("{{ index .l 9 }}", "template: t:1:3: executing \"t\" at <index .l 9>: error calling index: index out of range: 9"),
        ("{{ nope }}", "template: t:1: function \"nope\" not defined"),
        ("{{ eq .n 1 }}", "template: t:1:3: executing \"t\" at <eq .n 1>: error calling eq: incompatible types for comparison: float64 and int"),
    ];
    for (text, want) in cases {
        assert_eq!(render(text, data()), Err(want.to_owned()), "{text}");
    }
}

#[test]
fn bounds_hold() {
    let endless = "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}";
    assert!(render(endless, Value::Nil).is_err_and(|e| e.contains("exceeded maximum template depth (100000)")));
    assert!(render("{{ range 9000000000000 }}{{ end }}", Value::Nil).is_err_and(|e| e.contains("too many steps")));
    assert!(render(&"{{ if 1 }}".repeat(100_000), Value::Nil).is_err());
    assert!(render(&format!("{{{{ {} }}}}", "(".repeat(100_000)), Value::Nil).is_err_and(|e| e.contains("max expression depth exceeded")));
    let mut deep = Value::list(vec![]);
    for _ in 0..1_000_000 {
        deep = Value::list(vec![deep]);
    }
    assert!(render("{{ . }}", deep).is_err_and(|e| e.contains("nested too deeply")));
}
