//! The page that shows a report: one file, nothing loaded from elsewhere. It is made from the JSON document alone, and
//! every figure in it says by a JSON pointer where it stands there.

mod figures;
mod page;
mod plots;
mod style;

pub use page::html;
pub use plots::Plots;
