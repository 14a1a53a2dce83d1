//! Configuration files of the API server, and credentials: any text is understood or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = access::configuration::Authentication::read(text, &[]);
    let _ = access::authorization::read(text);
    let _ = access::bootstrap::parse_token(text);
});
