//! An identity provider of a test's own: keys made and used by the openssl command, its description served on the loopback.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use crate::{Webhook, run};

/// A private key, and how it signs.
pub struct Signer {
    algorithm: &'static str,
    id: String,
    file: PathBuf,
}

fn openssl(words: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let (given, made) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&given, input).expect("the input is written");
    let mut command = Command::new("openssl");
    command.args(words).arg("-out").arg(&made).arg(&given);
    run(&mut command, "").ok();
    std::fs::read(&made).expect("openssl writes its answer")
}

impl Signer {
    pub fn new(folder: &Path, algorithm: &'static str, id: &str) -> Self {
        let file = folder.join(format!("{id}.pem"));
        let mut command = Command::new("openssl");
        match curve(algorithm) {
            None => command.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            Some((name, _)) => command.args(["genpkey", "-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{name}")]),
        };
        run(command.arg("-out").arg(&file), "").ok();
        Self { algorithm, id: id.to_owned(), file }
    }

    /// The public half, as key sets hold it.
    pub fn jwk(&self) -> Value {
        let file = self.file.display().to_string();
        let der = {
            let mut command = Command::new("openssl");
            let out = self.file.with_extension("der");
            command.args(["pkey", "-in", &file, "-pubout", "-outform", "DER", "-out"]).arg(&out);
            run(&mut command, "").ok();
            std::fs::read(out).expect("the public key")
        };
        match curve(self.algorithm) {
            // The point stands at the end of the structure.
            Some((name, size)) => {
                let (x, y) = der[der.len() - 2 * size..].split_at(size);
                json!({"kty": "EC", "kid": self.id, "crv": name, "x": BASE64.encode(x), "y": BASE64.encode(y)})
            }
            None => {
                let modulus = run(Command::new("openssl").args(["rsa", "-in", &file, "-noout", "-modulus"]), "").ok();
                let hex = modulus.trim().trim_start_matches("Modulus=").as_bytes().to_vec();
                let digit = |byte: u8| (byte as char).to_digit(16).expect("a digit") as u8;
                let bytes: Vec<u8> = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
                json!({"kty": "RSA", "kid": self.id, "n": BASE64.encode(bytes), "e": "AQAB"})
            }
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let encoded = |value: &Value| BASE64.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&json!({"alg": self.algorithm, "kid": self.id})), encoded(claims));
        let (digest, file) = (format!("-sha{}", &self.algorithm[2..]), self.file.display().to_string());
        let mut words = vec!["dgst", &digest, "-sign", &file];
        if self.algorithm.starts_with("PS") {
            words.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]);
        }
        let signature = openssl(&words, signed.as_bytes());
        let signature = match curve(self.algorithm) {
            Some((_, size)) => [integer(&signature, 0, size), integer(&signature, 1, size)].concat(),
            None => signature,
        };
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

/// Curve and size of its numbers.
fn curve(algorithm: &str) -> Option<(&'static str, usize)> {
    match algorithm {
        "ES256" => Some(("P-256", 32)),
        "ES384" => Some(("P-384", 48)),
        "ES512" => Some(("P-521", 66)),
        _ => None,
    }
}

/// One of the two numbers of a signature in DER, at its full size.
fn integer(der: &[u8], which: usize, size: usize) -> Vec<u8> {
    let mut at = if der[1] & 0x80 == 0 { 2 } else { 3 };
    for _ in 0..which {
        at += 2 + usize::from(der[at + 1]);
    }
    let number = &der[at + 2..at + 2 + usize::from(der[at + 1])];
    let number = &number[number.len().saturating_sub(size)..];
    [vec![0; size - number.len()], number.to_vec()].concat()
}

/// A provider whose keys the test may exchange.
pub struct Issuer {
    pub url: String,
    /// File with the certificate to trust.
    pub ca: String,
    pub webhook: Webhook,
    keys: Arc<Mutex<Vec<Value>>>,
    kept: Arc<Mutex<String>>,
}

impl Issuer {
    pub fn start(folder: &Path, keys: Vec<Value>) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let kept = Arc::new(Mutex::new(String::new()));
        let (served, claims, address) = (keys.clone(), kept.clone(), Arc::new(OnceLock::<String>::new()));
        let own = address.clone();
        let webhook = Webhook::start(Arc::new(move |path, _| {
            let url = own.get().cloned().unwrap_or_default();
            match path {
                "/.well-known/openid-configuration" => (200, json!({"issuer": url, "jwks_uri": format!("{url}/keys")})),
                // Of an issuer that is somewhere else.
                path if path.starts_with("/for/tokens.example.com/") => (200, json!({"issuer": "https://tokens.example.com", "jwks_uri": format!("{url}/keys")})),
                "/keys" => (200, json!({"keys": *served.lock().expect("no test panics here")})),
                "/claims" => (200, json!(*claims.lock().expect("no test panics here"))),
                "/moved" => (302, json!({"location": format!("{url}/keys")})),
                _ => (404, json!({})),
            }
        }));
        let url = format!("https://localhost:{}", webhook.port);
        let _ = address.set(url.clone());
        let ca = folder.join("issuer.crt");
        std::fs::write(&ca, base64::prelude::BASE64_STANDARD.decode(&webhook.ca_bundle).expect("base64")).expect("the certificate is written");
        Self { url, ca: ca.display().to_string(), webhook, keys, kept }
    }

    pub fn has(&self, keys: Vec<Value>) {
        *self.keys.lock().expect("no test panics here") = keys;
    }

    /// Keeps claims at `/claims` for tokens that point there.
    pub fn keeps(&self, token: &str) {
        token.clone_into(&mut self.kept.lock().expect("no test panics here"));
    }

    /// Paths that were asked since the last look.
    pub fn asked(&self) -> Vec<String> {
        self.webhook.asked.try_iter().map(|(path, _)| path).collect()
    }
}

/// Seconds since 1970, and some more.
pub fn in_seconds(more: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()).expect("not so late") + more
}
