//! What every operator's record must hold to, checked on the operator's own samples.

use modelsmith_ir::{AttrView, EvalCx, Fact, InferCx, Model, NoRegions, OpDef, Sample, Samples, Type};
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{Tensor, Value};

fn plain_samples(def: &'static OpDef) -> Vec<Sample> {
    let mut s = Samples::new(7);
    (def.samples)(&mut s);
    s.into_cases().into_iter().filter(|c| c.model.is_none()).collect()
}

fn eval(def: &'static OpDef, case: &Sample) -> Vec<Value> {
    let cx =
        EvalCx { attrs: AttrView::new(def, &case.attrs), outputs: case.outputs, regions: None, evaluator: &Operators };
    let inputs = case.inputs.iter().map(Option::as_ref).collect::<Vec<_>>();
    (def.eval)(&cx, &inputs).unwrap_or_else(|e| panic!("{def:?} {case:?}: {e}"))
}

fn infer(def: &'static OpDef, case: &Sample, facts: &[Option<Fact>]) -> Vec<Fact> {
    let mut cx = InferCx::new(AttrView::new(def, &case.attrs), facts, case.outputs, &NoRegions);
    (def.infer)(&mut cx).unwrap_or_else(|e| panic!("{def:?} {case:?}: {e}"));
    cx.finish()
}

fn only() -> Option<String> {
    std::env::var("ONLY").ok()
}

fn checked() -> Vec<&'static OpDef> {
    modelsmith_ops::all().iter().filter(|d| only().is_none_or(|o| o.split(',').any(|n| n == d.name))).collect()
}

#[test]
fn inference_agrees_with_the_reference() {
    for def in checked().into_iter().filter(|d| !d.flags.random) {
        let cases = plain_samples(def);
        for case in &cases {
            let results = eval(def, case);
            let typed = |v: &Value, keep: bool| match v {
                Value::Tensor(t) if keep => Some(Fact::constant(t.clone())),
                Value::Tensor(t) => Some(Fact::of(Type::fixed(t.dtype(), t.shape()))),
                _ => Some(Fact::default()),
            };
            for keep in [true, false] {
                let facts = case.inputs.iter().map(|v| v.as_ref().and_then(|v| typed(v, keep))).collect::<Vec<_>>();
                for (i, (fact, value)) in infer(def, case, &facts).iter().zip(&results).enumerate() {
                    let Value::Tensor(t) = value else { continue };
                    let full = Type::fixed(t.dtype(), t.shape());
                    let ok = full.refines(&fact.ty);
                    assert!(ok, "{def:?} {case:?}: output {i} is {full}, inferred {}", fact.ty);
                    if keep && t.dtype().is_int() {
                        let known = fact.value.as_ref().and_then(|v| v.known());
                        assert!(known.is_none_or(|v| v == t.to_i64s().unwrap()), "{def:?} {case:?}: symbolic value");
                    }
                }
            }
            // Nothing known of the operands: no error, no panic.
            infer(def, case, &vec![Some(Fact::default()); case.inputs.len()]);
        }
    }
}

fn one_node(def: &'static OpDef, case: &Sample) -> (Model, Vec<Value>) {
    let mut m = Model::new();
    let region = m.main;
    let mut args = Vec::new();
    let mut inputs = Vec::new();
    for (i, v) in case.inputs.iter().enumerate() {
        inputs.push(v.as_ref().map(|v| {
            let Value::Tensor(t) = v else { panic!("a tensor") };
            args.push(v.clone());
            m.add_param(region, &format!("x{i}"), Type::fixed(t.dtype(), t.shape()))
        }));
    }
    let outputs =
        m.build(modelsmith_ops::all()).node(def.domain, def.name, &inputs, case.attrs.clone(), case.outputs).unwrap();
    m.regions[region].results = outputs;
    (m, args)
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    let tolerance = match a.dtype().bits() {
        64 | 32 => 1e-4,
        16 => 3e-2,
        _ => 0.5,
    };
    let (Ok(x), Ok(y)) = (a.to_f64s(), b.to_f64s()) else { return a.same_bits(b) };
    let same = |p: f64, q: f64| {
        p == q || (p.is_nan() && q.is_nan()) || (p - q).abs() <= tolerance * (1.0 + p.abs().max(q.abs()))
    };
    a.shape() == b.shape() && a.dtype() == b.dtype() && x.iter().zip(&y).all(|(&p, &q)| same(p, q))
}

#[test]
fn decompositions_compute_the_same() {
    for def in checked() {
        if def.decompose.is_none() || def.ends.is_some() {
            continue;
        }
        let (mut done, mut absent, cases) = (0, false, plain_samples(def));
        for case in &cases {
            if case.inputs.iter().flatten().any(|v| !matches!(v, Value::Tensor(_))) {
                continue;
            }
            let want = eval(def, case);
            let (mut model, args) = one_node(def, case);
            let (region, node) = (model.main, model.regions[model.main].body[0]);
            match modelsmith_ops::opset::replace(&mut model, region, node, def) {
                // An operator may refuse samples that its decomposition cannot say, but not all of them.
                Err(e) if e.starts_with("not supported") => {
                    absent |= e.starts_with("not supported: operator");
                    continue;
                }
                other => other.unwrap_or_else(|e| panic!("{def:?} {case:?}: {e}")),
            }
            done += 1;
            let run = Reference.load(&model, &Opts::default()).and_then(|mut m| m.run(&args, &mut |_, _| {}));
            let got = run.unwrap_or_else(|e| panic!("{def:?} {case:?}: {e}"));
            for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                let (Value::Tensor(g), Value::Tensor(w)) = (g, w) else { continue };
                let finite = w.to_f64s().is_ok_and(|v| v.iter().all(|x| x.is_finite()));
                let same = if finite { close(g, w) } else { g.shape() == w.shape() };
                assert!(same, "{def:?} {case:?}: output {i} is {w:?}, decomposed {g:?}");
            }
        }
        assert!(done > 0 || absent, "{def:?}: no sample was decomposed");
    }
}
