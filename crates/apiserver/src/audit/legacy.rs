//! Events as lines of text, as `--audit-log-format=legacy` has them.
//!
//! Upstream: apiserver `pkg/audit/format.go`.

use serde_json::Value;

pub fn line(event: &Value) -> String {
    let text = |value: &Value, none: &str| value.as_str().filter(|t| !t.is_empty()).unwrap_or(none).to_owned();
    let (user, other) = (&event["user"], &event["impersonatedUser"]);
    let response = event["responseStatus"]["code"].as_u64().map_or_else(|| "<deferred>".to_owned(), |code| code.to_string());
    let groups = Some(quoted(&user["groups"])).filter(|g| !g.is_empty()).unwrap_or_else(|| "<none>".into());
    let (acting, acting_groups) = if other.is_object() { (text(&other["username"], ""), quoted(&other["groups"])) } else { ("<self>".into(), "<lookup>".into()) };
    format!(
        "{} AUDIT: id={:?} stage={:?} ip={:?} method={:?} user={:?} groups={groups:?} as={acting:?} asgroups={acting_groups:?} user-agent={:?} namespace={:?} uri={:?} response=\"{response}\"",
        text(&event["requestReceivedTimestamp"], ""), text(&event["auditID"], ""), text(&event["stage"], ""), text(&event["sourceIPs"][0], "<unknown>"), text(&event["verb"], ""),
        text(&user["username"], "<none>"), text(&event["userAgent"], ""), text(&event["objectRef"]["namespace"], "<none>"), text(&event["requestURI"], ""),
    )
}

fn quoted(list: &Value) -> String {
    let words: Vec<String> = list.as_array().into_iter().flatten().filter_map(Value::as_str).map(|word| format!("{word:?}")).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_tells_who_did_what() {
        let event = serde_json::json!({"requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "auditID": "a", "stage": "ResponseComplete", "sourceIPs": ["10.0.0.1"], "verb": "get",
            "user": {"username": "eva", "groups": ["x", "y"]}, "userAgent": "curl", "requestURI": "/api", "responseStatus": {"code": 200}});
        let wanted = concat!(
            "2026-01-01T00:00:00.000001Z AUDIT: id=\"a\" stage=\"ResponseComplete\" ip=\"10.0.0.1\" method=\"get\" user=\"eva\" groups=\"\\\"x\\\",\\\"y\\\"\" as=\"<self>\" ",
            "asgroups=\"<lookup>\" user-agent=\"curl\" namespace=\"<none>\" uri=\"/api\" response=\"200\"",
        );
        assert_eq!(super::line(&event), wanted);
    }
}
