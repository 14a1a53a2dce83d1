//! One invocation: its flags, and what it needs made when first asked for: kubeconfig, client, what the server serves.
//!
//! Never asks the server unless a command does.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;

use serde_json::Value;

use crate::client::Api;
use crate::discovery::{self, Resource, Served};
use crate::failure::{Failure, Outcome};
use crate::flags::Flags;
use crate::kubeconfig::Kubeconfig;
use crate::kuberc::PluginPolicy;

pub struct Call {
    pub flags: Flags,
    /// `kubectl get`
    pub path: String,
    config: RefCell<Option<Rc<Kubeconfig>>>,
    api: RefCell<Option<Rc<Api>>>,
    served: RefCell<Option<Rc<Served>>>,
    pub openapi: RefCell<std::collections::HashMap<String, Rc<Value>>>,
    pub failed: Cell<bool>,
    warned: RefCell<std::collections::HashSet<String>>,
    plugins: PluginPolicy,
}

/// Where a command works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub name: String,
    /// Named by a flag, not by the context.
    pub explicit: bool,
}

impl Call {
    pub fn new(flags: Flags, path: String) -> Self {
        Self { flags, path, config: RefCell::default(), api: RefCell::default(), served: RefCell::default(), openapi: RefCell::default(), failed: Cell::new(false), warned: RefCell::default(), plugins: PluginPolicy::default() }
    }

    /// The same; only the given credential plugins may run.
    pub fn with_plugins(self, plugins: PluginPolicy) -> Self {
        Self { plugins, ..self }
    }

    pub fn args(&self) -> &[String] {
        &self.flags.args
    }

    pub fn config(&self) -> Outcome<Rc<Kubeconfig>> {
        if let Some(config) = self.config.borrow().as_ref() {
            return Ok(config.clone());
        }
        let config = Rc::new(Kubeconfig::load(self.flags.text("kubeconfig"))?);
        *self.config.borrow_mut() = Some(config.clone());
        Ok(config)
    }

    pub fn namespace(&self) -> Outcome<Namespace> {
        if !self.flags.text("namespace").is_empty() {
            return Ok(Namespace { name: self.flags.text("namespace").to_owned(), explicit: true });
        }
        let config = self.config()?;
        let name = config.namespace(self.flags.text("context"))?;
        Ok(Namespace { name, explicit: false })
    }

    pub async fn api(&self) -> Outcome<Rc<Api>> {
        if let Some(api) = self.api.borrow().as_ref() {
            return Ok(api.clone());
        }
        let config = self.config()?;
        let api = Rc::new(Api::connect(&config, &self.flags, &self.plugins).await?);
        *self.api.borrow_mut() = Some(api.clone());
        Ok(api)
    }

    /// Fails where the server warned and that is not to pass. Upstream: when all is done.
    pub fn check_warnings(&self) -> Outcome {
        let warnings = self.api.borrow().as_ref().map_or(0, |api| api.warnings());
        match warnings {
            0 => Ok(()),
            _ if !self.flags.yes("warnings-as-errors") => Ok(()),
            1 => Err(Failure::Text("1 warning received".into())),
            count => Err(Failure::Text(format!("{count} warnings received"))),
        }
    }

    /// What the server serves, as remembered or as it says.
    pub async fn served(&self) -> Outcome<Rc<Served>> {
        if let Some(served) = self.served.borrow().as_ref() {
            return Ok(served.clone());
        }
        let api = self.api().await?;
        let served = Rc::new(discovery::load(&api, self.flags.text("cache-dir"), false).await?);
        *self.served.borrow_mut() = Some(served.clone());
        Ok(served)
    }

    /// The same, asked anew.
    pub async fn served_now(&self) -> Outcome<Rc<Served>> {
        let api = self.api().await?;
        let served = Rc::new(discovery::load(&api, self.flags.text("cache-dir"), true).await?);
        *self.served.borrow_mut() = Some(served.clone());
        Ok(served)
    }

    /// The resource that an argument names: `po`, `deployments.apps`, `deploy.v1.apps`, `Pod`.
    pub async fn resource(&self, word: &str) -> Outcome<Rc<Resource>> {
        let served = self.served().await?;
        if let Some(found) = served.resource(word) {
            for other in served.others_of_short_name(word, &found) {
                if self.warned.borrow_mut().insert(other.qualified()) {
                    err(&format!("Warning: short name {word:?} could also match lower priority resource {}\n", other.qualified()));
                }
            }
            return Ok(found);
        }
        match self.served_now().await?.resource(word) {
            Some(found) => Ok(found),
            None => Err(Failure::Text(match word.split_once('.') {
                Some((name, group)) => format!("the server doesn't have a resource type {name:?} in group {group:?}"),
                None => format!("the server doesn't have a resource type {word:?}"),
            })),
        }
    }

    /// The resource of an object's apiVersion and kind.
    pub async fn resource_of_kind(&self, api_version: &str, kind: &str) -> Outcome<Option<Rc<Resource>>> {
        if let Some(found) = self.served().await?.of_kind(api_version, kind) {
            return Ok(Some(found));
        }
        Ok(self.served_now().await?.of_kind(api_version, kind))
    }

    /// `error: ...` with a hint to the command's help after it.
    pub fn usage(&self, why: &str) -> Failure {
        Failure::Text(format!("{why}\nSee '{} -h' for help and examples", self.path))
    }
}

/// Writes to standard output; ends the process quietly once nobody reads any more.
pub fn out(text: &str) {
    write(std::io::stdout().lock(), text);
}

pub fn err(text: &str) {
    write(std::io::stderr().lock(), text);
}

fn write(mut to: impl std::io::Write, text: &str) {
    if to.write_all(text.as_bytes()).and_then(|()| to.flush()).is_err() {
        std::process::exit(1);
    }
}

/// A line of upstream's log: `I`, `W` or `E`, and the place that writes it there.
pub fn log(letter: char, place: &str, text: &str) {
    err(&format!("{letter}{} {:>7} {place}] {text}\n", jiff::Zoned::now().strftime("%m%d %H:%M:%S%.6f"), std::process::id()));
}

#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::call::out(&format!("{}\n", format_args!($($arg)*))) };
}

#[macro_export]
macro_rules! complain {
    ($($arg:tt)*) => { $crate::call::err(&format!("{}\n", format_args!($($arg)*))) };
}

/// Writes bytes as they are.
pub fn out_bytes(bytes: &[u8]) {
    let mut to = std::io::stdout().lock();
    if to.write_all(bytes).and_then(|()| to.flush()).is_err() {
        std::process::exit(1);
    }
}
