//! Which part of a container's log is asked for.

use api::field::{FieldError, FieldErrors, Path};
use api::query::Query;
use api::ApiError;

use super::connect::encode;

const STREAMS: [&str; 3] = ["All", "Stderr", "Stdout"];

/// The query that asks a kubelet for the same part of the log of the pod `name`.
///
/// Upstream: `LogLocation` in `pkg/registry/core/pod/strategy.go`.
pub fn for_kubelet(query: &Query, name: &str, split: bool) -> Result<String, ApiError> {
    let options = Options::of(query)?;
    let errors = options.faults(split);
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", name, &errors));
    }
    let flags = ["follow", "previous", "timestamps"].into_iter().filter(|key| query.flag(key)).map(|key| format!("{key}=true"));
    let numbers = options.numbers.iter().filter_map(|(key, number)| number.map(|number| format!("{key}={number}")));
    let texts = ["sinceTime", "stream"].into_iter().filter(|key| !query.get(key).is_empty()).map(|key| format!("{key}={}", encode(query.get(key))));
    Ok(flags.chain(numbers).chain(texts).collect::<Vec<_>>().join("&"))
}

struct Options<'a> {
    /// `tailLines`, `limitBytes` and `sinceSeconds`.
    numbers: [(&'static str, Option<i64>); 3],
    since_time: bool,
    stream: Option<&'a str>,
}

impl<'a> Options<'a> {
    fn of(query: &'a Query) -> Result<Self, ApiError> {
        let seconds = query.number("sinceSeconds")?;
        let since_time = query.has("sinceTime");
        let time = query.get("sinceTime");
        if !time.is_empty() {
            codec::canonical_time(time).map_err(ApiError::bad_request)?;
        }
        let numbers = [("tailLines", query.number("tailLines")?), ("limitBytes", query.number("limitBytes")?), ("sinceSeconds", seconds)];
        Ok(Self { numbers, since_time, stream: query.has("stream").then(|| query.get("stream")) })
    }

    /// Upstream: `ValidatePodLogOptions` in `pkg/apis/core/validation/validation.go`.
    fn faults(&self, split: bool) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let [(_, tail), (_, bytes), (_, seconds)] = self.numbers;
        let mut at_least = |key: &str, number: Option<i64>, least: i64, why: &str| {
            if let Some(number) = number.filter(|number| *number < least) {
                errors.push(FieldError::invalid(&Path::new(key), number, why));
            }
        };
        at_least("tailLines", tail, 0, "must be greater than or equal to 0");
        at_least("limitBytes", bytes, 1, "must be greater than 0");
        if !self.since_time {
            at_least("sinceSeconds", seconds, 1, "must be greater than 0");
        } else if seconds.is_some() {
            errors.push(FieldError::forbidden(&Path::new("[]"), "at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        match self.stream {
            Some(_) if !split => errors.push(FieldError::forbidden(&Path::new("stream"), "may not be specified")),
            Some(stream) => {
                if !STREAMS.contains(&stream) {
                    errors.push(FieldError::not_supported(&Path::new("stream"), stream, &STREAMS));
                }
                if stream != "All" && tail.is_some() {
                    errors.push(FieldError::forbidden(&Path::new("[]"), "`tailLines` and specific `stream` are mutually exclusive for now"));
                }
            }
            None => {}
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use api::query::Query;

    fn told(query: &str, split: bool) -> String {
        super::for_kubelet(&Query::parse(query), "p", split).unwrap_or_else(|error| error.message)
    }

    #[test]
    fn options_are_judged_as_upstream_does() {
        for (query, split, answer) in [
            ("", false, ""),
            ("follow=x&previous=false&timestamps&tailLines=0&limitBytes=1", false, "follow=true&timestamps=true&tailLines=0&limitBytes=1"),
            ("sinceTime=2024-01-01T00:00:00Z&container=a", false, "sinceTime=2024-01-01T00%3A00%3A00Z"),
            ("sinceSeconds=3&stream=Stderr", true, "sinceSeconds=3&stream=Stderr"),
            ("sinceTime=", false, ""),
            ("tailLines=", false, "strconv.ParseInt: parsing \"\": invalid syntax"),
            ("limitBytes=99999999999999999999", false, "strconv.ParseInt: parsing \"99999999999999999999\": value out of range"),
            ("sinceTime=x", false, "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\""),
            ("sinceSeconds=5&sinceTime=2024-01-01T00:00:00Z", false, "PodLogOptions \"p\" is invalid: []: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
            ("stream=All", false, "PodLogOptions \"p\" is invalid: stream: Forbidden: may not be specified"),
            ("stream=Stdout&tailLines=1", true, "PodLogOptions \"p\" is invalid: []: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"),
        ] {
            assert_eq!(told(query, split), answer, "{query}");
        }
        let all = told("tailLines=-1&limitBytes=0&sinceSeconds=0&stream=x", true);
        for part in ["[tailLines: Invalid value: -1: must be greater than or equal to 0, limitBytes: Invalid value: 0: must be greater than 0, sinceSeconds: Invalid value: 0: must be greater than 0",
            "stream: Unsupported value: \"x\": supported values: \"All\", \"Stderr\", \"Stdout\""] {
            assert!(all.contains(part), "{all}");
        }
    }
}
