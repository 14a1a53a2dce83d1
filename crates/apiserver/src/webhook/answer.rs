//! What comes of a call that fails, in the words of Go's client.
//!
//! Upstream: apimachinery `pkg/api/errors/errors.go` `NewGenericServerResponse`.

use std::fmt;

/// A call that brought no answer to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What the failure counts as: the answer's code, or 503 where there was none.
    pub code: u16,
    pub message: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl CallError {
    /// Nothing came back.
    pub fn transport(url: &str, why: impl fmt::Display) -> Self {
        Self { code: 503, message: format!("Post {url:?}: {why}") }
    }

    /// An answer that is no success.
    pub fn refused(code: u16, text: Option<&str>) -> Self {
        let said = text.map_or("unknown", str::trim);
        let message = match code {
            400 => "the server rejected our request for an unknown reason".to_owned(),
            401 => "the server has asked for the client to provide credentials".to_owned(),
            403 => said.to_owned(),
            404 => "the server could not find the requested resource".to_owned(),
            405 => "the server does not allow this method on the requested resource".to_owned(),
            406 => "the server was unable to respond with a content type that the client supports".to_owned(),
            409 => "the server reported a conflict".to_owned(),
            415 => "the server was unable to respond with a content type that the client supports".to_owned(),
            422 => "the server rejected our request due to an error in our request".to_owned(),
            429 => "the server has received too many requests and has asked us to try again later".to_owned(),
            503 => "the server is currently unable to handle the request".to_owned(),
            504 => "the server was unable to return a response in the time allotted, but may still be processing the request".to_owned(),
            500.. => format!("an error on the server ({said:?}) has prevented the request from succeeding"),
            _ => format!("the server responded with the status code {code} but did not return more information"),
        };
        Self { code, message }
    }
}

/// The system's words for a failure, as Go prints them.
pub fn io_words(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return "EOF".into();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
