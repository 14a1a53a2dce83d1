//! Who may ask: identities from elsewhere, shown to API servers of the tests' own.

use std::process::Command;
use std::sync::Arc;

use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use e2e::{ApiServer, Issuer, Running, Signer, Webhook, in_seconds, run};
use serde_json::{Value, json};

fn names(info: &Value) -> (String, Vec<String>) {
    let groups = info["groups"].as_array().into_iter().flatten().filter_map(|g| g.as_str().map(str::to_owned)).collect();
    (info["username"].as_str().unwrap_or_default().to_owned(), groups)
}

#[test]
fn tokens_of_an_issuer_that_flags_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Signer::new(folder.path(), "RS256", "first");
    let issuer = Issuer::start(folder.path(), vec![key.jwk()]);
    let (url, ca) = (format!("--oidc-issuer-url={}", issuer.url), format!("--oidc-ca-file={}", issuer.ca));
    let flags = [&url, &ca, "--oidc-client-id=knarr", "--oidc-groups-claim=groups", "--oidc-groups-prefix=oidc:", "--oidc-required-claim=kind=person"];
    let Some(server) = ApiServer::start(folder.path(), &flags) else { return };
    assert!(issuer.asked().is_empty(), "nobody has shown a token yet");
    let claims = |more: Value| {
        let mut claims = json!({"iss": issuer.url, "aud": "knarr", "exp": in_seconds(600), "sub": "eva", "kind": "person", "groups": ["dev", "ops"]});
        claims.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        claims
    };
    let good = key.sign(&claims(json!({})));
    let (code, info) = server.who(&good);
    assert_eq!((code, names(&info)), (201, (format!("{}#eva", issuer.url), ["oidc:dev", "oidc:ops", "system:authenticated"].map(str::to_owned).into())));
    assert_eq!(issuer.asked(), ["/.well-known/openid-configuration", "/keys"]);
    // Others may ask about it as well.
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": good}});
    let told: Value = serde_json::from_str(&server.kubectl_with("create -o json -f -", &review.to_string()).ok()).expect("JSON");
    assert_eq!((&told["status"]["authenticated"], &told["status"]["user"]["username"]), (&json!(true), &json!(format!("{}#eva", issuer.url))));

    let other = Signer::new(folder.path(), "ES256", "other");
    let other_key = Signer::new(folder.path(), "RS256", "elsewhere");
    let unknown = key.sign(&claims(json!({"iss": "https://elsewhere"})));
    for (token, why) in [
        (key.sign(&claims(json!({"exp": in_seconds(-5)}))), "ended"),
        (key.sign(&claims(json!({"aud": "another"}))), "for others"),
        (key.sign(&claims(json!({"kind": "robot"}))), "without the claim"),
        (key.sign(&claims(json!({"nbf": in_seconds(900)}))), "too early"),
        (other.sign(&claims(json!({}))), "signed in another way"),
        (unknown, "of another issuer"),
        (format!("{good}x"), "changed"),
    ] {
        let (code, status) = server.who(&token);
        assert_eq!((code, &status["message"], &status["reason"]), (401, &json!("Unauthorized"), &json!("Unauthorized")), "{why}");
    }
    // Claims that a token only points to are fetched, and count when their issuer signed them for this server.
    let points = |path: &str| json!({"groups": Value::Null, "_claim_names": {"groups": "there"}, "_claim_sources": {"there": {"endpoint": format!("{}{path}", issuer.url), "access_token": "x"}}});
    let pointing = |path: &str, n: u32| {
        let mut all = claims(points(path));
        let map = all.as_object_mut().expect("an object");
        map.remove("groups");
        map.insert("n".into(), n.into());
        key.sign(&all)
    };
    let held = |more: Value| {
        let mut all = json!({"iss": issuer.url, "aud": "knarr", "exp": in_seconds(600), "groups": ["far"]});
        all.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        all
    };
    issuer.keeps(&key.sign(&held(json!({}))));
    let (code, info) = server.who(&pointing("/claims", 1));
    assert_eq!((code, names(&info).1), (201, ["oidc:far", "system:authenticated"].map(str::to_owned).into()));
    for (n, kept) in [key.sign(&held(json!({"aud": "another"}))), key.sign(&held(json!({"exp": in_seconds(-5)}))), other_key.sign(&held(json!({}))), "no token".to_owned()].iter().enumerate() {
        issuer.keeps(kept);
        assert_eq!(server.who(&pointing("/claims", 10 + n as u32)).0, 401, "{n}");
    }
    assert_eq!(server.who(&pointing("/moved", 2)).0, 401, "no redirect is followed");
    // A key that is not known yet is looked for, and one that is never found is not looked for without end.
    let next = Signer::new(folder.path(), "RS256", "next");
    issuer.asked();
    issuer.has(vec![key.jwk(), next.jwk()]);
    assert_eq!(server.who(&next.sign(&claims(json!({"sub": "max"})))).0, 201);
    assert_eq!(issuer.asked(), ["/keys"]);
    let stranger = Signer::new(folder.path(), "RS256", "stranger");
    for n in 0..20 {
        assert_eq!(server.who(&stranger.sign(&claims(json!({"sub": n})))).0, 401);
    }
    let asked = issuer.asked().len();
    assert!(asked < 15, "{asked} calls for tokens that nobody signed");
    // kubectl shows its token like anybody.
    let token = key.sign(&claims(json!({"sub": "kubectl"})));
    server.kubectl("create clusterrolebinding oidc --clusterrole=view --group=oidc:dev").ok();
    assert_eq!(server.curl("/api/v1/namespaces/default/configmaps", &["-H", &format!("Authorization: Bearer {token}")], "").0, 200);
}

