//! kubectl's path templates: any text parses or is refused; what parses runs over any JSON in bounded time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let json = serde_json::json!({"items": [{"a": [1, 2.5, "x", null]}, {"a": {"b.c": true}}], "n": -3, "s": "text"});
    for text in [text.to_owned(), jsonpath::relaxed(text).unwrap_or_default()] {
        if let Ok(template) = jsonpath::Template::parse(&text) {
            let _ = (template.render(&json, true), template.render_json(&json, false));
        }
    }
});
