//! What decoding makes of good and bad input, as cases: a kind on the first line, then the document.

use codec::{Strictness, decode_json, decode_yaml};

fn check(given: &str) -> String {
    let (head, document) = given.split_once('\n').expect("a kind line");
    let mut words = head.split(' ');
    let (format, api_version, kind) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let of = schema::by_kind(group, version, kind).expect("a built-in kind");
    let decoded = match format {
        "json" => decode_json(document.as_bytes(), of, Strictness::Collect),
        _ => decode_yaml(document, Strictness::Collect).and_then(|raw| {
            let mut decoded = codec::conform(raw.value, of, Strictness::Collect)?;
            decoded.strict_errors.splice(0..0, raw.strict_errors);
            Ok(decoded)
        }),
    };
    match decoded {
        Ok(decoded) => {
            let mut out = serde_json::to_string_pretty(&decoded.value).expect("prints");
            for error in decoded.strict_errors {
                out += &format!("\n! {error}");
            }
            out
        }
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn cases() {
    casefile::run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"), check);
}

#[test]
fn documents_are_split_at_separators_only() {
    let text = "# head\n---\na: 1\n---\n# nothing\n--- # why\nb: |\n  ---x\n---\n";
    assert_eq!(codec::split_documents(text), ["a: 1\n", "b: |\n  ---x\n"]);
}

#[test]
fn hostile_input_is_refused_quickly() {
    let bomb = (0..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
        let refs = vec![format!("*a{i}"); 9].join(",");
        format!("{text}a{}: &a{} [{refs}]\n", i + 1, i + 1)
    });
    assert!(decode_yaml(&bomb, Strictness::Ignore).is_err());
    assert!(decode_yaml(&"[".repeat(100_000), Strictness::Ignore).is_err());
    assert!(codec::decode_untyped("[".repeat(1_000_000).as_bytes(), Strictness::Collect).is_err());
    let pod = schema::by_kind("", "v1", "Pod").expect("Pod");
    for length in 0..200usize {
        let noise: Vec<u8> = (0..length).map(|i| (i * 31 + length * 7) as u8).collect();
        let _ = codec::decode_message(&noise, pod);
        let _ = codec::decode_proto(&[codec::MAGIC, &noise[..]].concat());
    }
    assert!(codec::decode_proto(b"k8s\0\x12\xff\xff\xff\xff\x0f").is_err());
}
