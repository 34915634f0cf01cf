//! Suites of models and the runtimes they run on, for the tests of every room.
//!
//! A suite yields models with inputs: the samples of every operator, random graphs, real files. A test takes a suite
//! and two ways to run it, and says how far they may differ.

mod files;
mod random_graph;
mod sample_model;
mod varied;

pub use files::{corpus, onnx_files, zoo};
pub use random_graph::random_graph;
pub use sample_model::{Case, sample_cases};
pub use varied::varied_cases;
