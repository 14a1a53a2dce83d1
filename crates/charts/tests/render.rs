//! Rendering beyond one template: charts below, what they share, order, and templates that mean harm.

use charts::render::{ReleaseInfo, RenderInput};
use charts::{Chart, File, Metadata, render};
use serde_json::{Map, Value, json};

fn chart(name: &str, templates: &[(&str, &str)], dependencies: Vec<Chart>) -> Chart {
    Chart {
        metadata: Metadata { name: name.into(), version: "0.1.0".into(), ..Metadata::default() },
        templates: templates.iter().map(|(name, text)| File { name: format!("templates/{name}"), data: text.as_bytes().to_vec() }).collect(),
        dependencies,
        ..Chart::default()
    }
}

fn table(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn rendered(chart: &Chart, values: Value) -> Result<std::collections::BTreeMap<String, String>, String> {
    let values = table(values);
    let release = ReleaseInfo { name: "rel".into(), namespace: "ns".into(), revision: 1, is_install: true, is_upgrade: false };
    render(&RenderInput::new(chart, &values, release)).map_err(|error| error.to_string())
}

fn one(template: &str) -> Result<String, String> {
    rendered(&chart("c", &[("t", template)], Vec::new()), json!({})).map(|mut all| all.remove("c/templates/t").unwrap_or_default())
}

#[test]
fn charts_below_see_their_own_values() {
    let below = chart("db", &[("a.yaml", "{{ .Values.port }} {{ .Chart.Name }} {{ .Chart.IsRoot }} {{ .Template.Name }}"), ("_x.tpl", "{{ define \"x\" }}db{{ end }}")], Vec::new());
    let top = chart("web", &[("b.yaml", "{{ include \"x\" . }} {{ .Values.db.port }} {{ .Subcharts.db.Values.port }} {{ .Subcharts.db.Chart.Name }}")], vec![below]);
    let all = rendered(&top, json!({"db": {"port": 5432.0}})).expect("renders");
    assert_eq!(all["web/charts/db/templates/a.yaml"], "5432 db false web/charts/db/templates/a.yaml");
    assert_eq!(all["web/templates/b.yaml"], "db 5432 5432 db");
    assert_eq!(all.len(), 2, "partials give no text");
}

#[test]
fn definitions_higher_up_win_and_library_charts_only_lend() {
    let mut library = chart("lib", &[("_n.tpl", "{{ define \"n\" }}lib{{ end }}"), ("full.yaml", "never")], Vec::new());
    library.metadata.kind = "library".into();
    let top = chart("web", &[("_n.tpl", "{{ define \"n\" }}web{{ end }}"), ("a.yaml", "{{ template \"n\" }}")], vec![library]);
    let all = rendered(&top, json!({})).expect("renders");
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [("web/templates/a.yaml".to_owned(), "web".to_owned())]);
}

#[test]
fn templates_of_a_chart_share_their_values() {
    // Rendered backwards by name: z first.
    let top = chart("web", &[("a.yaml", "{{ .Values.seen }}"), ("z.yaml", "{{ $_ := set .Values \"seen\" \"z\" }}")], Vec::new());
    assert_eq!(rendered(&top, json!({})).expect("renders")["web/templates/a.yaml"], "z");
}

#[test]
fn lint_forgives_and_lookup_asks() {
    let top = chart("c", &[("t", "[{{ required \"r\" .Values.x }}{{ fail \"f\" }}]{{ (lookup \"v1\" \"Pod\" \"ns\" \"p\").kind }}")], Vec::new());
    let values = Map::new();
    let mut input = RenderInput::new(&top, &values, ReleaseInfo::default());
    input.lint = true;
    assert_eq!(render(&input).expect("renders")["c/templates/t"], "[]");
    let top = chart("c", &[("t", "{{ (lookup \"v1\" \"Pod\" \"ns\" \"p\").kind }}{{ len (lookup \"v1\" \"Pod\" \"\" \"\").items }}")], Vec::new());
    let mut input = RenderInput::new(&top, &values, ReleaseInfo::default());
    input.lookup = Some(std::sync::Arc::new(|_, kind, _, name| Ok(if name.is_empty() { table(json!({"items": [1, 2]})) } else { table(json!({"kind": kind})) })));
    assert_eq!(render(&input).expect("renders")["c/templates/t"], "Pod2");
    input.lookup = Some(std::sync::Arc::new(|_, _, _, _| Err("no way to the cluster".into())));
    assert!(render(&input).is_err_and(|error| error.to_string().contains("error calling lookup: no way to the cluster")));
}

#[test]
fn nesting_ends_with_an_error() {
    let endless = one("{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ include \"x\" . }}").expect_err("endless");
    assert!(endless.contains("rendering template has a nested reference name: x: unable to execute template"), "{}", &endless[endless.len().saturating_sub(300)..]);
    let endless = one("{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}").expect_err("endless");
    assert!(endless.contains("exceeded maximum template depth (100000)"), "{endless}");
    let endless = one("{{ define \"x\" }}{{ tpl \"{{ include `x` . }}\" . }}{{ end }}{{ include \"x\" . }}").expect_err("endless");
    assert!(endless.contains("nested reference name"), "{}", &endless[..endless.len().min(300)]);
    for text in ["{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ $d }}", "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ toYaml $d }}{{ toJson $d }}{{ toToml $d }}{{ deepCopy $d }}"] {
        assert!(one(text).is_err(), "{text}");
    }
}

