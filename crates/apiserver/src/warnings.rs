//! Warnings as headers of an answer.
//!
//! Upstream: apiserver `pkg/endpoints/filters/warning.go` and apimachinery `pkg/util/net` (`NewWarningHeader`): code 299, no
//! agent. All are told in full while they are short together; otherwise each is cut, and what comes after the limit goes untold.

use bytes::Bytes;
use http::header::{HeaderValue, WARNING};
use http::Response;

/// Characters of all warnings together.
const LONGEST: usize = 4096;
/// Characters of one, once all together are too long.
const LONGEST_CUT: usize = 256;

/// Tells what was collected while a request was served; nothing stands twice in it.
pub fn put<B>(response: &mut Response<B>, warnings: &[String]) {
    let tellable = || warnings.iter().filter(|text| !text.chars().any(char::is_control));
    let mut sum = 0;
    // The first that is too much: it and those before it are cut, those after it follow until the limit.
    let over = tellable().position(|text| {
        sum += text.chars().count();
        sum > LONGEST
    });
    let mut written = 0;
    for (i, text) in tellable().enumerate() {
        if written >= LONGEST && over.is_some_and(|over| i > over) {
            return;
        }
        let (end, count) = if over.is_some() { cut(text) } else { (text.len(), 0) };
        written += count;
        if let Some(header) = header(&text[..end]) {
            response.headers_mut().append(WARNING, header);
        }
    }
}

/// Where a text ends once it is cut, and how many characters it then has.
fn cut(text: &str) -> (usize, usize) {
    text.char_indices().nth(LONGEST_CUT).map_or_else(|| (text.len(), text.chars().count()), |(end, _)| (end, LONGEST_CUT))
}

fn header(text: &str) -> Option<HeaderValue> {
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_maybe_shared(Bytes::from(format!("299 - \"{quoted}\""))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(warnings: &[String]) -> Vec<String> {
        let mut response = Response::new(());
        put(&mut response, warnings);
        response.headers().get_all(WARNING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    #[test]
    fn quotes_are_escaped_and_what_is_no_text_goes_untold() {
        assert_eq!(told(&["a \"b\" \\ ñ".into(), "two\nlines".into()]), ["299 - \"a \\\"b\\\" \\\\ ñ\""]);
    }

    #[test]
    fn too_many_are_cut_and_then_left_out() {
        let long = |letter: &str, count: usize| letter.repeat(count);
        assert_eq!(told(&[long("a", 4000), long("b", 96)]).iter().map(String::len).collect::<Vec<_>>(), [4008, 104]);
        assert_eq!(told(&[long("a", 4000), long("b", 97)]).iter().map(String::len).collect::<Vec<_>>(), [264, 105]);
        let many: Vec<String> = (0..40).map(|i| format!("{i:02}{}", long("ñ", 300))).collect();
        assert_eq!(told(&many).len(), 16);
        let exact: Vec<String> = (0..40).map(|i| format!("{i:02}{}", long("x", 254))).collect();
        assert_eq!(told(&exact).len(), 17);
    }
}
