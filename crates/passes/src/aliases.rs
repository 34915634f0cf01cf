//! Names of passes that users know from onnxoptimizer, and what stands for them here.
//!
//! The list is that of onnxoptimizer 0.4.2 (`get_available_passes`) with the one that onnxsim adds. It drives `--passes`,
//! `--skip`, `modelsmith passes` and `docs/simplifier.md`.

/// A name from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// Passes and rules of this program that do the same, or more.
    pub stands_for: &'static [&'static str],
    /// Why nothing stands for it; empty where something does.
    pub why_not: &'static str,
}

const fn alias(name: &'static str, stands_for: &'static [&'static str]) -> Alias {
    Alias { name, stands_for, why_not: "" }
}

const fn nothing(name: &'static str, why_not: &'static str) -> Alias {
    Alias { name, stands_for: &[], why_not }
}

/// Every name, by what it does.
pub static ALIASES: &[Alias] = &[
    alias("eliminate_common_subexpression", &["merge-duplicates"]),
    alias("eliminate_consecutive_idempotent_ops", &["relu-relu", "abs-abs", "ceil-ceil", "floor-floor", "round-round"]),
    alias("eliminate_deadend", &["remove-dead"]),
    alias("eliminate_duplicate_initializer", &["merge-duplicates"]),
    alias("eliminate_identity", &["identity"]),
    alias("eliminate_if_with_const_cond", &["inline-branches"]),
    alias("eliminate_nop_cast", &["cast-same"]),
    alias("eliminate_nop_concat", &["single-operand"]),
    alias("eliminate_nop_dropout", &["dropout"]),
    alias("eliminate_nop_expand", &["same-shape"]),
    alias("eliminate_nop_flatten", &["same-shape"]),
    alias("eliminate_nop_pad", &["pad-nothing"]),
    alias("eliminate_nop_reshape", &["same-shape"]),
    alias("eliminate_nop_split", &["split-nothing"]),
    alias("eliminate_nop_transpose", &["transpose-nothing"]),
    alias("eliminate_nop_with_unit", &["mul-one", "div-one", "add-zero", "sub-zero", "pow-one"]),
    alias("eliminate_shape_gather", &["fold-constants"]),
    alias("eliminate_shape_op", &["fold-constants"]),
    alias("eliminate_slice_after_shape", &["fold-constants"]),
    alias("eliminate_unused_initializer", &["remove-dead"]),
    alias("extract_constant_to_initializer", &["lift-constants"]),
    alias("fuse_add_bias_into_conv", &["conv-shift"]),
    alias("fuse_bn_into_conv", &["batch-norm"]),
    alias("fuse_concat_into_reshape", &["constant-shape"]),
    alias("fuse_consecutive_concats", &["concat-concat"]),
    alias("fuse_consecutive_log_softmax", &["log-softmax"]),
    alias("fuse_consecutive_reduce_unsqueeze", &["reduce-unsqueeze"]),
    alias("fuse_consecutive_slices", &["slice-slice"]),
    alias("fuse_consecutive_squeeze_unsqueeze", &["reshape-chain"]),
    alias("fuse_consecutive_squeezes", &["reshape-chain"]),
    alias("fuse_consecutive_transposes", &["transpose-pair"]),
    alias("fuse_consecutive_unsqueezes", &["reshape-chain"]),
    alias("fuse_matmul_add_bias_into_gemm", &["matmul-shift"]),
    alias("fuse_pad_into_conv", &["conv-pad"]),
    alias("fuse_pad_into_pool", &["conv-pad"]),
    alias("fuse_transpose_into_gemm", &["gemm-transpose"]),
    alias("rewrite_where", &["where-not"]),
    nothing("adjust_add", "reading a file of an old opset does it"),
    nothing("adjust_slice_and_matmul", "it moves a Slice behind a product, which saves no node and costs time"),
    nothing("eliminate_nop_monotone_argmax", "rounding makes ties of values that differ, and the index may change"),
    nothing("fuse_qkv", "joined weights would be copied, which saves one node of three"),
    nothing("lift_lexical_references", "bodies keep the values that they capture"),
    nothing("nop", "it does nothing there either"),
    nothing("rename_input_output", "inputs and outputs keep their names"),
    nothing("replace_einsum_with_matmul", "Einsum says the same in one node"),
    nothing("rewrite_input_dtype", "inputs keep their types"),
    nothing("set_unique_name_for_nodes", "nodes keep their names"),
    nothing("split_init", "a model is not cut in two"),
    nothing("split_predict", "a model is not cut in two"),
];

/// `names` with each alias replaced by what stands for it, and a sentence for each for which nothing does.
pub fn resolve(names: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    for name in names {
        match ALIASES.iter().find(|a| a.name == name) {
            None => out.push(name.clone()),
            Some(a) if a.stands_for.is_empty() => notes.push(format!("{name} does nothing here: {}", a.why_not)),
            Some(a) => out.extend(a.stands_for.iter().map(|s| (*s).to_owned())),
        }
    }
    (out, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::SIMPLIFY;

    #[test]
    fn every_alias_stands_for_something_that_simplify_runs_or_says_why_not() {
        let passes = SIMPLIFY.passes();
        let known = |n: &str| passes.iter().any(|p| p.name == n || p.all_rules().any(|r| r.name == n));
        for a in ALIASES {
            assert!(a.stands_for.iter().all(|s| known(s)), "{}: {:?}", a.name, a.stands_for);
            assert_eq!(a.stands_for.is_empty(), !a.why_not.is_empty(), "{}", a.name);
            assert!(!known(a.name), "{} is a name of this program", a.name);
        }
        let mut names = ALIASES.iter().map(|a| a.name).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALIASES.len());
    }

    #[test]
    fn the_page_shows_the_table() {
        let page = include_str!("../../../docs/simplifier.md");
        for a in ALIASES {
            let names = a.stands_for.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ");
            let stands = if names.is_empty() { format!("nothing: {}", a.why_not) } else { names };
            let row = format!("| `{}` | {stands} |", a.name);
            assert!(page.lines().any(|l| l == row), "docs/simplifier.md lacks this row: {row}");
        }
    }

    #[test]
    fn aliases_resolve_and_other_names_stay() {
        let given = ["fuse_bn_into_conv", "nop", "remove-dead"].map(String::from);
        let (names, notes) = resolve(&given);
        assert_eq!(names, ["batch-norm", "remove-dead"]);
        assert_eq!(notes, ["nop does nothing here: it does nothing there either"]);
    }
}
