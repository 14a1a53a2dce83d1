//! Texts made to exhaust a reader: aliases that multiply, deep nests, cycles. Each is refused, quickly.

fn refused(text: &str) -> String {
    goyaml::from_yaml(text).expect_err("must be refused").to_string()
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let before = format!("*a{}, ", i - 1).repeat(10);
        bomb += &format!("a{i}: &a{i} [{}]\n", before.trim_end_matches(", "));
    }
    assert!(refused(&bomb).contains("excessive aliasing"));
}

#[test]
fn merges_that_multiply_are_refused() {
    let mut bomb = String::from("a0: &a0 {k0: 1, k1: 1, k2: 1}\n");
    for i in 1..30 {
        let before = i - 1;
        bomb += &format!("a{i}: &a{i}\n  <<: [*a{before}, *a{before}, *a{before}]\n");
    }
    assert!(refused(&bomb).contains("excessive aliasing"));
}

#[test]
fn deep_nests_are_refused() {
    refused(&"[".repeat(100_000));
    refused(&format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)));
    refused(&(0..20_000).map(|i| format!("{}a:\n", " ".repeat(i.min(3_000)))).collect::<String>());
    refused(&"- ".repeat(50_000));
}

#[test]
fn an_anchor_cannot_hold_itself() {
    refused("a: &a\n  b: *a\n");
    refused("&a [*a]");
}

#[test]
fn errors_name_the_line() {
    let error = goyaml::from_yaml("a: 1\nb: [1\nc: 2: 3\n").expect_err("broken");
    assert!(error.line >= 2 && error.to_string().starts_with("yaml: line "), "{error}");
    let twice = goyaml::from_yaml_strict("a: 1\nb: 2\na: 3\n").expect_err("twice");
    assert_eq!(twice.to_string(), "yaml: unmarshal errors:\n  line 3: key \"a\" already set in map");
}

#[test]
fn comments_are_no_content() {
    let read = |text: &str| goyaml::to_json(&goyaml::from_yaml(text).expect("read"));
    assert_eq!(read("# before\na: # behind\n  # between\n  - 1 # item\n# after\n"), r#"{"a":[1]}"#);
    assert_eq!(read("# nothing else\n"), "null");
}

#[test]
fn a_block_scalar_may_end_with_the_text() {
    for (text, json) in [
        ("v: |\n  a\n  b", r#"{"v":"a\nb"}"#),
        ("v: |\n  a\n", r#"{"v":"a\n"}"#),
        ("v: |+\n  a", r#"{"v":"a"}"#),
        ("v: >\n  a\n  b", r#"{"v":"a b"}"#),
        ("v: |\n  a\nw: b", r#"{"v":"a\n","w":"b"}"#),
        ("- |-\n  a", r#"["a"]"#),
        ("v: |\n  a\n  ", r#"{"v":"a\n"}"#),
        ("v: |\n  a\n    ", r#"{"v":"a\n  "}"#),
        ("|", r#""""#),
    ] {
        let value = goyaml::from_yaml(text).expect(text);
        assert_eq!(goyaml::to_json(&value), json, "{text:?}");
    }
}

#[test]
fn a_fault_at_the_end_has_its_line() {
    for (text, fault) in [
        ("a: \"x", "yaml: found unexpected end of stream"),
        ("a: \"x\n", "yaml: line 2: found unexpected end of stream"),
        ("b: 1\na: 'x", "yaml: line 2: found unexpected end of stream"),
        ("a: [1", "yaml: line 1: did not find expected ',' or ']'"),
    ] {
        assert_eq!(goyaml::from_yaml(text).expect_err(text).to_string(), fault);
    }
}

#[test]
fn colons_that_make_the_text_scanned_anew_end() {
    let many = format!("[{}]", "a:,".repeat(200_000));
    assert!(goyaml::from_yaml(&many).is_err(), "more colons than are looked at");
    let some = goyaml::from_yaml(&format!("[{}]", "a:,".repeat(50))).expect("some colons");
    assert_eq!(some.as_array().map(Vec::len), Some(50));
}

#[test]
fn what_the_parser_cannot_read_is_an_error() {
    assert_eq!(refused("a: [!0, b]\n"), "yaml: found a tag right before a comma, or a text that ends within a token");
}

#[test]
fn the_stand_in_for_colons_stays_where_the_text_has_it() {
    assert_eq!(goyaml::from_yaml("a: x\u{f8c3}y\n").unwrap(), serde_json::json!({"a": "x\u{f8c3}y"}));
    assert_eq!(goyaml::from_yaml("{a:}\n").unwrap(), serde_json::json!({"a:": null}));
}

#[test]
fn any_first_character_is_read() {
    for first in ["", "\u{feff}", "\u{ff01}"] {
        let key = first.trim_start_matches('\u{feff}');
        assert_eq!(goyaml::from_yaml(&format!("{first}a: {{b:}}\n")).unwrap(), serde_json::json!({format!("{key}a"): {"b:": null}}), "{first:?}");
    }
}
