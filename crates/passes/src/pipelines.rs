//! The sequences of passes: `simplify` for files, `prepare` for the planner.

use crate::{
    aliases, constant_defaults, control_flow, crop_kernels, decompose, fix_initializers, fold_constants, fuse_affine,
    hoist_activations, infer_shapes, inline_functions, lift_constants, merge_duplicates, remove_dead, rules,
    simplify_identities, simplify_reshapes, simplify_transposes,
};
use modelsmith_ir::{Model, Type, ValueId};
use modelsmith_ops::infer::without_invented;
use modelsmith_rewrite::{Options, Pass, Pipeline, Preserves, Report, Result, Stage, Target, run};

/// Recognises activations and normalisations that are written out.
pub static RECOGNISE: Pass = Pass {
    name: "recognise",
    doc: "recognises activations and normalisations that are written out in simpler operators",
    preserves: Preserves::Float(256),
    after: &["lift-constants", "fold-constants"],
    rules: &[rules::normalisation::RULES, rules::activation::RULES],
    run: |cx| Ok(Pass::apply(cx, RECOGNISE.rules)),
    ..Pass::BASE
};

/// Recognises attention. The planner leaves it out: its kernels take the two products and the softmax as they are.
pub static RECOGNISE_ATTENTION: Pass = Pass {
    name: "recognise-attention",
    doc: "recognises scaled dot-product attention that is written out in simpler operators",
    preserves: Preserves::Float(256),
    after: &["recognise"],
    rules: &[rules::attention::RULES],
    run: |cx| Ok(Pass::apply(cx, RECOGNISE_ATTENTION.rules)),
    ..Pass::BASE
};

static CLEAN: &[&Pass] = &[
    &lift_constants::PASS,
    &control_flow::PASS,
    &fold_constants::PASS,
    &merge_duplicates::PASS,
    &simplify_identities::PASS,
    &simplify_reshapes::PASS,
    &simplify_transposes::PASS,
    &rules::merge::PASS,
    &fuse_affine::PASS,
    &remove_dead::PASS,
];

/// For files: what a user gets says no more than what he came with could say.
pub static SIMPLIFY: Pipeline = Pipeline {
    name: "simplify",
    stages: &[
        Stage {
            passes: &[&inline_functions::PASS, &constant_defaults::PASS, &fix_initializers::PASS, &infer_shapes::PASS],
            rounds: 1,
        },
        Stage { passes: CLEAN, rounds: 6 },
        Stage { passes: &[&RECOGNISE, &RECOGNISE_ATTENTION], rounds: 1 },
        Stage { passes: &[&remove_dead::PASS, &infer_shapes::PASS], rounds: 1 },
    ],
};

/// For the planner: everything.
pub static PREPARE: Pipeline = Pipeline {
    name: "prepare",
    stages: &[
        Stage { passes: &[&inline_functions::PASS, &infer_shapes::PASS], rounds: 1 },
        Stage { passes: &[&decompose::PASS, &infer_shapes::PASS], rounds: 1 },
        Stage { passes: CLEAN, rounds: 6 },
        Stage { passes: &[&RECOGNISE, &crop_kernels::PASS, &hoist_activations::PASS], rounds: 1 },
        Stage { passes: &[&remove_dead::PASS, &infer_shapes::PASS], rounds: 1 },
    ],
};

/// Every pass of every pipeline, each once.
pub fn all() -> Vec<&'static Pass> {
    let mut out = SIMPLIFY.passes();
    for p in PREPARE.passes() {
        if out.iter().all(|q| q.name != p.name) {
            out.push(p);
        }
    }
    out
}

/// Bytes by which constants of a file may grow: a little, and a hundredth of what it holds.
fn growth_bound(model: &Model) -> u64 {
    let held = model.values.ids().filter_map(|v| model.weight(v)).map(|w| w.byte_len()).sum::<u64>();
    (256 << 10) + held / 100
}

/// Simplifies a model of the hub that came from a file with the opsets of its `meta`: the result can be written there,
/// and inputs and outputs keep their names and declared types. Passes and rules may be named as in [`aliases`].
///
/// # Errors
/// When the options name an unknown pass or rule, or a pass leaves a broken model.
pub fn simplify(model: &mut Model, options: &Options) -> Result<Report> {
    let target = Target::file(&model.meta.opsets, growth_bound(model));
    let mut only = aliases::resolve(&options.only).0;
    if only.is_empty() && !options.only.is_empty() {
        // No name at all would mean every pass.
        only.push(infer_shapes::PASS.name.into());
    }
    let options = &Options { only, skip: aliases::resolve(&options.skip).0, ..options.clone() };
    let signature = Signature::of(model);
    let report = run(model, &SIMPLIFY, &target, options)?;
    signature.restore(model);
    Ok(report)
}

