//! Lists, maps and objects: borrowed JSON or built by expressions, behind one face.

mod list;
mod map;
mod object;

pub use list::List;
pub(crate) use map::Built;
pub use map::{Key, Map};
pub use object::{BuiltObject, Object};
