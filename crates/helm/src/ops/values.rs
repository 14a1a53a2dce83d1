//! Values brought together for a release, with what is worth saying of them on standard error.

use charts::Chart;
use charts::notice::Notice;
use charts::values::Table;

/// Settles which charts below take part; see [`charts::dependencies::process`].
pub fn settle(chart: &mut Chart, values: &Table) -> Result<(), String> {
    said(|notices| charts::dependencies::process(chart, values, notices))
}

/// See [`charts::coalesce::coalesce`].
pub fn coalesce(chart: &Chart, values: &Table) -> Result<Table, String> {
    said(|notices| charts::coalesce::coalesce(chart, values, notices))
}

/// Lays `under` below `values`; see [`charts::coalesce::coalesce_tables`].
pub fn fill(values: &mut Table, under: &Table) -> Result<(), String> {
    said(|notices| charts::coalesce::coalesce_tables(values, under, notices))
}

fn said<T>(work: impl FnOnce(&mut Vec<Notice>) -> Result<T, String>) -> Result<T, String> {
    let mut notices = Vec::new();
    let result = work(&mut notices);
    notices.iter().for_each(|notice| eprintln!("{notice}"));
    result
}
