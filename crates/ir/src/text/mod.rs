//! The text syntax of models: the language of tests, docs, rules and `inspect --dump`.
//!
//! ```text
//! // A comment runs to the end of the line.
//! stage hub                                  // hub (default), foreign, legal("tflite")
//! meta {ir_version = 8, opset "" = 17, producer = "me", prop "key" = "value"}
//!
//! function local.Twice {gain = 1.0, bias} opset "" = 17 graph(%a) {
//!   %b = Add(%a, %a)
//!   return %b
//! }
//!
//! graph main_graph(%x: f32[n, 3], %c: bool[]) {
//!   weight %w = f32[3, 2] [1, 2, 3, 4, 5, 6]
//!   expose %w                                // the initializer is an input too
//!   %y: f32[n, 2] = MatMul(%x, %w) as "first layer"
//!   %a, _ = Split(%y, _, f32[] 1) {axis = 0, num_outputs = 2}
//!   %z = If(%c) {then_branch = graph() {
//!     %p = Relu(%a)
//!     return %p
//!   }, else_branch = graph() {
//!     return %a
//!   }}
//!   %t = call local.Twice(%z) {gain = 2.0}
//!   %u = com.vendor.Odd@3(%t) {mode = "x"}
//!   return %u
//! }
//! ```
//!
//! * **Values** are `%name`; letters, digits and `_ . / -` are written as they are, other names quoted: `%"a b"`.
//!   `%@3` has no name, `%x@1` is another value of the name `x`. A name is visible after its definition, in its
//!   region and in regions nested there. An absent operand or unnamed result is `_`. A literal may stand for an
//!   operand; it makes an initializer without name.
//! * **Operators** of the hub are written `Conv`, or `domain.Name`; one that the hub does not know carries the opset
//!   version of its domain, `Conv@13` or `"odd domain"."Name"@1`; `call domain.Name` calls a local function
//!   (`call domain.Name:"overload"`).
//! * **Attributes**: `2`, `1.5`, `"s"`, `[1, 2]`, `[1.0]`, `["a"]`, an element type as its number (`to = f16`), a tensor
//!   literal, `type f32[n]`, `types [..]`, `tensors [..]`, `sparse(values, indices, [shape])`, `hex"00ff"` for a string that
//!   is not UTF-8, `@alpha: float` for an attribute of the calling node, `graph(..) {..}` for a body. Empty lists
//!   are `ints []`, `floats []`, `strings []`. An integer is read as a float where the schema wants one.
//! * **Types** are those of [`Type`](crate::Type)'s and [`Dim`](crate::Dim)'s `Display`.
//! * **Literals** are a type of known sizes and elements: `f32[2] [1, 2]`, `f32[] 1`, `f32[64] 0` (all elements), or
//!   `f32[64] hex".."` (little-endian bytes). Floats round-trip; a NaN other than the usual one is `nan(0x7fc00001)`.
//!   Complex numbers are `(re, im)`.
//! * **Lazy weights**: `cast(w, f16)`, `permute(w, [1, 0])`, `reshape(w, [6])`, `slice(w, axis, start, len)`,
//!   `concat(axis, w, ..)`, `eval("Mul()", f32[2], w, ..)`. Bytes of a file are shown as `f32[2] elided "file" 128` and
//!   cannot be read back; [`print_full`] writes them out.
//! * `@{doc = "..", prop "k" = "v", source "node", extra = hex".."}` after a value's type, a node, a region's
//!   parameters or a function's head is its documentation, metadata and ancestry.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod attrs;
mod lex;
mod literal;
#[allow(clippy::indexing_slicing, reason = "it indexes arenas only, by ids that it made")]
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod types;

pub use attrs::parse_attr;
pub use lex::{Lexer, Token};
pub use literal::parse_literal;
pub use parse::{parse, parse_op};
pub use print::{print, print_full, print_op};
pub use types::{parse_dim, parse_type};

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TextError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// What the parser's functions return.
pub type TextResult<T> = Result<T, TextError>;

/// True when `name` needs no quotes after `%`.
fn plain_value_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(lex::in_value_name)
}

/// True when `name` is one identifier of the syntax.
fn plain_ident(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(lex::starts_ident) && chars.all(lex::in_ident) && name != "_"
}
