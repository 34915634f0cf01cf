//! Names of variables and attributes: those of the graph, as far as Python can say them.

use std::collections::HashSet;

/// Words of Python's grammar.
const KEYWORDS: &str = "True False None and as assert async await break class continue def del elif else except finally for \
    from global if import in is lambda nonlocal not or pass raise return try while with yield";

/// What a variable may not be called.
const TAKEN: &str = "self torch ops inf nan infj nanj CONSTANTS annotate uninitialized unchecked_cast fork getattr \
    hasattr int float bool str len range min max abs print Tensor List Dict Tuple Optional \
    device dtype number Any Future RRef Generator Stream Storage Scalar round sorted enumerate zip \
    isinstance tuple list dict reversed complex ord chr hex oct bin divmod sum all any id Final \
    Module training";

/// Names given so far.
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn new() -> Names {
        Names(KEYWORDS.split_whitespace().chain(TAKEN.split_whitespace()).map(str::to_owned).collect())
    }

    /// A name like `wanted` that nothing has yet.
    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        let base = ident(wanted);
        let mut name = base.clone();
        let mut count = 1usize;
        while !self.0.insert(name.clone()) {
            name = format!("{base}_{count}");
            count = count.saturating_add(1);
        }
        name
    }
}

/// Whether Python's grammar keeps `name` for itself.
pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.split_whitespace().any(|k| k == name)
}

/// The nearest name of Python: other characters become `_`, and a number gets a letter before it.
pub(super) fn ident(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let text = name.chars().map(plain).collect::<String>();
    let text = text.trim_matches('_');
    match text.chars().next() {
        None => "v".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("v{text}"),
        Some(_) => text.to_owned(),
    }
}

/// The parts of the name of a weight: modules, and the attribute in the last. `layer.0.weight` keeps its number.
pub(super) fn path(name: &str) -> Vec<String> {
    let part = |p: &str| match !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()) {
        true => p.to_owned(),
        false => ident(p),
    };
    let mut parts = name.split('.').filter(|p| !p.is_empty()).map(part).collect::<Vec<_>>();
    if let Some(last) = parts.last_mut() {
        *last = ident(last);
    }
    match parts.is_empty() {
        true => vec!["constant".to_owned()],
        false => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_python_and_given_once() {
        let mut names = Names::new();
        let given = ["/a/b.0/MatMul_output_0", "12", "", "if", "x", "x", "onnx::Add_3"].map(|n| names.fresh(n));
        assert_eq!(given, ["a_b_0_MatMul_output_0", "v12", "v", "if_1", "x", "x_1", "onnx__Add_3"]);
        assert_eq!(path("layer.0.conv-1.weight"), ["layer", "0", "conv_1", "weight"]);
        assert_eq!(path("layer.0"), ["layer", "v0"]);
        assert_eq!(path("."), ["constant"]);
    }
}
