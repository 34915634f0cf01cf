//! The automatic check of rules, and literate tests of passes. For tests: failures are returned as text.

use crate::pattern::Pattern;
use crate::{Body, Graph, Pass, PassCx, Preserves, Rule, Target, Trace, apply_rules};
use modelsmith_base::DType;
use modelsmith_ir::{Dim, Model, OpSetImport, Samples, Type, ValueId, hash_model, text, verify};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::compare::{self, Atol, Tolerance};
use modelsmith_tensor::{Tensor, Value};

/// Applies a rule to its samples and, in text form, to generated models: several element types, constants spelled
/// `[]`, `[1]` and `[1, 1]`, NaN and infinities where it claims to be exact. Both sides run on the reference.
///
/// # Errors
/// When the rule fires nowhere, breaks a model, or changes a result.
pub fn check_rule(rule: &'static Rule) -> Result<usize, String> {
    let mut fired = 0;
    let mut models = Vec::new();
    for sample in rule.samples {
        let m = text::parse(sample, modelsmith_ops::all()).map_err(|e| format!("{}: {e}\n{sample}", rule.name))?;
        models.push(m);
    }
    if let Body::Text { from, to, .. } = rule.body {
        for pattern in [from, to] {
            Pattern::parse(pattern).map_err(|e| format!("{}: {e}: {pattern}", rule.name))?;
        }
        if let Some((from, _)) = rule.patterns() {
            models.extend(instances(&from));
        }
    }
    for before in models {
        let mut after = before.clone();
        let (target, mut trace) = (Target::internal(), Trace::default());
        let mut g = Graph::new(&mut after, &target, &mut trace);
        let n = apply_rules(&mut g, &[rule]);
        if n == 0 {
            continue;
        }
        fired += n;
        same_results(&before, &after, rule.preserves).map_err(|e| {
            format!("{}: {e}\nbefore:\n{}\nafter:\n{}", rule.name, text::print(&before), text::print(&after))
        })?;
    }
    match fired {
        0 => Err(format!("{} fires on none of its samples", rule.name)),
        n => Ok(n),
    }
}

/// Models of the pattern for each element type and spelling of constants that the operators take.
fn instances(from: &Pattern) -> Vec<Model> {
    let mut out = Vec::new();
    for dtype in [DType::F32, DType::F64, DType::F16, DType::I64, DType::I32, DType::Bool] {
        for spelling in [&[][..], &[1], &[1, 1]] {
            for shape in [&[2, 3][..], &[3], &[]] {
                if let Some(m) = instance(from, dtype, spelling, shape)
                    && verify(&m).is_empty()
                {
                    out.push(m);
                }
            }
        }
    }
    out
}

fn instance(from: &Pattern, dtype: DType, spelling: &[usize], shape: &[usize]) -> Option<Model> {
    let mut model = Model::new();
    let main = model.main;
    let mut values = Vec::new();
    let mut random = Samples::new(3);
    for (name, constant) in from.names() {
        let v = match constant {
            false => model.add_param(main, &name, Type::fixed(dtype, shape)),
            true => {
                let t = random.any(dtype, spelling);
                model.add_weight(main, &name, std::sync::Arc::new(modelsmith_tensor::WeightExpr::Literal(t)))
            }
        };
        values.push((name, v));
    }
    let root = grow(from, &mut model, dtype, spelling, &values)?;
    // An operand of the pattern may take the place of its root, but not of a result of the graph.
    let result = model.build(modelsmith_ops::all()).op("Identity", &[root]).ok()?;
    model.values[result].name = "result".into();
    model.regions[main].results = vec![result];
    Some(model)
}

fn grow(
    p: &Pattern,
    model: &mut Model,
    dtype: DType,
    spelling: &[usize],
    values: &[(String, ValueId)],
) -> Option<ValueId> {
    match p {
        Pattern::Value(n) | Pattern::Constant(n) => values.iter().find(|(m, _)| m == n).map(|(_, v)| *v),
        Pattern::Number(x) => {
            let t = Tensor::from_f64s(dtype, spelling, &[*x]).ok()?;
            // A number that the type cannot say makes another pattern.
            let kept = t.to_f64s().ok()?.first().copied()?;
            let close = (kept - x).abs() <= 1e-3 * x.abs();
            close.then(|| {
                model.add_weight(model.main, "", std::sync::Arc::new(modelsmith_tensor::WeightExpr::Literal(t)))
            })
        }
        Pattern::Node { def, attrs, operands } => {
            let operands = operands
                .iter()
                .map(|o| grow(o, model, dtype, spelling, values).map(Some))
                .collect::<Option<Vec<_>>>()?;
            let made =
                model.build(modelsmith_ops::all()).node(def.domain, def.name, &operands, attrs.clone(), 1).ok()?;
            made.first().copied()
        }
    }
}