#[test]
fn nothing_grows_without_bound() {
    for text in [
        "{{ until 1000000000 }}",
        "{{ repeat 1000000000 \"x\" }}",
        "{{ seq 1 1000000000 }}",
        "{{ $s := \"x\" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}{{ $s }}",
        "{{ $l := list 1 }}{{ range until 60 }}{{ $l = concat $l $l }}{{ end }}{{ $l }}",
        "{{ indent 1000000000 \"x\\ny\" }}",
        "{{ printf \"%999999d%999999d\" 1 2 | repeat 1000 }}",
        "{{ randAlphaNum 100000000000 }}",
        "{{ $s := repeat 100000 \"a\" }}{{ replace \"\" $s $s }}",
        "{{ regexReplaceAll \"\" (repeat 100000 \"a\") (repeat 100000 \"b\") }}",
    ] {
        assert!(one(text).is_err(), "{text}");
    }
    assert!(one(&"{{ if 1 }}".repeat(200_000)).is_err());
    assert!(one(&format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000))).is_err());
    assert!(one(&"{{/*".repeat(100_000)).is_err());
}

// As helm 4.3.1 answers, which is built with Go 1.27: its JSON says less of where a text ends.
#[test]
fn reading_nothing_gives_something_empty_and_toml_can_fail() {
    for (template, wanted) in [
        ("{{ fromYaml \"\" | toJson }}{{ fromYaml \"null\" | toYaml }}{{ fromYamlArray \"~\" | toJson }}", "{}{}[]"),
        ("{{ (fromJson \"nul\").Error }}|{{ (fromJson \"{\\\"a\\\":\\\"\\t\\\"}\").Error }}", "unexpected end of JSON input|invalid character '\\t' in string"),
        ("{{ mustToToml (dict \"a\" 1) }}{{ toToml (list nil) }}", "a = 1\ntoml: cannot encode array with nil element"),
    ] {
        assert_eq!(one(template).expect(template), wanted);
    }
    let error = one("{{ mustToToml (list nil) }}").expect_err("fails");
    assert!(error.ends_with("error calling mustToToml: toml: cannot encode array with nil element"), "{error}");
}

#[test]
fn an_argument_is_a_copy_without_its_pointers_methods() {
    let shown = |template: &str| one(template).expect(template);
    assert_eq!(shown("{{ .Capabilities.KubeVersion }}"), "v1.37.0");
    assert_eq!(shown("{{ required \"r\" .Capabilities.KubeVersion }}"), "{v1.37.0 v1.37.0 1 37}");
    assert_eq!(shown("{{ include \"x\" .Capabilities.KubeVersion }}{{ define \"x\" }}{{ . }}{{ end }}"), "{v1.37.0 v1.37.0 1 37}");
    assert_eq!(shown("{{ toToml .Capabilities.KubeVersion }}"), "Version = \"v1.37.0\"\nMajor = \"1\"\nMinor = \"37\"\n");
}

#[test]
fn camelcase_keeps_capitals_but_those_that_follow_one_at_the_beginning() {
    let words = "{{ range list \"fooBar\" \"fooBAR\" \"FOOBar\" \"HTTPServer\" \"foo_BARbaz\" \"ABCdEF\" \"AB1Cd\" \"a1B\" \"A-BC\" \"_FOO\" }}{{ camelcase . }} {{ end }}";
    assert_eq!(one(words).expect("renders"), "FooBar FooBAR Foobar Httpserver FooBarbaz AbcdEF Ab1Cd A1B ABc _Foo ");
}

#[test]
fn a_colon_before_a_flow_indicator_is_part_of_a_plain_scalar() {
    let read = |yaml: &str| one(&format!("{{{{ fromYaml {yaml:?} | toJson }}}}")).expect(yaml);
    assert_eq!(read("a: {b:}"), r#"{"a":{"b:":null}}"#);
    assert_eq!(read("é: [b:, c:]"), r#"{"é":["b:","c:"]}"#);
    assert_eq!(read("a: {b:,c: d}"), r#"{"a":{"b:":null,"c":"d"}}"#);
    assert!(read("a: [b:[c]]").contains("did not find expected ',' or ']'"));
    assert!(read("a: {b:{c}}").contains("did not find expected ',' or '}'"));
}

#[test]
fn patterns_and_broken_texts_are_gos() {
    assert_eq!(one("{{ mustRegexMatch \"(?P<n>a)(?P<n>b)\" \"ab\" }}").expect("it matches"), "true");
    let error = one("v: {{ b64dec \"/w==\" }}").expect_err("fails");
    assert!(error.starts_with("YAML parse error on ") && error.ends_with("yaml: invalid leading UTF-8 octet"), "{error}");
}
