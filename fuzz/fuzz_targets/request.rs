//! URLs: what a request is about is read from any path and query, and names nothing that a path could not.
#![no_main]

use api::query::Query;
use api::request::Info;
use http::{Method, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(uri) = text.parse::<Uri>() else { return };
    let query = Query::parse(uri.query().unwrap_or_default());
    let _ = (query.timeout(), query.number("limit"), query.flag("watch"));
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let info = Info::parse(&method, uri.path(), &query);
        assert_eq!(info.path, uri.path());
        assert!(info.is_resource || (info.name.is_empty() && info.namespace.is_empty()), "only resources have names: {info:?}");
    }
});
