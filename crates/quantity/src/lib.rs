//! Kubernetes resource quantities (`500m`, `1.5Gi`, `12e6`): exact decimal arithmetic and upstream's canonical text.
//!
//! Never touches floating point and never loses precision above one nano; values finer than that round away from zero, as
//! upstream does. Invariant: a `Quantity` is `mantissa * 10^exponent` with no trailing zero in the mantissa, so equal values
//! are equal structurally (the remembered format aside).

mod arithmetic;
mod parse;
mod print;

pub use arithmetic::Quantity;
pub use parse::{ParseError, canonical};

/// The family of suffixes a quantity was written with and is printed with again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi`
    BinarySi,
    /// `12M`
    #[default]
    DecimalSi,
}
