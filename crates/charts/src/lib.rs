//! Helm's charts: loading and saving, values, dependencies, what templates gave, and the records of releases.
//!
//! Knows no cluster and opens no connection; the only files it reads are those of the chart it is told to load. Archives, values and
//! records are taken as hostile: all is bounded.

pub mod archive;
pub mod chart;
pub mod coalesce;
pub mod dependencies;
pub mod glob;
pub mod ignore;
pub mod load;
pub mod manifest;
pub mod notice;
pub mod record;
pub mod release;
pub mod render;
pub mod save;
pub mod schema;
pub mod set;
pub mod values;
pub mod version;

pub use chart::{Chart, File, Metadata};
pub use load::{LoadError, load, load_archive, load_files};
pub use release::{Hook, Release, Status};
pub use render::{RenderError, RenderInput, render};