/// Verifies `after` and runs both models on the same inputs, ordinary and, where `preserves` is exact, special ones.
///
/// # Errors
/// What is wrong.
pub fn same_results(before: &Model, after: &Model, preserves: Preserves) -> Result<(), String> {
    if let Some(d) = verify(after).first() {
        return Err(d.to_string());
    }
    let sides = if preserves == Preserves::Exact { 2 } else { 1 };
    for special in [false, true].into_iter().take(sides) {
        for seed in 1..4 {
            let inputs = inputs_for(before, seed, special)?;
            let run = |m: &Model| {
                let mut r = Reference.load(m, &Opts::default()).map_err(|e| e.to_string())?;
                r.run(&inputs, &mut |_, _| {}).map_err(|e| e.to_string())
            };
            // Inputs that the model itself refuses prove nothing.
            let Ok(wanted) = run(before) else { continue };
            let found = run(after).map_err(|e| format!("fails where it did not: {e}"))?;
            for (i, (w, f)) in wanted.iter().zip(&found).enumerate() {
                let difference = compare::values(w, f, tolerance(w, preserves));
                if !difference.agrees() {
                    return Err(format!("result {i} differs: {w:?} became {f:?}"));
                }
            }
        }
    }
    Ok(())
}

fn tolerance(value: &Value, preserves: Preserves) -> Tolerance {
    let Preserves::Float(ulps) = preserves else { return Tolerance { rtol: 0.0, atol: Atol::Absolute(0.0) } };
    let eps = match value.tensor().map(Tensor::dtype) {
        Ok(DType::F64) => f64::EPSILON,
        Ok(DType::F16) => 9.8e-4,
        Ok(DType::BF16) => 7.9e-3,
        _ => f64::from(f32::EPSILON),
    };
    Tolerance { rtol: f64::from(ulps) * eps, atol: Atol::Absolute(f64::from(ulps) * eps) }
}

/// Random inputs for the parameters; symbols and unknown sizes become small numbers.
fn inputs_for(model: &Model, seed: u64, special: bool) -> Result<Vec<Value>, String> {
    let mut random = Samples::new(seed);
    let size_of = |name: &str| Some(2 + (name.len() as i64 + seed as i64) % 3);
    let params = model.graph().params.iter().map(|&p| {
        let ty = model.ty(p);
        let Some(dtype) = ty.dtype() else {
            return Err(format!("{} has no element type", model.values[p].name));
        };
        let shape = ty.shape().unwrap_or(&[Dim::Known(3)]);
        let size = |d: &Dim| d.eval(&size_of).and_then(|n| usize::try_from(n).ok()).unwrap_or(2);
        let shape = shape.iter().map(size).collect::<Vec<_>>();
        let t = match special && dtype.is_float() {
            true => {
                let t = random.special(dtype, shape.iter().product());
                t.reshaped(&shape).map_err(|e| e.to_string())?
            }
            false => random.any(dtype, &shape),
        };
        Ok(Value::Tensor(t))
    });
    params.collect()
}

/// Runs the literate test of a pass: cases `// case: name`, a model, `// becomes`, the model that the pass makes of it (or
/// `// stays` and nothing). Both are compared without names, and run on the reference.
///
/// # Errors
/// For each case that fails, what is wrong.
pub fn check_literate(pass: &Pass, file: &str) -> Result<usize, String> {
    let cases = file.split("// case:").skip(1).collect::<Vec<_>>();
    let mut faults = Vec::new();
    for case in &cases {
        let (name, body) = case.split_once('\n').unwrap_or((case, ""));
        if let Err(e) = literate_case(pass, body) {
            faults.push(format!("{}: case{name}: {e}", pass.name));
        }
    }
    match faults.is_empty() {
        true if !cases.is_empty() => Ok(cases.len()),
        true => Err(format!("{}: the test has no cases", pass.name)),
        false => Err(faults.join("\n")),
    }
}

fn literate_case(pass: &Pass, body: &str) -> Result<(), String> {
    let (from, to) = match body.split_once("// becomes") {
        Some((from, to)) => (from, to),
        None => match body.split_once("// stays") {
            Some((from, _)) => (from, from),
            None => return Err("`// becomes` or `// stays` is missing".into()),
        },
    };
    let parse = |t: &str| text::parse(t, modelsmith_ops::all()).map_err(|e| format!("{e}\n{t}"));
    let before = parse(from)?;
    let wanted = parse(to)?;
    let mut after = before.clone();
    let target = match before.meta.opsets.is_empty() {
        true => Target::file(&[OpSetImport { domain: String::new(), version: modelsmith_ir::HUB_OPSET }], 4096),
        false => Target::file(&before.meta.opsets, 4096),
    };
    (pass.run)(&mut PassCx { model: &mut after, target: &target, trace: &mut Trace::default() })?;
    // Meant for people: the order of initializers is not.
    let canonical = |m: &Model| {
        let mut m = m.clone();
        crate::sweep::sweep(&mut m);
        (hash_model(&m), m)
    };
    let ((a, after_clean), (b, _)) = (canonical(&after), canonical(&wanted));
    if a != b {
        return Err(format!("wanted:\n{}\nfound:\n{}", text::print_full(&wanted), text::print_full(&after_clean)));
    }
    same_results(&before, &after, pass.preserves)
}