/// Prepares a model of the hub for the planner: it may use every operator.
///
/// # Errors
/// As [`simplify`].
pub fn prepare(model: &mut Model, options: &Options) -> Result<Report> {
    let target = Target::internal();
    run(model, &PREPARE, &target, options)
}

/// Declared types of the main graph's inputs and outputs.
struct Signature {
    params: Vec<Type>,
    results: Vec<Type>,
}

impl Signature {
    fn of(model: &Model) -> Signature {
        let types = |list: &[ValueId]| list.iter().map(|&v| model.ty(v).clone()).collect();
        Signature { params: types(&model.graph().params), results: types(&model.graph().results) }
    }

    /// Types that inference refined are what they were; names that it invented are taken out everywhere.
    fn restore(self, model: &mut Model) {
        for (_, v) in model.values.iter_mut() {
            v.ty = without_invented(&v.ty);
        }
        let (params, results) = (model.graph().params.clone(), model.graph().results.clone());
        let all = params.into_iter().zip(self.params).chain(results.into_iter().zip(self.results));
        for (v, ty) in all {
            model.values[v].ty = ty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_keeps_what_passes_ask_for() {
        for pipeline in [&SIMPLIFY, &PREPARE] {
            let passes = pipeline.passes();
            let at = |name: &str| passes.iter().position(|p| p.name == name);
            for (i, p) in passes.iter().enumerate() {
                for other in p.after.iter().chain(p.before) {
                    assert!(all().iter().any(|q| q.name == *other), "{}: there is no pass {other}", p.name);
                }
                assert!(p.after.iter().all(|a| at(a).is_none_or(|a| a < i)), "{} comes too early", p.name);
                assert!(p.before.iter().all(|b| at(b).is_none_or(|b| i < b)), "{} comes too late", p.name);
            }
        }
    }

    #[test]
    fn recognition_is_literate() {
        modelsmith_rewrite::check::check_literate(&RECOGNISE, include_str!("../tests/ir/recognise.ir")).unwrap();
    }

    #[test]
    fn the_signature_is_kept() {
        let text = "meta {ir_version = 8, opset \"\" = 17} graph(%x: f32[batch, ?]) { %a = Relu(%x) %y: f32[out, ?] = Identity(%a) return %y }";
        let mut m = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let report = simplify(&mut m, &Options::default()).unwrap();
        assert!(report.steps.iter().any(|s| s.pass == "simplify-identities" && s.after < s.before));
        let wanted = "graph(%x: f32[batch, ?]) {\n  %y: f32[out, ?] = Relu(%x)\n  return %y\n}\n";
        assert!(modelsmith_ir::text::print(&m).ends_with(wanted), "{}", modelsmith_ir::text::print(&m));
    }

    #[test]
    fn options_choose_passes() {
        let text = "graph(%x: f32[2]) { %a = Identity(%x) %y = Relu(%a) return %y }";
        let parse = || modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let skip = Options { skip: vec!["simplify-identities".into()], ..Options::default() };
        let mut m = parse();
        simplify(&mut m, &skip).unwrap();
        assert_eq!(m.nodes.len(), 2);
        let nothing = Options { only: vec!["nop".into()], ..Options::default() };
        let mut m = parse();
        simplify(&mut m, &nothing).unwrap();
        assert_eq!(m.nodes.len(), 2);
        let rule = |name: &str| Options { only: vec![name.into()], ..Options::default() };
        for (name, left) in [("eliminate_identity", 1), ("identity", 1), ("mul-one", 2)] {
            let mut m = parse();
            simplify(&mut m, &rule(name)).unwrap();
            assert_eq!(m.nodes.len(), left, "{name}");
        }
        let skip = Options { skip: vec!["eliminate_identity".into()], ..Options::default() };
        let mut m = parse();
        simplify(&mut m, &skip).unwrap();
        assert_eq!(m.nodes.len(), 2);
        let stop =
            Options { stop_after: Some("lift-constants".into()), dump_after: vec!["all".into()], ..Options::default() };
        let report = simplify(&mut parse(), &stop).unwrap();
        assert_eq!(report.steps.last().map(|s| (s.pass, s.dump.is_some())), Some(("lift-constants", true)));
        let unknown = Options { only: vec!["no-such".into()], ..Options::default() };
        assert!(simplify(&mut parse(), &unknown).unwrap_err().to_string().contains("there is no pass called no-such"));
    }
}
