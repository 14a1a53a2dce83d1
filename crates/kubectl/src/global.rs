//! Flags that every command takes, and the groups that many commands share.

use crate::flags::{Flag, array, int, slice, text, yes_no};

pub const FLAGS: &[Flag] = &[
    text("kubeconfig", "", "Path to the kubeconfig file to use."),
    text("context", "", "The name of the kubeconfig context to use."),
    text("cluster", "", "The name of the kubeconfig cluster to use."),
    text("user", "", "The name of the kubeconfig user to use."),
    text("namespace", "", "The namespace of this request.").short('n'),
    text("server", "", "The address and port of the API server.").short('s'),
    text("token", "", "Bearer token that identifies the user to the API server."),
    text("username", "", "Name for basic authentication."),
    text("password", "", "Password for basic authentication."),
    text("as", "", "User to impersonate, also a service account's full name."),
    array("as-group", "Group to impersonate; may be given several times."),
    text("as-uid", "", "UID to impersonate."),
    array("as-user-extra", "Extra facts of the impersonated user, key=value."),
    text("certificate-authority", "", "Path to the certificate of the API server's authority."),
    text("client-certificate", "", "Path to a client certificate."),
    text("client-key", "", "Path to the key of the client certificate."),
    text("tls-server-name", "", "Name to expect in the server's certificate instead of the one it is called by."),
    yes_no("insecure-skip-tls-verify", "Take any server certificate. The connection is not safe then."),
    yes_no("disable-compression", "Ask for responses as they are."),
    text("request-timeout", "0", "How long a single request may take (1s, 2m, 3h); zero is no limit."),
    text("cache-dir", "", "Where what servers offer is remembered; $HOME/.kube/cache unless said."),
    text("kuberc", "", "Path to a file of preferences."),
    yes_no("match-server-version", "Refuse servers of another version."),
    yes_no("warnings-as-errors", "Fail when the server sends warnings."),
    text("profile", "none", "Kind of profile to write; taken for compatibility, nothing is written."),
    text("profile-output", "profile.pprof", "File that a profile would be written to."),
    text("v", "0", "How much to log.").short('v'),
    text("vmodule", "", "How much to log by file; taken for compatibility."),
    text("log-flush-frequency", "5s", "How often logs are flushed; taken for compatibility."),
];

pub const PRINT: &[Flag] = &[
    text("output", "", "How to show the result: json, yaml, kyaml, name, go-template, go-template-file, template, templatefile, jsonpath, jsonpath-as-json, jsonpath-file.").short('o'),
    text("template", "", "Template text or file, for -o go-template and go-template-file."),
    yes_no("allow-missing-template-keys", "Let a template go on where a field or key is missing.").default("true"),
    yes_no("show-managed-fields", "Keep metadata.managedFields in JSON and YAML."),
];

pub const FILES: &[Flag] = &[
    slice("filename", "Files, folders or addresses that hold the objects; - is standard input.").short('f'),
    text("kustomize", "", "Folder of a kustomization; not together with -f or -R.").short('k'),
    yes_no("recursive", "Look into folders below those of -f.").short('R'),
];

pub const DRY_RUN: Flag = text("dry-run", "none", "none, server or client: with client only show what would be sent, with server have it checked but not kept.").bare("unchanged");
pub const SELECTOR: Flag = text("selector", "", "Label query: =, ==, !=, in, notin, key, !key; joined by commas.").short('l');
pub const FIELD_SELECTOR: Flag = text("field-selector", "", "Field query: =, ==, != on the fields that the server offers.");
pub const CHUNK: Flag = int("chunk-size", "500", "Ask for long lists in pieces of this size; 0 asks for all at once.");
pub const ALL_NAMESPACES: Flag = yes_no("all-namespaces", "Look into every namespace, whatever the context says.").short('A');
pub const VALIDATE: Flag = text("validate", "strict", "strict (or true), warn, ignore (or false): what to do about unknown and repeated fields.").bare("strict");
pub const SAVE_CONFIG: Flag = yes_no("save-config", "Keep what was sent in the object's annotation, for a later apply.");
pub const RECORD: Flag = yes_no("record", "Keep the command line in the object's annotation kubernetes.io/change-cause.").deprecated("--record will be removed in the future");
pub const LOCAL: Flag = yes_no("local", "Do not ask the server; work on the given files only.");

pub const fn field_manager(default: &'static str) -> Flag {
    text("field-manager", default, "Name under which changed fields are tracked.")
}