#[test]
fn issuers_of_an_authentication_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys: Vec<Signer> = ["RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"].into_iter().map(|alg| Signer::new(folder.path(), alg, alg)).collect();
    let issuer = Issuer::start(folder.path(), keys.iter().map(Signer::jwk).collect());
    let pem = std::fs::read_to_string(&issuer.ca).expect("the certificate");
    let config = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": true, "conditions": [{"path": "/livez"}]},
        "jwt": [{
            "issuer": {"url": issuer.url, "certificateAuthority": pem, "audiences": ["a", "b"], "audienceMatchPolicy": "MatchAny"},
            "claimValidationRules": [{"expression": "claims.exp - claims.iat <= 3600", "message": "lives too long"}],
            "claimMappings": {
                "username": {"expression": "claims.email_verified ? claims.email : 'unverified:' + claims.sub"},
                "groups": {"expression": "claims.?roles.orValue([]).map(r, 'role:' + r)"}, "uid": {"claim": "sub"},
                "extra": [{"key": "example.org/tenant", "valueExpression": "claims.tenant"}],
            },
            "userValidationRules": [{"expression": "!user.username.startsWith('system:')", "message": "reserved"}],
        }]});
    let file = folder.path().join("authentication.yaml");
    std::fs::write(&file, config.to_string()).expect("the configuration is written");
    let flag = format!("--authentication-config={}", file.display());
    let Some(server) = ApiServer::start(folder.path(), &[&flag]) else { return };
    let claims = json!({"iss": issuer.url, "aud": ["b", "c"], "iat": in_seconds(0), "exp": in_seconds(600), "sub": "17", "email": "eva@example.org", "email_verified": true, "roles": ["x"], "tenant": ["t"]});
    for key in &keys {
        let (code, info) = server.who(&key.sign(&claims));
        assert_eq!((code, names(&info)), (201, ("eva@example.org".into(), vec!["role:x".into(), "system:authenticated".into()])));
        assert_eq!((&info["uid"], &info["extra"]), (&json!("17"), &json!({"example.org/tenant": ["t"]})));
    }
    let with = |key: &str, value: Value| {
        let mut changed = claims.clone();
        changed[key] = value;
        server.who(&keys[2].sign(&changed)).0
    };
    assert_eq!((with("exp", json!(in_seconds(9000))), with("email", json!("system:admin")), with("email_verified", json!(false)), with("tenant", json!(1))), (401, 401, 201, 401));
    // Without credentials: where the configuration says, and nowhere else.
    let bare = |path: &str| server.curl(path, &[], "").0;
    assert_eq!((bare("/livez"), bare("/readyz"), bare("/version")), (200, 401, 401));

    let twice = ApiServer::refuses(folder.path(), &[&flag, "--oidc-issuer-url=https://x", "--oidc-client-id=y"]);
    assert!(twice.contains("mutually exclusive"), "{twice}");
    std::fs::write(&file, config.to_string().replace("https://", "http://")).expect("the configuration is written");
    let plain = ApiServer::refuses(folder.path(), &[&flag]);
    assert!(plain.contains("jwt[0].issuer.url") && plain.contains("URL scheme must be https"), "{plain}");
    let alone = ApiServer::refuses(folder.path(), &["--oidc-client-id=y"]);
    assert!(alone.contains("oidc-issuer-url and oidc-client-id must be specified together"), "{alone}");
}

