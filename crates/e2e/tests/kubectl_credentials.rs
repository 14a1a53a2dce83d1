//! How kubectl comes by its credentials and to its server, by upstream's program and by knarr's: identity providers, plugins, proxies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use e2e::{Cluster, Ran, run};
use serde_json::{Value, json};

/// A kubeconfig of a test's own, for each of the two programs in turn.
struct Kubeconfig {
    folder: tempfile::TempDir,
    cluster: Value,
}

impl Kubeconfig {
    fn of(cluster: &Cluster) -> Self {
        let config = cluster.object("config view --raw");
        Self { folder: tempfile::tempdir().expect("a folder"), cluster: config["clusters"][0]["cluster"].clone() }
    }

    fn write(&self, cluster: Value, user: Value) -> PathBuf {
        let mut whole = self.cluster.clone();
        whole.as_object_mut().expect("a cluster").extend(cluster.as_object().expect("fields").clone());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": whole}], "users": [{"name": "u", "user": user}],
        });
        let file = self.folder.path().join("kubeconfig");
        std::fs::write(&file, config.to_string()).expect("the kubeconfig is written");
        file
    }

    fn run(&self, program: &[&str], file: &Path, line: &str) -> Ran {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg("--kubeconfig").arg(file).args(line.split_whitespace());
        run(command.env("HOME", self.folder.path()).env_remove("KUBECONFIG"), "")
    }
}

fn programs() -> [Vec<String>; 2] {
    [vec!["kubectl".to_owned()], vec![std::env::var("KNARR_BIN").expect("KNARR_BIN is set"), "kubectl".to_owned()]]
}

fn served(work: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let work = Arc::new(work);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let work = work.clone();
            std::thread::spawn(move || work(client));
        }
    });
    port
}

/// The head of a request, and what of the body came with it.
fn head(client: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    let mut part = [0; 4096];
    while !text.contains("\r\n\r\n") {
        let count = client.read(&mut part)?;
        if count == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    Ok(text)
}

/// A provider that gives out one token for the refresh token it knows, to clients that name themselves in the form.
fn provider(token: String, asked: Arc<Mutex<Vec<String>>>) -> u16 {
    served(move |mut client| {
        let mut request = head(&mut client)?;
        let host = request.lines().find_map(|l| l.to_lowercase().strip_prefix("host: ").map(str::to_owned)).unwrap_or_default();
        let length: usize = request.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse().ok())).unwrap_or(0);
        while request.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len()) < length {
            let mut part = [0; 4096];
            let count = client.read(&mut part)?;
            request.push_str(&String::from_utf8_lossy(&part[..count]));
        }
        let (status, answer) = if request.starts_with("GET /.well-known/openid-configuration") {
            ("200 OK", json!({"token_endpoint": format!("http://{host}/token")}))
        } else {
            asked.lock().expect("the list").push(request.clone());
            let is_known = request.contains("client_id=me") && request.contains("refresh_token=first");
            if is_known { ("200 OK", json!({"access_token": "a", "token_type": "bearer", "id_token": token, "refresh_token": "second"})) } else { ("400 Bad Request", json!({"error": "invalid_grant", "error_description": "who?"})) }
        };
        let answer = answer.to_string();
        write!(client, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len())
    })
}

#[test]
fn tokens_of_providers_are_made_anew_and_kept() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let token = cluster.kubectl("create token default -n default").ok().trim().to_owned();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let port = provider(token.clone(), asked.clone());
    let kubeconfig = Kubeconfig::of(&cluster);
    // Claims that ended in 1970.
    let user = |refresh: &str| json!({"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": format!("http://127.0.0.1:{port}"), "client-id": "me", "id-token": "x.eyJleHAiOjF9.y", "refresh-token": refresh}}});
    for program in programs() {
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        let file = kubeconfig.write(json!({}), user("first"));
        assert_eq!(kubeconfig.run(&program, &file, "auth whoami -o jsonpath={.status.userInfo.username}").ok(), "system:serviceaccount:default:default");
        let kept = kubeconfig.run(&program, &file, "config view --raw -o jsonpath={.users[0].user.auth-provider.config}").ok();
        let kept: Value = serde_json::from_str(&kept).expect("the settings");
        assert_eq!((kept["id-token"].as_str(), kept["refresh-token"].as_str(), kept["client-id"].as_str()), (Some(token.as_str()), Some("second"), Some("me")));
        // The token kept holds: nobody is asked.
        let before = asked.lock().expect("the list").len();
        kubeconfig.run(&program, &file, "auth whoami").ok();
        assert_eq!(asked.lock().expect("the list").len(), before);
        let file = kubeconfig.write(json!({}), user("unknown"));
        let refused = kubeconfig.run(&program, &file, "get namespaces").fails();
        assert!(refused.ends_with("Unable to connect to the server: failed to refresh token: oauth2: \"invalid_grant\" \"who?\"\n"), "{refused}");
    }
}

