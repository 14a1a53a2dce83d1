//! The pure core of scheduling: what fits where and why not.

pub mod labels;
