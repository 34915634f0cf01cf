//! Every sample of every operator gives the same through an engine as through the reference, whether its sizes are known
//! at build or only at run.

use modelsmith_engine::{BuildOptions, CpuRunner, SessionOptions, build, file};
use modelsmith_ir::{Dim, Model, Op, OpDef, Sample, Samples, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::compare::{Tolerance, values};
use modelsmith_tensor::{DType, MemSource, Value};

/// How the sizes of the inputs are declared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sizes {
    Fixed,
    Symbols,
    Ranks,
}

fn type_of(value: &Value, input: usize, sizes: Sizes) -> Type {
    let Value::Tensor(t) = value else { return Type::Unknown };
    match sizes {
        Sizes::Fixed => Type::fixed(t.dtype(), t.shape()),
        Sizes::Symbols => {
            let dims = (0..t.rank()).map(|a| Dim::symbol(&format!("i{input}a{a}"))).collect::<Vec<_>>();
            Type::tensor(t.dtype(), &dims)
        }
        Sizes::Ranks => Type::of(t.dtype()),
    }
}

/// A model of one node whose operands are inputs, or constants where `constant` says so.
fn model_of(
    def: &'static OpDef,
    sample: &Sample,
    sizes: Sizes,
    constant: &dyn Fn(usize) -> bool,
) -> (Model, Vec<Value>) {
    let mut m = Model::new();
    let (mut operands, mut given) = (vec![], vec![]);
    for (i, v) in sample.inputs.iter().enumerate() {
        operands.push(match v {
            None => None,
            Some(Value::Tensor(t)) if constant(i) => {
                let main = m.main;
                Some(m.add_weight(
                    main,
                    &format!("w{i}"),
                    std::sync::Arc::new(modelsmith_tensor::WeightExpr::Literal(t.clone())),
                ))
            }
            Some(v) => {
                let main = m.main;
                given.push(v.clone());
                Some(m.add_param(main, &format!("x{i}"), type_of(v, i, sizes)))
            }
        });
    }
    let outputs = {
        let mut b = m.build(modelsmith_ops::all());
        b.node(def.domain, def.name, &operands, sample.attrs.clone(), sample.outputs).expect("a known operator")
    };
    let main = m.main;
    m.regions[main].results = outputs;
    (m, given)
}

fn agree(what: &str, model: &Model, inputs: &[Value], isa: &str) -> Result<(), String> {
    let random = model.nodes.iter().any(|(_, n)| matches!(n.op, Op::Known(d) if d.flags.random));
    let opts = Opts { threads: 2, isa: isa.into(), ..Opts::default() };
    let run = |r: &dyn Runner| {
        r.load(model, &opts).and_then(|mut s| {
            // The second run meets what the first one left behind.
            s.run(inputs, &mut |_, _| {})?;
            s.run(inputs, &mut |_, _| {})
        })
    };
    let (a, b) = (run(&CpuRunner), run(&Reference));
    // The bytes of a file are the same whatever the level that runs.
    if let (Ok(a), true, true) = (&a, !random, isa.is_empty() && what.ends_with("constant operands")) {
        let again = through_file(model, inputs, isa).map_err(|e| format!("{what}, through a file: {e}"))?;
        let same = |(x, y): (&Value, &Value)| values(x, y, Tolerance::default()).agrees();
        if a.len() != again.len() || !a.iter().zip(&again).all(same) {
            return Err(format!("{what}: differs through a file: {a:?} and {again:?}"));
        }
    }
    match (a, b) {
        (Ok(a), Ok(b)) => {
            if a.len() != b.len() {
                return Err(format!("{what}: {} results for {}", a.len(), b.len()));
            }
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                let d = values(a, b, Tolerance::default());
                // The reference sums squares in f64; in f32 those of values beyond the root of the largest number
                // are infinite.
                if what.starts_with("ReduceL2") && d.largest > 1.8e19 {
                    continue;
                }
                if !random && !d.agrees() {
                    return Err(format!("{what}: result {i} differs: {d:?}\n  got {a:?}\n  for {b:?}"));
                }
            }
            Ok(())
        }
        (Err(_), Err(_)) => Ok(()),
        (Ok(_), Err(e)) => Err(format!("{what}: runs, but the reference says: {e}")),
        (Err(e), Ok(_)) => Err(format!("{what}: fails: {e}")),
    }
}

/// The same through the bytes of an engine file.
fn through_file(model: &Model, inputs: &[Value], isa: &str) -> Result<Vec<Value>, String> {
    let options = BuildOptions { isa: isa.into(), all_levels: true, ..BuildOptions::default() };
    let built = build(model, &options).map_err(|e| e.to_string())?;
    let bytes = file::to_bytes(&built.engine);
    let source = std::sync::Arc::new(MemSource::new("test.engine", bytes));
    let engine = file::load_source(source).map_err(|e| e.to_string())?;
    let mut s = engine
        .session(&SessionOptions { threads: 1, isa: isa.into(), ..SessionOptions::default() })
        .map_err(|e| e.to_string())?;
    s.run(inputs).map_err(|e| e.to_string())
}

fn check_all(isa: &str) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for def in modelsmith_ops::ALL {
        let mut samples = Samples::new(7);
        (def.samples)(&mut samples);
        for (i, sample) in samples.into_cases().iter().enumerate() {
            if sample.model.is_some() {
                continue;
            }
            let floats = |i: usize| matches!(&sample.inputs[i], Some(Value::Tensor(t)) if t.dtype() == DType::F32);
            let all: [(&str, Sizes, &dyn Fn(usize) -> bool); 4] = [
                ("fixed sizes", Sizes::Fixed, &|_| false),
                ("symbolic sizes", Sizes::Symbols, &|i| i > 0 && !floats(i)),
                ("constant operands", Sizes::Fixed, &|i| i > 0),
                ("unknown ranks", Sizes::Ranks, &|_| false),
            ];
            for (how, sizes, constant) in all {
                let (model, inputs) = model_of(def, sample, sizes, constant);
                count += 1;
                if let Err(e) = agree(&format!("{} sample {i}, {how}", def.name), &model, &inputs, isa) {
                    wrong.push(e);
                }
            }
        }
    }
    assert!(count > 100, "only {count} cases");
    assert!(
        wrong.is_empty(),
        "{} of {count} differ:\n{}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn on_this_machine() {
    check_all("");
}

#[test]
fn on_avx512() {
    check_all("avx512");
}

#[test]
fn on_avx2() {
    check_all("avx2");
}

#[test]
fn on_portable() {
    check_all("portable");
}
