//! Configuration that changes while the server runs: the next request follows, and what cannot be used changes nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use e2e::{ApiServer, Issuer, KmsPlugin, Running, Signer, Webhook, in_seconds, run};
use serde_json::{Value, json};

/// The server's own words about files, one at a time.
struct Told(Running);

impl Told {
    fn used(&mut self, flag: &str) {
        let line = self.0.until(flag);
        assert!(line.contains("a changed configuration is in use"), "{line}");
    }

    fn kept(&mut self, flag: &str, why: &str) {
        let line = self.0.until(flag);
        assert!(line.contains("the one before stays") && line.contains(why), "{line}");
    }
}

fn serve(folder: &Path, flags: &[&str]) -> Option<(ApiServer, Told)> {
    let log = folder.join("log");
    let server = ApiServer::start_logged(folder, flags, &log)?;
    let told = Running::start(Command::new("tail").args(["-n", "+1", "-F"]).arg(&log));
    Some((server, Told(told)))
}

fn metric(server: &ApiServer, name: &str) -> Option<String> {
    server.kubectl("get --raw /metrics").ok().lines().find(|line| line.starts_with(name)).map(str::to_owned)
}

#[test]
fn identities_and_rights_follow_their_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Signer::new(folder.path(), "RS256", "first");
    let issuer = Issuer::start(folder.path(), vec![key.jwk()]);
    let pem = std::fs::read_to_string(&issuer.ca).expect("the certificate");
    let (who, may) = (folder.path().join("authentication.yaml"), folder.path().join("authorization.yaml"));
    let identities = |prefix: &str, more: Value| {
        let mut config = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [{
            "issuer": {"url": issuer.url, "certificateAuthority": pem, "audiences": ["a"]}, "claimMappings": {"username": {"claim": "sub", "prefix": prefix}}}]});
        config.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        config.to_string()
    };
    let webhook = Webhook::start(Arc::new(|_, review| (200, json!({"apiVersion": review["apiVersion"], "kind": "SubjectAccessReview", "status": {"allowed": true}}))));
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "w",
        "clusters": [{"name": "w", "cluster": {"server": format!("https://localhost:{}/", webhook.port), "certificate-authority-data": webhook.ca_bundle}}],
        "users": [{"name": "w", "user": {}}], "contexts": [{"name": "w", "context": {"cluster": "w", "user": "w"}}]});
    std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).expect("the kubeconfig is written");
    let hook = json!({"type": "Webhook", "name": "hook", "webhook": {"timeout": "3s", "subjectAccessReviewVersion": "v1", "matchConditionSubjectAccessReviewVersion": "v1", "failurePolicy": "Deny",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": folder.path().join("kubeconfig")}, "matchConditions": [{"expression": "request.user == 'two:eva'"}]}});
    let rights = |judges: &[Value]| json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration", "authorizers": judges}).to_string();
    let rbac = json!({"type": "RBAC", "name": "rbac"});
    let write = |file: &Path, text: &str| {
        // As mounted configurations change: in one step.
        let new = file.with_extension("new");
        std::fs::write(&new, text).expect("the file is written");
        std::fs::rename(&new, file).expect("the file is exchanged");
    };
    write(&who, &identities("one:", json!({})));
    write(&may, &rights(std::slice::from_ref(&rbac)));
    let flags = [format!("--authentication-config={}", who.display()), format!("--authorization-config={}", may.display())];
    let Some((server, mut told)) = serve(folder.path(), &flags.each_ref().map(String::as_str)) else { return };
    let token = key.sign(&json!({"iss": issuer.url, "aud": "a", "exp": in_seconds(600), "sub": "eva"}));
    let name = || server.who(&token).1["username"].as_str().unwrap_or_default().to_owned();
    let header = format!("Authorization: Bearer {token}");
    let reads = || server.curl("/api/v1/namespaces/default/secrets", &["-H", &header], "").0;
    assert_eq!((name().as_str(), reads()), ("one:eva", 403));

    write(&who, &identities("two:", json!({})));
    told.used("--authentication-config");
    assert_eq!(name(), "two:eva");
    write(&who, "jwt: [");
    told.kept("--authentication-config", "not an AuthenticationConfiguration");
    write(&who, &identities("three:", json!({"anonymous": {"enabled": true}})));
    told.kept("--authentication-config", "changed from initial configuration file");
    write(&may, &rights(&[hook.clone(), rbac.clone()]));
    told.used("--authorization-config");
    assert_eq!((name().as_str(), reads()), ("two:eva", 200));
    write(&may, &rights(&[hook, json!({"type": "Node", "name": "node"}), rbac.clone()]));
    told.kept("--authorization-config", "authorizer type Node is not allowed if it was not enabled at initial server startup");
    std::fs::remove_file(&may).expect("the file goes");
    told.kept("--authorization-config", "No such file");
    assert_eq!(reads(), 200);
    write(&may, &rights(&[rbac]));
    told.used("--authorization-config");
    assert_eq!(reads(), 403);
    let counted = |name: &str| metric(&server, name).is_some();
    for (kind, status, count) in [("authentication", "success", 1), ("authentication", "failure", 2), ("authorization", "success", 2), ("authorization", "failure", 2)] {
        let all = server.kubectl("get --raw /metrics").ok();
        let begin = format!("apiserver_{kind}_config_controller_automatic_reloads_total{{");
        let line = all.lines().find(|l| l.starts_with(&begin) && l.contains(&format!("status=\"{status}\""))).unwrap_or_default();
        assert!(line.ends_with(&format!(" {count}")) && line.contains("apiserver_id_hash=\"sha256:"), "{kind} {status}: {line}");
    }
    assert!(counted("apiserver_authorization_config_controller_last_config_info{") && counted("apiserver_authentication_config_controller_automatic_reload_last_timestamp_seconds{"));
}

#[test]
fn authorities_and_certificates_follow_their_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |file: &str| folder.path().join(file).display().to_string();
    let openssl = |words: &str| run(Command::new("openssl").args(words.split(' ')), "").ok();
    std::fs::write(folder.path().join("client.ext"), "extendedKeyUsage=clientAuth\n").expect("a file");
    for name in ["one", "two"] {
        openssl(&format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name}-ca -keyout {} -out {}", at(&format!("{name}-ca.key")), at(&format!("{name}-ca.crt"))));
        openssl(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {} -out {}", at(&format!("{name}.key")), at(&format!("{name}.csr"))));
        openssl(&format!("x509 -req -in {} -CA {} -CAkey {} -days 1 -extfile {} -out {}", at(&format!("{name}.csr")), at(&format!("{name}-ca.crt")), at(&format!("{name}-ca.key")), at("client.ext"), at(&format!("{name}.crt"))));
        openssl(&format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name}-serving -addext subjectAltName=DNS:api.example.org -keyout {} -out {}", at(&format!("{name}-serving.key")), at(&format!("{name}-serving.crt"))));
    }
    for (from, to) in [("one-ca.crt", "ca.crt"), ("one-serving.crt", "serving.crt"), ("one-serving.key", "serving.key")] {
        std::fs::copy(at(from), at(to)).expect("a copy");
    }
    let flags = [format!("--client-ca-file={}", at("ca.crt")), format!("--tls-sni-cert-key={},{}:*.example.org", at("serving.crt"), at("serving.key"))];
    let Some((server, mut told)) = serve(folder.path(), &flags.each_ref().map(String::as_str)) else { return };
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let knows = |name: &str| server.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &["--cert", &at(&format!("{name}.crt")), "--key", &at(&format!("{name}.key"))], &review).0;
    let shown = |name: &str| {
        let line = format!("s_client -connect 127.0.0.1:{} -servername {name}", server.port);
        run(Command::new("openssl").args(line.split(' ')), "").out.lines().find(|l| l.trim_start().starts_with("0 s:")).unwrap_or_default().to_owned()
    };
    assert_eq!((knows("one"), knows("two")), (201, 401));
    assert!(shown("api.example.org").ends_with("one-serving") && shown("localhost").ends_with("kube-apiserver"), "{} {}", shown("api.example.org"), shown("localhost"));
    std::fs::copy(at("two-ca.crt"), at("ca.crt")).expect("a copy");
    told.used("--client-ca-file");
    assert_eq!((knows("one"), knows("two")), (401, 201));
    let published = server.kubectl("get configmap extension-apiserver-authentication -n kube-system -o jsonpath={.data.client-ca-file}").ok();
    assert!(published.contains(std::fs::read_to_string(at("two-ca.crt")).expect("a file").trim()));
    std::fs::write(at("ca.crt"), "no certificate").expect("a file");
    told.kept("--client-ca-file", "");
    assert_eq!(knows("two"), 201);
    // A certificate without its key waits for it.
    std::fs::copy(at("two-serving.crt"), at("serving.crt")).expect("a copy");
    told.kept("--tls-cert-file", "");
    assert!(shown("api.example.org").ends_with("one-serving"));
    std::fs::copy(at("two-serving.key"), at("serving.key")).expect("a copy");
    told.used("--tls-cert-file");
    assert!(shown("api.example.org").ends_with("two-serving"));
}

#[test]
fn encryption_follows_its_file_and_the_keys_of_its_plugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, file) = (folder.path().join("kms.sock"), folder.path().join("encryption.yaml"));
    let kms = json!({"kms": {"apiVersion": "v2", "name": "vault", "endpoint": format!("unix://{}", socket.display()), "timeout": "2s"}});
    let says = |providers: Value| {
        let config = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [{"resources": ["configmaps"], "providers": providers}]});
        std::fs::write(&file, config.to_string()).expect("the configuration is written");
    };
    let key = json!({"aesgcm": {"keys": [{"name": "k", "secret": "MDEyMzQ1Njc4OWFiY2RlZg=="}]}});
    says(json!([key, {"identity": {}}]));
    let flags = [format!("--encryption-provider-config={}", file.display()), "--encryption-provider-config-automatic-reload".to_owned()];
    let flags = flags.each_ref().map(String::as_str);
    let Some((mut server, mut told)) = serve(folder.path(), &flags) else { return };
    let health = |server: &ApiServer| server.curl("/readyz/kms-providers", &[], "").0;
    server.kubectl("create configmap by-key --from-literal=word=one").ok();
    // A plugin that is not there changes nothing; once it comes it is tried again.
    says(json!([kms, key]));
    told.kept("--encryption-provider-config", "KMS plugin");
    assert_eq!(health(&server), 200);
    let plugin = KmsPlugin::start(&socket, &[0x11]);
    told.used("--encryption-provider-config");
    assert!(plugin.asked.try_iter().any(|call| call == "Encrypt"));
    server.kubectl("create configmap by-plugin --from-literal=word=two").ok();
    // Another key of the plugin: the socket comes again, it is asked, and a new data key is made.
    drop(plugin);
    let plugin = KmsPlugin::start(&socket, &[0x11, 0x22]);
    told.0.until("a KMS plugin has another key");
    assert_eq!(plugin.asked.try_iter().collect::<Vec<_>>(), ["Status", "Status", "Encrypt"]);
    assert_eq!(health(&server), 200);
    server.kubectl("create configmap by-second --from-literal=word=three").ok();
    // Without it what is there is served, and written.
    drop(plugin);
    std::fs::write(folder.path().join("kms.sock.gone"), "").expect("a file");
    told.0.until("a KMS plugin is not well");
    assert_eq!(health(&server), 500);
    server.kubectl("create configmap meanwhile --from-literal=word=four").ok();
    let plugin = KmsPlugin::start(&socket, &[0x11, 0x22]);
    assert_eq!(plugin.asked.recv().as_deref(), Ok("Status"));
    server.restart(&flags);
    for (name, word) in [("by-key", "one"), ("by-plugin", "two"), ("by-second", "three"), ("meanwhile", "four")] {
        assert_eq!(server.kubectl(&format!("get configmap {name} -o jsonpath={{.data.word}}")).ok(), word);
    }
}

