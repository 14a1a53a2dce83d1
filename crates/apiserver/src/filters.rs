//! What is done about a request before it is known who asks.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use regex::Regex;

use crate::respond::{self, Body};

/// Requests that are answered while the server ends.
const ALWAYS: [&str; 4] = ["/readyz", "/livez", "/healthz", "/metrics"];

/// The answer of a server that ends, where it tells so. Upstream: apiserver `pkg/server/filters/with_retry_after.go`.
pub fn is_refused_at_the_end(path: &str) -> bool {
    !ALWAYS.iter().any(|prefix| path.starts_with(prefix))
}

pub fn try_later() -> Response<Body> {
    let mut response = respond::text(StatusCode::TOO_MANY_REQUESTS, "The apiserver is shutting down, please try again later.\n");
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The headers for a page of an origin that may ask. Upstream: apiserver `pkg/server/filters/cors.go`.
pub struct Cors(HeaderValue);

impl Cors {
    /// None where no origin is told, or one that may not.
    pub fn of(origins: &[Regex], headers: &HeaderMap) -> Option<Self> {
        if origins.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok().filter(|text| !text.is_empty())?;
        origins.iter().any(|allowed| allowed.is_match(text)).then(|| Self(origin.clone()))
    }

    /// What is asked before the request proper.
    pub fn preflight(&self, method: &Method) -> Option<Response<Body>> {
        (*method == Method::OPTIONS).then(|| {
            let mut response = Response::new(respond::full(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            self.put(response.headers_mut());
            response
        })
    }

    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0.clone());
        let told = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS, PUT, DELETE, PATCH"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        ];
        headers.extend(told.map(|(name, value)| (name, HeaderValue::from_static(value))));
    }
}

/// Whether a request over HTTP/2 moves its connection: by chance, or because its answer closes it, which HTTP/2 says otherwise.
///
/// Upstream: apiserver `pkg/server/filters/goaway.go`; Go's server reads `Connection: close` that way.
pub fn goes_away(chance: f64, headers: &mut HeaderMap) -> bool {
    let closes = headers.remove(header::CONNECTION).is_some_and(|value| value == "close");
    closes || (chance > 0.0 && rand::random::<f64>() < chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_allowed_origins_are_told_so() {
        let origins = [Regex::new("//example[.]com(:|$)").expect("a pattern")];
        let of = |origin: &'static str| Cors::of(&origins, &HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]));
        let allowed = of("https://example.com:8443").expect("allowed");
        let answer = allowed.preflight(&Method::OPTIONS).expect("answered at once");
        assert_eq!((answer.status(), &answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN]), (StatusCode::NO_CONTENT, &HeaderValue::from_static("https://example.com:8443")));
        assert!(allowed.preflight(&Method::GET).is_none() && of("https://example.com.evil").is_none() && Cors::of(&origins, &HeaderMap::new()).is_none());
    }

    #[test]
    fn connections_move_by_chance_or_when_they_are_closed() {
        let mut closing = HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_static("close"))]);
        assert!(goes_away(0.0, &mut closing) && closing.is_empty());
        assert!(!goes_away(0.0, &mut HeaderMap::new()) && goes_away(1.0, &mut HeaderMap::new()));
    }
}
