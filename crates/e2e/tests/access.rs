//! Who may ask: identities from elsewhere, shown to API servers of the tests' own.

use e2e::{ApiServer, Issuer, Signer, in_seconds};
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
    server.restart(&["--anonymous-auth=false"]);
    assert_eq!((bare(&server, "/readyz"), bare(&server, "/api/v1/pods")), (401, 401));
}
