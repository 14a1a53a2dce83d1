//! Custom resources: what a CustomResourceDefinition makes of them, as plain values and functions.
//!
//! A definition becomes the same [`crate::Resource`] that built-in kinds are, with its run-time rules in [`Custom`]. Nothing
//! here does IO: conversion by webhook, the table of definitions and its steward are the API server's.

mod columns;
pub mod definition;
mod embedded;
mod expressions;
mod field_path;
mod formats;
pub mod jsonpath;
pub mod kind;
mod lists;
mod node;
mod prune;
pub mod rules;
mod scale;
pub mod status;
mod values;
mod warnings;

pub use definition::resources;
pub use kind::Custom;
pub use scale::Scale;
pub use warnings::{of_definition as definition_warnings, warnings};