#[test]
fn who_shows_nothing_is_served_where_it_was_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut server) = ApiServer::start(folder.path(), &[]) else { return };
    let bare = |server: &ApiServer, path: &str| server.curl(path, &[], "").0;
    assert_eq!((bare(&server, "/readyz"), bare(&server, "/api"), bare(&server, "/api/v1/pods")), (200, 401, 401));
    server.restart(&["--anonymous-auth"]);
    let (code, body) = server.curl("/api/v1/pods", &[], "");
    assert!(code == 403 && body.contains("pods is forbidden: User \\\"system:anonymous\\\" cannot list resource \\\"pods\\\""), "{code} {body}");
    assert_eq!(bare(&server, "/version"), 200);
    // And who stands in a file, with his token.
    let file = folder.path().join("tokens.csv");
    std::fs::write(&file, "t0ken,lea,11,\"dev,ops\"\n").expect("the file is written");
    server.restart(&["--anonymous-auth=false", &format!("--token-auth-file={}", file.display())]);
    assert_eq!((bare(&server, "/readyz"), bare(&server, "/api/v1/pods")), (401, 401));
    let (code, info) = server.who("t0ken");
    assert_eq!((code, names(&info), &info["uid"]), (201, ("lea".into(), ["dev", "ops", "system:authenticated"].map(str::to_owned).into()), &json!("11")));
    assert_eq!(server.who("t0ke").0, 401);
    let unknown = ApiServer::refuses(folder.path(), &["--cert-dir=x"]);
    assert!(unknown.contains("--cert-dir is a flag of upstream's kube-apiserver: certificates are in DIR/pki"), "{unknown}");
}

#[test]
fn tokens_that_a_webhook_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(Arc::new(|_, review| {
        let status = match review["spec"]["token"].as_str().unwrap_or_default() {
            "good" => json!({"authenticated": true, "user": {"username": "eva", "uid": "42", "groups": ["dev"], "extra": {"example.org/k": ["v"]}}}),
            "broken" => return (503, json!({"no": "status"})),
            "elsewhere" => return (302, json!({"location": "https://localhost:1/"})),
            "other-audience" => json!({"authenticated": true, "user": {"username": "eva"}, "audiences": ["vault"]}),
            _ => json!({"authenticated": false, "error": "never heard of it"}),
        };
        (200, json!({"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}))
    }));
    let flag = format!("--authentication-token-webhook-config-file={}", webhook.kubeconfig(folder.path(), "tokens", "/authenticate"));
    let Some(server) = ApiServer::start(folder.path(), &[&flag, "--authentication-token-webhook-version=v1", "--authentication-token-webhook-cache-ttl=1h"]) else { return };
    let asked = || webhook.asked.try_iter().collect::<Vec<_>>();
    for _ in 0..3 {
        let (code, info) = server.who("good");
        assert_eq!((code, names(&info)), (201, ("eva".into(), vec!["dev".into(), "system:authenticated".into()])));
        assert_eq!((&info["uid"], &info["extra"]), (&json!("42"), &json!({"example.org/k": ["v"]})));
    }
    let calls = asked();
    assert_eq!(calls.len(), 1, "the answer holds for an hour");
    assert_eq!((calls[0].0.as_str(), &calls[0].1["apiVersion"], &calls[0].1["spec"]["token"]), ("/authenticate", &json!("authentication.k8s.io/v1"), &json!("good")));
    assert_eq!(calls[0].1["spec"]["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    for token in ["unknown", "broken", "elsewhere", "other-audience"] {
        let (code, status) = server.who(token);
        assert_eq!((code, &status["message"]), (401, &json!("Unauthorized")), "{token}");
    }
    assert_eq!(asked().len(), 4);
    // For others the same webhook is asked, with their audiences.
    let review = |token: &str, audiences: Value| json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token, "audiences": audiences}});
    let told = |review: Value| -> Value { serde_json::from_str::<Value>(&server.kubectl_with("create -o json -f -", &review.to_string()).ok()).expect("JSON")["status"].take() };
    let known = told(review("other-audience", json!(["vault"])));
    assert_eq!((&known["authenticated"], &known["audiences"]), (&json!(true), &json!(["vault"])));
    let unknown = told(review("unknown", json!([])));
    assert!(unknown.get("authenticated").is_none() && unknown["error"].as_str().is_some_and(|e| e.contains("never heard of it")), "{unknown}");
    assert!(server.kubectl_with("create -f -", &review("", json!([])).to_string()).fails().contains("token is required for TokenReview in authentication"));
    let version = ApiServer::refuses(folder.path(), &[&flag, "--authentication-token-webhook-version=v2"]);
    assert!(version.contains("unsupported authentication webhook version \"v2\", supported versions are \"v1\", \"v1beta1\""), "{version}");
    let time = ApiServer::refuses(folder.path(), &[&flag, "--authentication-token-webhook-cache-ttl=soon"]);
    assert!(time.contains("write it like 30s or 2m0s"), "{time}");
}

