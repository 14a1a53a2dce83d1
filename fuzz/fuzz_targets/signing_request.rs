//! Certificate signing requests: any PEM is a request or an error.
#![no_main]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = pki::SigningRequest::parse(bytes);
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", BASE64_STANDARD.encode(bytes));
    let _ = pki::SigningRequest::parse(pem.as_bytes());
});