#[test]
fn plugins_are_asked_once_and_judged() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let kubeconfig = Kubeconfig::of(&cluster);
    let token = cluster.kubectl("create token default -n default").ok().trim().to_owned();
    let version = "client.authentication.k8s.io/v1";
    let calls = kubeconfig.folder.path().join("calls");
    let plugin = |script: &str| json!({"exec": {"command": "sh", "args": ["-c", script], "env": [{"name": "TOKEN", "value": token}], "apiVersion": version, "interactiveMode": "IfAvailable", "provideClusterInfo": true}});
    let prints = |status: &str| format!("echo x >> {}; test -n \"$KUBERNETES_EXEC_INFO\" && echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{version}\"{status}}}' | sed s/TOKEN/$TOKEN/", calls.display());
    let programs = programs();
    let ours: Vec<&str> = programs[1].iter().map(String::as_str).collect();
    let file = kubeconfig.write(json!({}), plugin(&prints(",\"status\":{\"token\":\"TOKEN\"}")));
    assert_eq!(kubeconfig.run(&ours, &file, "auth whoami -o jsonpath={.status.userInfo.username}").ok(), "system:serviceaccount:default:default");
    assert_eq!(std::fs::read_to_string(&calls).expect("the calls"), "x\n");
    let scripts = [prints(""), prints(",\"status\":{}"), prints(",\"status\":{\"clientKeyData\":\"x\"}"), "exit 7".to_owned(), "true".to_owned(), "echo word".to_owned()];
    let mut users: Vec<Value> = scripts.iter().map(|script| plugin(script)).collect();
    users.push(json!({"exec": {"command": "no-such-plugin", "apiVersion": version, "interactiveMode": "Never", "installHint": "install it"}}));
    users.push(json!({"exec": {"command": "true", "apiVersion": version, "interactiveMode": "Always"}}));
    users.push(json!({"exec": {"command": "true", "apiVersion": "client.authentication.k8s.io/v1alpha1", "interactiveMode": "Never"}}));
    users.push(json!({"exec": {"command": "true", "apiVersion": version}}));
    users.push(json!({"exec": {"command": "true", "apiVersion": version, "interactiveMode": "Never"}, "auth-provider": {"name": "oidc"}}));
    users.push(json!({"auth-provider": {"name": "gcp"}}));
    users.push(json!({"auth-provider": {"name": "none"}}));
    users.push(json!({"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "http://127.0.0.1:1"}}}));
    users.push(json!({"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "http://127.0.0.1:1", "client-id": "x"}}}));
    users.push(json!({"token": "x", "username": "y"}));
    users.push(json!({"client-certificate": "/none"}));
    users.push(json!({"tokenFile": "/none"}));
    for user in users {
        let file = kubeconfig.write(json!({}), user.clone());
        let said: Vec<(Option<i32>, String)> = programs
            .iter()
            .map(|program| {
                let program: Vec<&str> = program.iter().map(String::as_str).collect();
                let said = kubeconfig.run(&program, &file, "get namespaces");
                (said.code, without_log(&said.err))
            })
            .collect();
        assert_eq!(said[0], said[1], "{user}");
    }
}

/// What is said at the end, without the log of a client that tries several times.
fn without_log(text: &str) -> String {
    let lines: Vec<&str> = text.lines().skip_while(|line| !["Unable to connect", "error: ", "Error "].iter().any(|start| line.starts_with(start))).collect();
    lines.join("\n")
}

/// Passes bytes between two connections until both have ended.
fn join(client: TcpStream, server: TcpStream) -> std::io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Write)
    });
    let (mut from_server, mut to_client) = (server, client);
    std::io::copy(&mut from_server, &mut to_client)?;
    to_client.shutdown(Shutdown::Write)
}

#[test]
fn servers_are_reached_through_proxies() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let http = served(|mut client| {
        let request = head(&mut client)?;
        let to = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let is_known = request.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz");
        if !is_known {
            return write!(client, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        }
        let server = TcpStream::connect(to)?;
        write!(client, "HTTP/1.1 200 Connection established\r\n\r\n")?;
        join(client, server)
    });
    let socks = served(|mut client| {
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting)?;
        client.read_exact(&mut vec![0; usize::from(greeting[1])])?;
        client.write_all(&[5, 0])?;
        let mut asked = [0; 4];
        client.read_exact(&mut asked)?;
        let mut size = [4];
        if asked[3] == 3 {
            client.read_exact(&mut size)?;
        }
        let mut address = vec![0; usize::from(size[0])];
        client.read_exact(&mut address)?;
        let mut port = [0; 2];
        client.read_exact(&mut port)?;
        let server = TcpStream::connect(("127.0.0.1", u16::from_be_bytes(port)))?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        join(client, server)
    });
    let kubeconfig = Kubeconfig::of(&cluster);
    let user = cluster.object("config view --raw")["users"][0]["user"].clone();
    for program in programs() {
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        for proxy in [format!("http://user:pass@127.0.0.1:{http}"), format!("socks5://127.0.0.1:{socks}")] {
            let file = kubeconfig.write(json!({"proxy-url": proxy}), user.clone());
            assert_eq!(kubeconfig.run(&program, &file, "get namespace default -o name").ok(), "namespace/default\n", "{proxy}");
        }
        for wrong in ["ftp://a", "a:1", "::"] {
            let file = kubeconfig.write(json!({"proxy-url": wrong}), user.clone());
            assert!(kubeconfig.run(&program, &file, "get namespaces").fails().contains("invalid 'proxy-url'"), "{wrong}");
        }
    }
}