#[test]
fn an_issuer_may_be_described_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Signer::new(folder.path(), "ES256", "only");
    let issuer = Issuer::start(folder.path(), vec![key.jwk()]);
    let pem = std::fs::read_to_string(&issuer.ca).expect("the certificate");
    let file = folder.path().join("authentication.yaml");
    let described = |names: &[&str], more: Value| {
        let one = |name: &&str| {
            let mut of = json!({"url": format!("https://{name}"), "discoveryURL": format!("{}/for/tokens.example.com/{name}", issuer.url), "certificateAuthority": pem, "audiences": ["a"]});
            of.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            json!({"issuer": of, "claimMappings": {"username": {"claim": "sub", "prefix": ""}}})
        };
        json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": names.iter().map(one).collect::<Vec<_>>()}).to_string()
    };
    std::fs::write(&file, described(&["tokens.example.com", "other.example.com"], json!({}))).expect("the file is written");
    let flag = format!("--authentication-config={}", file.display());
    let Some((server, mut told)) = serve(folder.path(), &[&flag]) else { return };
    let token = |name: &str| key.sign(&json!({"iss": format!("https://{name}"), "aud": "a", "exp": in_seconds(600), "sub": "eva"}));
    let (code, who) = server.who(&token("tokens.example.com"));
    assert_eq!((code, who["username"].as_str()), (201, Some("eva")), "{who}");
    assert!(issuer.asked().iter().any(|path| path.starts_with("/for/tokens.example.com")));
    // The document is another issuer's.
    assert_eq!(server.who(&token("other.example.com")).0, 401);
    std::fs::write(&file, described(&["tokens.example.com"], json!({"egressSelectorType": "nodes"}))).expect("the file is written");
    told.kept("--authentication-config", "egress selector must be either controlplane or cluster");
    assert_eq!(server.who(&token("tokens.example.com")).0, 201);
}
