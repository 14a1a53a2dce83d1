//! The functions of the language and of Kubernetes' libraries, a file each.

mod convert;
mod jsonpatch;
mod lists;
mod operators;
mod optional;
mod regex;
mod sets;
mod strings;
mod text_format;
mod times;

pub(crate) mod authz;
pub(crate) mod cidr;
pub(crate) mod format;
pub(crate) mod go_regex;
pub(crate) mod quantity;
pub(crate) mod semver;
pub(crate) mod url;

use crate::functions::Table;

pub(crate) fn add_all(table: &mut Table) {
    operators::add(table);
    convert::add(table);
    times::add(table);
    optional::add(table);
    strings::add(table);
    lists::add(table);
    sets::add(table);
    regex::add(table);
    url::add(table);
    quantity::add(table);
    cidr::add(table);
    format::add(table);
    semver::add(table);
    jsonpatch::add(table);
    authz::add(table);
}

pub(crate) use regex::run as match_regex;