#[test]
fn machines_join_with_bootstrap_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut server) = ApiServer::start(folder.path(), &[]) else { return };
    let secret = |id: &str, more: Value| {
        let mut data = json!({"token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true"});
        data.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        json!({"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token", "metadata": {"name": format!("bootstrap-token-{id}"), "namespace": "kube-system"}, "stringData": data}).to_string()
    };
    server.kubectl_with("create -f -", &secret("abcdef", json!({"auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"}))).ok();
    assert_eq!(server.who("abcdef.0123456789abcdef").0, 401, "nobody asked for such tokens");
    server.restart(&["--enable-bootstrap-token-auth"]);
    let (code, info) = server.who("abcdef.0123456789abcdef");
    assert_eq!((code, names(&info)), (201, ("system:bootstrap:abcdef".into(), ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"].map(str::to_owned).into())));
    server.kubectl_with("create -f -", &secret("ended0", json!({"expiration": "2001-01-01T00:00:00Z"}))).ok();
    server.kubectl_with("create -f -", &secret("nologs", json!({"usage-bootstrap-authentication": "false"}))).ok();
    server.kubectl_with("create -f -", &secret("master", json!({"auth-extra-groups": "system:masters"}))).ok();
    for token in ["abcdef.0123456789abcdee", "ended0.0123456789abcdef", "nologs.0123456789abcdef", "master.0123456789abcdef", "absent.0123456789abcdef"] {
        assert_eq!(server.who(token).0, 401, "{token}");
    }
    // The controllers sign what is public for each token, and remove what has ended.
    let mut command = Command::new(std::env::var_os("KNARR_BIN").expect("KNARR_BIN is set"));
    let _controllers = Running::start(command.arg("controllers").arg("--bootstrap-tokens").arg("--kubeconfig").arg(server.data.join("kubeconfig")));
    // As a list: a watch of one name keeps its first event to itself, which may be the one that is awaited here.
    let mut watch = server.watch("get configmaps -n kube-public --field-selector metadata.name=cluster-info --watch -o json");
    watch.until("jws-kubeconfig-abcdef");
    server.kubectl("wait --for=delete secret/bootstrap-token-ended0 -n kube-system --timeout=60s").ok();
    let info: Value = serde_json::from_str(&server.kubectl("get configmap cluster-info -n kube-public -o json").ok()).expect("JSON");
    let text = info["data"]["kubeconfig"].as_str().expect("the public kubeconfig");
    assert!(text.contains("certificate-authority-data: ") && text.contains("server: https://"), "{text}");
    let signature = info["data"]["jws-kubeconfig-abcdef"].as_str().expect("a signature");
    let signed = format!("{}.{}", base64::Engine::encode(&BASE64, "{\"alg\":\"HS256\",\"kid\":\"abcdef\"}"), base64::Engine::encode(&BASE64, text));
    // Zeros at the end of a key change nothing (RFC 2104), so the filled-up key is the secret.
    let mac = run(Command::new("openssl").args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", "key:0123456789abcdef", "-hex"]), &signed).ok();
    let digits = mac.trim().rsplit(' ').next().unwrap_or_default();
    let bytes: Vec<u8> = (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect();
    assert_eq!(signature.rsplit('.').next(), Some(base64::Engine::encode(&BASE64, bytes).as_str()));
}

#[test]
fn front_proxies_name_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |file: &str| folder.path().join(file).display().to_string();
    let openssl = |words: &str| run(Command::new("openssl").args(words.split(' ')), "").ok();
    for authority in ["front", "people"] {
        openssl(&format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={authority}-ca -keyout {} -out {}", at(&format!("{authority}-ca.key")), at(&format!("{authority}-ca.crt"))));
    }
    std::fs::write(folder.path().join("client.ext"), "extendedKeyUsage=clientAuth\n").expect("a file");
    for (name, authority) in [("front", "front"), ("stranger", "front"), ("eva", "people")] {
        openssl(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name}/O=dev -keyout {} -out {}", at(&format!("{name}.key")), at(&format!("{name}.csr"))));
        openssl(&format!("x509 -req -in {} -CA {} -CAkey {} -days 1 -extfile {} -out {}", at(&format!("{name}.csr")), at(&format!("{authority}-ca.crt")), at(&format!("{authority}-ca.key")), at("client.ext"), at(&format!("{name}.crt"))));
    }
    let Some(mut server) = ApiServer::start(folder.path(), &[]) else { return };
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let who = |server: &ApiServer, certificate: &str, key: &str, headers: &[&str]| {
        let mut args = vec!["--cert", certificate, "--key", key];
        headers.iter().for_each(|h| args.extend(["-H", h]));
        let (code, answer) = server.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &args, &review);
        (code, answer["status"].get("userInfo").cloned().unwrap_or_default())
    };
    // The cluster's own front proxy is believed without any flag; it is nobody by itself.
    let (own, own_key) = (server.pki("front-proxy-client.crt"), server.pki("front-proxy-client.key"));
    let named = ["X-Remote-User: max", "X-Remote-Group: ops", "X-Remote-Group: dev", "X-Remote-Uid: 9", "X-Remote-Extra-Example.org%2fTeam: blue"];
    let (code, info) = who(&server, &own, &own_key, &named);
    assert_eq!((code, names(&info)), (201, ("max".into(), vec!["ops".into(), "dev".into(), "system:authenticated".into()])));
    assert_eq!((&info["uid"], &info["extra"]), (&json!("9"), &json!({"example.org/team": ["blue"]})));
    assert_eq!(who(&server, &own, &own_key, &[]).0, 401);
    // Nobody else names himself.
    let (admin, admin_key) = (server.pki("admin.crt"), server.pki("admin.key"));
    let (code, info) = who(&server, &admin, &admin_key, &named);
    assert!(code == 201 && names(&info).0 != "max", "{info}");
    assert!(info["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().is_some_and(|id| id.starts_with("X509SHA256=") && id.len() == 75), "{info}");
    assert_eq!(who(&server, &at("front.crt"), &at("front.key"), &named).0, 401, "its authority is not known");

    let flags = [format!("--requestheader-client-ca-file={}", at("front-ca.crt")), format!("--client-ca-file={}", at("people-ca.crt"))];
    let more = ["--requestheader-allowed-names=front", "--requestheader-username-headers=X-User,X-Remote-User", "--requestheader-group-headers=X-Groups"];
    server.restart(&[&flags[..].iter().map(String::as_str).collect::<Vec<_>>()[..], &more].concat());
    assert_eq!(names(&who(&server, &at("front.crt"), &at("front.key"), &["X-User: lea", "X-Groups: a", "X-Remote-Group: b"]).1), ("lea".into(), vec!["a".into(), "system:authenticated".into()]));
    assert_eq!(who(&server, &at("stranger.crt"), &at("stranger.key"), &["X-User: lea"]).0, 401, "no name that is allowed");
    assert_eq!(who(&server, &own, &own_key, &named).0, 401, "another authority was given");
    assert_eq!(names(&who(&server, &at("eva.crt"), &at("eva.key"), &["X-User: lea"]).1), ("eva".into(), vec!["dev".into(), "system:authenticated".into()]));
    let told: Value = serde_json::from_str(&server.kubectl("get configmap extension-apiserver-authentication -n kube-system -o json").ok()).expect("JSON");
    let file = |name: &str| std::fs::read_to_string(at(name)).expect("a file");
    assert_eq!((&told["data"]["requestheader-username-headers"], &told["data"]["requestheader-allowed-names"]), (&json!("[\"X-User\",\"X-Remote-User\"]"), &json!("[\"front\"]")));
    assert_eq!(told["data"]["requestheader-client-ca-file"], json!(file("front-ca.crt")));
    assert!(told["data"]["client-ca-file"].as_str().is_some_and(|pem| pem.contains(file("people-ca.crt").trim())));
    let both = ApiServer::refuses(folder.path(), &[&flags[0], &format!("--client-ca-file={}", at("front-ca.crt"))]);
    assert!(both.contains("contain overlapping certificates"), "{both}");
}

#[test]
fn webhooks_judge() {
    let folder = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(Arc::new(|_, review| {
        let spec = &review["spec"];
        let status = match (spec["user"].as_str(), spec["resourceAttributes"]["verb"].as_str().or(spec["nonResourceAttributes"]["verb"].as_str())) {
            (Some("eva"), Some("get" | "list")) => json!({"allowed": true, "reason": "eva reads"}),
            (Some("eva"), Some("delete")) => json!({"allowed": false, "denied": true, "reason": "eva deletes nothing"}),
            (Some("torn"), _) => json!({"allowed": true, "denied": true}),
            (Some("lost"), _) => return (400, json!({})),
            _ => json!({"allowed": false, "reason": "unheard of"}),
        };
        (200, json!({"apiVersion": review["apiVersion"], "kind": "SubjectAccessReview", "status": status}))
    }));
    let file = webhook.kubeconfig(folder.path(), "rights", "/authorize");
    let flag = format!("--authorization-webhook-config-file={file}");
    let Some(mut server) = ApiServer::start(folder.path(), &["--authorization-mode=Webhook,RBAC", &flag, "--authorization-webhook-version=v1"]) else { return };
    server.kubectl("create clusterrolebinding torn --clusterrole=cluster-admin --user=torn").ok();
    server.kubectl("create clusterrolebinding lost --clusterrole=view --user=lost").ok();
    server.kubectl("create clusterrolebinding eva --clusterrole=edit --user=eva").ok();
    webhook.asked.try_iter().for_each(drop);
    for _ in 0..3 {
        server.kubectl("get configmaps --as=eva -n default").ok();
    }
    let asked: Vec<Value> = webhook.asked.try_iter().map(|(_, review)| review["spec"].clone()).filter(|spec| spec["resourceAttributes"]["resource"] == "configmaps").collect();
    assert_eq!(asked, [json!({"user": "eva", "groups": ["system:authenticated"], "resourceAttributes": {"namespace": "default", "verb": "list", "version": "v1", "resource": "configmaps"}})], "the answer holds");
    // Denied here although a role would allow it; not heard of here, but a role allows it; nobody allows it.
    let refused = server.kubectl("delete configmap kube-root-ca.crt --as=eva -n default").fails();
    assert!(refused.contains("configmaps \"kube-root-ca.crt\" is forbidden: User \"eva\" cannot delete resource \"configmaps\" in API group \"\" in the namespace \"default\": eva deletes nothing"), "{refused}");
    server.kubectl("create configmap made --as=eva -n default").ok();
    let nobody = server.kubectl("get secrets --as=max -n default").fails();
    assert!(nobody.contains("unheard of"), "{nobody}");
    // Where it cannot judge, roles may; where it says two things at once, nobody may.
    server.kubectl("get configmaps --as=lost -n default").ok();
    let admin = ["--cert", &server.pki("admin.crt"), "--key", &server.pki("admin.key")].map(str::to_owned);
    let who = |server: &ApiServer, name: &str, path: &str| {
        let header = format!("Impersonate-User: {name}");
        server.curl(path, &[&admin[0], &admin[1], &admin[2], &admin[3], "-H", &header], "")
    };
    let (code, body) = who(&server, "torn", "/api/v1/nodes");
    assert!(code == 500 && body.starts_with("Internal Server Error: \"/api/v1/nodes\": webhook subject access review returned both"), "{code} {body}");
    let (code, body) = who(&server, "lost", "/api/v1/secrets");
    assert!(code == 500 && body.contains("the answer is 400"), "{code} {body}");
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {"user": "eva", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "x"}}});
    let told: Value = serde_json::from_str(&server.kubectl_with("create -o json -f -", &review.to_string()).ok()).expect("JSON");
    assert_eq!((&told["status"]["allowed"], &told["status"]["reason"]), (&json!(true), &json!("eva reads")));

    let config = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration", "authorizers": [
        {"type": "Webhook", "name": "reads", "webhook": {"timeout": "3s", "subjectAccessReviewVersion": "v1beta1", "matchConditionSubjectAccessReviewVersion": "v1", "failurePolicy": "Deny",
            "authorizedTTL": "10s", "unauthorizedTTL": "10s", "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": file},
            "matchConditions": [{"expression": "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'judged'"}, {"expression": "request.resourceAttributes.name != 'broken' || request.extra['none'].size() > 0"}]}},
        {"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}]});
    let config_file = folder.path().join("authorization.yaml");
    std::fs::write(&config_file, config.to_string()).expect("the configuration is written");
    let flag = format!("--authorization-config={}", config_file.display());
    server.restart(&[&flag]);
    webhook.asked.try_iter().for_each(drop);
    assert_eq!(who(&server, "lost", "/api/v1/namespaces/default/configmaps").0, 200, "it is not asked about this");
    assert_eq!(webhook.asked.try_iter().count(), 0);
    assert_eq!(who(&server, "lost", "/api/v1/namespaces/judged/configmaps").0, 500, "its failure refuses");
    assert_eq!(who(&server, "eva", "/api/v1/namespaces/judged/configmaps").0, 200);
    assert_eq!(who(&server, "eva", "/api/v1/namespaces/judged/configmaps/broken").0, 500, "a condition fails");
    assert!(webhook.asked.try_iter().all(|(_, review)| review["apiVersion"] == "authorization.k8s.io/v1beta1" && review["spec"]["group"].is_array()));
    // What is selected is told, in requests and in reviews.
    let _ = who(&server, "max", "/api/v1/namespaces/judged/pods?fieldSelector=spec.nodeName%3Dn&labelSelector=app%20in%20(b,a),!old");
    let asked: Vec<Value> = webhook.asked.try_iter().map(|(_, review)| review["spec"]["resourceAttributes"].clone()).collect();
    let selectors = json!([{"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n"]}]}, {"requirements": [{"key": "app", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]}]);
    assert_eq!(json!([asked[0]["fieldSelector"], asked[0]["labelSelector"]]), selectors);
    let mut review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {"user": "max", "uid": "7", "extra": {"k": ["v"]},
        "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "judged", "fieldSelector": {"rawSelector": "spec.nodeName=n"}, "labelSelector": selectors[1].clone()}}});
    server.kubectl_with("create -o json -f -", &review.to_string()).ok();
    let asked: Vec<Value> = webhook.asked.try_iter().map(|(_, review)| review["spec"].clone()).collect();
    assert_eq!(json!([asked[0]["resourceAttributes"]["fieldSelector"], asked[0]["resourceAttributes"]["labelSelector"], asked[0]["uid"], asked[0]["extra"]]), json!([selectors[0], selectors[1], "7", {"k": ["v"]}]));
    review["spec"]["resourceAttributes"]["fieldSelector"] = json!({});
    let refused = server.kubectl_with("create -f -", &review.to_string()).fails();
    assert!(refused.contains("when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required"), "{refused}");
    let counted = server.kubectl("get --raw /metrics").ok();
    for line in ["apiserver_authorization_webhook_evaluations_total{name=\"reads\",result=\"success\"}", "apiserver_authorization_webhook_evaluations_total{name=\"reads\",result=\"error\"}", "apiserver_authorization_decisions_total{decision=\"denied\",name=\"reads\",type=\"Webhook\"}",
        "apiserver_authorization_match_condition_exclusions_total{name=\"reads\",type=\"Webhook\"}", "apiserver_authorization_match_condition_evaluation_errors_total{name=\"reads\",type=\"Webhook\"}", "apiserver_authorization_match_condition_evaluation_seconds_count{name=\"reads\",type=\"Webhook\"}"] {
        assert!(counted.contains(line), "{line}");
    }

    let both = ApiServer::refuses(folder.path(), &[&flag, "--authorization-mode=RBAC"]);
    assert!(both.contains("--authorization-config can not be specified when"), "{both}");
    let none = ApiServer::refuses(folder.path(), &["--authorization-mode=Webhook"]);
    assert!(none.contains("authorization-mode Webhook's authorization config file not passed"), "{none}");
    let old = ApiServer::refuses(folder.path(), &["--authorization-mode=ABAC"]);
    assert!(old.contains("ABAC is not served: write its rules as roles"), "{old}");
}

#[test]
fn tokens_of_service_accounts_are_issued_as_configured() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |file: &str| folder.path().join(file).display().to_string();
    let openssl = |words: &str| run(Command::new("openssl").args(words.split(' ')), "").ok();
    let Some(mut server) = ApiServer::start(folder.path(), &[]) else { return };
    let unpack = |token: &str| -> Value {
        let part = token.split('.').nth(1).expect("a token has three parts");
        serde_json::from_slice(&base64::Engine::decode(&BASE64, part).expect("base64")).expect("JSON")
    };
    let admin = [("--cert", server.pki("admin.crt")), ("--key", server.pki("admin.key"))];
    let admin: Vec<&str> = admin.iter().flat_map(|(flag, file)| [*flag, file.as_str()]).collect();
    let ask = |server: &ApiServer, metadata: Value, spec: Value| {
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": metadata, "spec": spec});
        server.post("/api/v1/namespaces/default/serviceaccounts/eva/token", &admin, &request)
    };
    server.kubectl("create serviceaccount eva").ok();
    server.kubectl_with("create -f -", &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}).to_string()).ok();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"serviceAccountName": "eva", "nodeName": "one", "containers": [{"name": "c", "image": "i"}]}});
    server.kubectl_with("create -f -", &pod.to_string()).ok();
    // A pod's token holds for a year, though it says an hour, and tells where the pod runs.
    let of_pod = json!({"expirationSeconds": 3607, "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}});
    let (code, issued) = ask(&server, json!({}), of_pod.clone());
    assert_eq!((code, &issued["spec"]["expirationSeconds"], &issued["metadata"]["name"]), (201, &json!(3607), &json!("eva")), "{issued}");
    let token = issued["status"]["token"].as_str().expect("a token").to_owned();
    let claims = unpack(&token);
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    assert_eq!(number(&claims["exp"]) - number(&claims["iat"]), 31_536_000);
    assert_eq!(number(&claims["kubernetes.io"]["warnafter"]) - number(&claims["iat"]), 3607);
    let uid = |what: &str| server.kubectl(&format!("get {what} -o jsonpath={{.metadata.uid}}")).ok();
    assert_eq!(claims["kubernetes.io"]["node"], json!({"name": "one", "uid": uid("node/one")}));
    let (_, who) = server.who(&token);
    let extra = |key: &str| who["extra"][format!("authentication.kubernetes.io/{key}")][0].as_str().unwrap_or_default().to_owned();
    assert_eq!([extra("pod-name"), extra("pod-uid"), extra("node-name"), extra("node-uid")], ["p".into(), uid("pod/p"), "one".into(), uid("node/one")]);
    assert_eq!(extra("credential-id"), format!("JTI={}", claims["jti"].as_str().unwrap_or_default()));
    // What is refused.
    let why = |answer: (u16, Value)| (answer.0, answer.1["message"].as_str().unwrap_or_default().to_owned());
    assert_eq!(why(ask(&server, json!({}), json!({"expirationSeconds": 60}))), (422, "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes".into()));
    assert!(why(ask(&server, json!({}), json!({"expirationSeconds": 1i64 << 33}))).1.ends_with("may not specify a duration larger than 2^32 seconds"));
    assert!(why(ask(&server, json!({"name": "adam"}), json!({}))).1.ends_with("metadata.name: Invalid value: \"adam\": must match the service account name if specified"));
    assert_eq!(ask(&server, json!({"uid": "another"}), json!({})).0, 409);
    assert_eq!(why(ask(&server, json!({}), json!({"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}}))), (400, "cannot bind token to object of type /v1, Kind=ConfigMap".into()));
    for spec in [json!("text"), json!([1]), json!({"audiences": 7})] {
        assert_eq!(ask(&server, json!({}), spec).0, 400);
    }
    // A node's token ends with the node, a pod's does not.
    let (_, of_node) = ask(&server, json!({}), json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Node", "name": "one"}}));
    let of_node = of_node["status"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(server.who(&of_node).0, 201);
    server.kubectl("delete node one").ok();
    assert_eq!((server.who(&of_node).0, server.who(&token).0), (401, 201));
    // Keys and issuers that the configuration names; what was issued before still counts.
    for (curve, file) in [("prime256v1", "new.pem"), ("secp384r1", "other.pem")] {
        openssl(&format!("ecparam -name {curve} -genkey -noout -out {}", at(file)));
    }
    openssl(&format!("genrsa -traditional -out {} 2048", at("rsa.pem")));
    openssl(&format!("ec -in {} -pubout -out {}", at("other.pem"), at("other.pub")));
    let key = |file: &str| format!("--service-account-key-file={}", at(file));
    let flags = [
        format!("--service-account-signing-key-file={}", at("rsa.pem")), key("other.pub"), key("new.pem"), key("data/pki/sa.key"),
        "--service-account-issuer=https://issuer.example".into(), "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        "--api-audiences=api,https://kubernetes.default.svc.cluster.local".into(), "--service-account-jwks-uri=https://issuer.example/keys".into(),
        "--service-account-max-token-expiration=2h".into(), "--service-account-extend-token-expiration=false".into(),
    ];
    server.restart(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(server.who(&token).0, 201);
    let short = server.kubectl("create token eva --duration=5h");
    assert!(short.err.contains("requested expiration of 18000 seconds shortened to 7200 seconds"), "{}", short.err);
    let claims = unpack(short.ok().trim());
    assert_eq!((&claims["iss"], &claims["aud"], number(&claims["exp"]) - number(&claims["iat"])), (&json!("https://issuer.example"), &json!(["api", "https://kubernetes.default.svc.cluster.local"]), 7200));
    assert_eq!(server.who(server.kubectl("create token eva").ok().trim()).0, 201);
    assert_eq!(server.who(server.kubectl("create token eva --audience=vault").ok().trim()).0, 401);
    let (_, strict) = ask(&server, json!({}), of_pod);
    assert!(unpack(strict["status"]["token"].as_str().expect("a token"))["kubernetes.io"].get("warnafter").is_none());
    let document: Value = serde_json::from_str(&server.kubectl("get --raw /.well-known/openid-configuration").ok()).expect("JSON");
    assert_eq!((&document["issuer"], &document["jwks_uri"], &document["id_token_signing_alg_values_supported"]), (&json!("https://issuer.example"), &json!("https://issuer.example/keys"), &json!(["ES256", "ES384", "RS256"])));
    let keys: Value = serde_json::from_str(&server.kubectl("get --raw /openid/v1/jwks").ok()).expect("JSON");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(4));
    // What no server begins with.
    for (flag, why) in [
        ("--service-account-max-token-expiration=5m", "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds"),
        ("--service-account-jwks-uri=http://a", "service-account-jwks-uri requires https scheme, parsed as: http://a"),
        (&key("data/pki/ca.srl"), "ca.srl"),
    ] {
        let told = ApiServer::refuses(folder.path(), &[flag]);
        assert!(told.contains(why), "{told}");
    }
}
