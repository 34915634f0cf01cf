//! Two models, or two ways to run one, on the same inputs.

use crate::agreement::Agreement;
use crate::inputs::{InputInfo, InputMaker, Inputs, between, draw::DrawKind};
use crate::judge::{Judge, Runs};
use crate::layers::LayerReport;
use crate::model::Model;
use crate::scout::Scout;
use crate::sides::{self, Drawn, Sides};
use crate::{Error, Kind, Result};
use modelsmith_ops::run::Opts;
use modelsmith_tensor::Value;
use modelsmith_tensor::compare::{Difference, values};
use serde::Serialize;

/// Samples that are drawn beyond those asked for while no output has changed from one to the next.
const MORE: usize = 6;

/// How two sides are compared.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Where inputs come from.
    pub inputs: Inputs,
    /// Samples; one when every input is given.
    pub samples: usize,
    /// What counts as agreement.
    pub agreement: Agreement,
    /// Who runs the first side.
    pub a: Judge,
    /// Who runs the second side.
    pub b: Judge,
    /// Recorded outputs instead of a second run.
    pub golden: Option<Vec<Value>>,
    /// Pairs of output names, first side and second side.
    pub map_outputs: Vec<(String, String)>,
    /// How the backends run.
    pub opts: Opts,
    /// Look at the values between inputs and outputs.
    pub layers: bool,
    /// Keep the inputs of sample K as `NAME.npy` files in the folder `K` of this one.
    pub save_inputs: Option<std::path::PathBuf>,
}

impl Default for CompareOptions {
    fn default() -> Self {
        CompareOptions {
            inputs: Inputs::default(),
            samples: 10,
            agreement: Agreement::default(),
            a: Judge::Backend(Default::default()),
            b: Judge::Backend(Default::default()),
            golden: None,
            map_outputs: vec![],
            opts: Opts::default(),
            layers: false,
            save_inputs: None,
        }
    }
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every output of every sample agrees.
    Agree,
    /// At least one does not.
    Differ,
    /// The outputs hardly change between samples, so that agreement proves nothing.
    Inconclusive,
}

/// How one output differs, over all samples.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// Name on the first side.
    pub name: String,
    /// Element type and shape in the first sample.
    pub ty: String,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest mean difference of a sample.
    pub mean_abs: f64,
    /// Largest difference in units in the last place.
    pub max_ulp: f64,
    /// Smallest cosine.
    pub cosine: f64,
    /// Largest value of the second side.
    pub largest: f64,
    /// Elements outside the tolerance.
    pub outside: usize,
    /// Elements compared.
    pub count: usize,
    /// Largest change of this output between samples, as a share of its largest value.
    pub change: f64,
    /// True when it agrees in every sample.
    pub agrees: bool,
    /// Why it could not be compared at all.
    pub mismatch: Option<String>,
}

/// One sample.
#[derive(Clone, Debug, Serialize)]
pub struct SampleReport {
    /// `normal`, `uniform`, `zeros`, `large`, `smooth`, `between` or `given`.
    pub kind: String,
    /// Draws on which the first side failed before this one.
    pub redrawn: usize,
    /// True when all outputs agree.
    pub agrees: bool,
}

/// The result of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// `self`, or `independent NAME`.
    pub judge: String,
    /// Verdict over all outputs and samples.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Tolerance, in words.
    pub tolerance: String,
    /// How the inputs were made.
    pub inputs: Vec<InputInfo>,
    /// Free dimensions that were taken as 1.
    pub assumed: Vec<String>,
    /// Samples.
    pub samples: Vec<SampleReport>,
    /// Outputs.
    pub outputs: Vec<OutputReport>,
    /// Values on the way, in the order in which the first side makes them.
    pub layers: Option<Vec<LayerReport>>,
    /// The first value that differs.
    pub first_diverging: Option<String>,
    /// Inputs of the first sample in which the sides differ, where they were drawn.
    #[serde(skip)]
    pub witness: Option<Vec<(String, Value)>>,
}

impl Comparison {
    /// Writes the inputs on which the sides differ as an `.npz` file, which `--inputs` reads; false where there are none, or
    /// one of them is no tensor.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_witness(&self, path: &std::path::Path) -> Result<bool> {
        let Some(inputs) = &self.witness else { return Ok(false) };
        let tensor = |(name, v): &(String, Value)| v.tensor().ok().map(|t| (name.clone(), t.clone()));
        match inputs.iter().map(tensor).collect::<Option<Vec<_>>>() {
            Some(arrays) => crate::npz::write(path, &arrays).map(|()| true),
            None => Ok(false),
        }
    }
}

/// Compares `b` with the original `a`.
///
/// # Errors
/// When a side cannot be loaded, inputs and outputs do not correspond, or the original fails on every draw.
pub fn compare(a: &Model, b: &Model, options: &CompareOptions) -> Result<Comparison> {
    let options = &CompareOptions { agreement: options.agreement.for_model(a.hub()), ..options.clone() };
    let left = options.a.load(a, &watching(a, options))?;
    let right: Option<Box<dyn Runs>> = match options.golden {
        Some(_) => None,
        None => Some(options.b.load(b, &watching(b, options))?),
    };
    let order = match options.golden {
        Some(_) => (0..a.hub().graph().params.len()).collect(),
        None => input_order(a, b)?,
    };
    let sizes = options.inputs.sizes.with_those_of(a.hub(), b.hub(), &order);
    let mut maker = Inputs { sizes, ..options.inputs.clone() }.maker(a.hub())?;
    maker.fit(b.hub(), &order);
    let together = sides::together(&options.a, &options.b, options.opts.threads);
    let mut sides = Sides { left, right, order, layers: options.layers, together };
    let pairs = output_pairs(a, b, &options.map_outputs)?;
    let samples = if options.golden.is_none() { maker.samples(options.samples) } else { 1 };
    let mut run = Gathering::new(a, &pairs, options);
    run.may_move = samples > 1 && maker.draws() && maker.matters(a.hub());
    let (mut done, mut scout) = (Vec::new(), Scout::Idle);
    for sample in 0..samples + MORE {
        let extra = sample >= samples;
        if extra && !run.still() {
            break;
        }
        let first = |scout: &mut Scout| scout.run(a, options, &maker.sample(sample, 0).ok()?);
        if extra && first(&mut scout).is_some_and(|outputs| !run.moves(&outputs)) {
            continue;
        }
        let drawn = sides.draw(&maker, sample)?;
        let kind = if maker.draws() { DrawKind::of_sample(sample).name() } else { "given" };
        run.judge(options, &maker, kind, &drawn)?;
        done.push(between::Run { inputs: drawn.inputs, outputs: drawn.outputs });
    }
    if samples > 1 && maker.draws() && run.agrees() && !matches!(options.a, Judge::Exec(_)) {
        for inputs in between::find(&done, &maker.linear(), &mut |inputs| sides.left.run(inputs).ok()) {
            let drawn = sides.run(inputs)?;
            run.judge(options, &maker, "between", &drawn)?;
        }
    }
    Ok(run.finish(&maker, options))
}

/// The options with every named value of the main graph kept visible, where values on the way are wanted.
fn watching(model: &Model, options: &CompareOptions) -> Opts {
    let hub = model.hub();
    let outputs = hub.graph().body.iter().flat_map(|&n| hub.nodes[n].outputs.iter().flatten().copied());
    let watch = match options.layers && model.engine().is_none() {
        true => outputs.filter(|&v| !hub.values[v].name.is_empty()).collect(),
        false => vec![],
    };
    Opts { watch, ..options.opts.clone() }
}

/// For each input of `b`, the input of `a` that feeds it: by name, else by position.
fn input_order(a: &Model, b: &Model) -> Result<Vec<usize>> {
    let (x, y) = (a.input_names(), b.input_names());
    let named = y.iter().map(|n| x.iter().position(|m| m == n)).collect::<Option<Vec<_>>>();
    if let Some(order) = named {
        return Ok(order);
    }
    match x.len() == y.len() {
        true => Ok((0..x.len()).collect()),
        false => Err(Error::usage(format!(
            "the inputs do not correspond: {} has {}, {} has {}",
            a.path().display(),
            x.join(", "),
            b.path().display(),
            y.join(", ")
        ))),
    }
}

/// Positions of corresponding outputs: as mapped, by name, else by position.
fn output_pairs(a: &Model, b: &Model, mapped: &[(String, String)]) -> Result<Vec<(usize, usize)>> {
    let (x, y) = (a.output_names(), b.output_names());
    let find = |list: &[String], n: &String, side: &Model| {
        list.iter().position(|m| m == n).ok_or_else(|| {
            Error::usage(format!(
                "--map-output {n}: {} has no such output; it has {}",
                side.path().display(),
                list.join(", ")
            ))
        })
    };
    let mut pairs = Vec::new();
    for (m, n) in mapped {
        pairs.push((find(&x, m, a)?, find(&y, n, b)?));
    }
    let by_position = x.len() == y.len();
    for (i, name) in x.iter().enumerate() {
        if pairs.iter().any(|(p, _)| *p == i) {
            continue;
        }
        match y.iter().position(|n| n == name) {
            Some(j) => pairs.push((i, j)),
            None if by_position && mapped.is_empty() => pairs.push((i, i)),
            None => {
                return Err(Error::usage(format!(
                    "output {name} has no counterpart; the other model has {}",
                    y.join(", ")
                ))
                .help("name it with --map-output A=B"));
            }
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// Collects the results of samples.
struct Gathering<'a> {
    pairs: &'a [(usize, usize)],
    agreement: &'a Agreement,
    outputs: Vec<OutputReport>,
    first: Vec<Option<Value>>,
    /// Outputs that moved beyond the tolerance between samples.
    moved: Vec<bool>,
    /// Whether samples differ in what outputs depend on.
    may_move: bool,
    samples: Vec<SampleReport>,
    layers: Vec<LayerReport>,
    failed: Option<String>,
    witness: Option<Vec<(String, Value)>>,
}

impl<'a> Gathering<'a> {
    fn new(a: &Model, pairs: &'a [(usize, usize)], options: &'a CompareOptions) -> Gathering<'a> {
        let names = a.output_names();
        let blank = |i: &(usize, usize)| OutputReport {
            name: names[i.0].clone(),
            ty: String::new(),
            max_abs: 0.0,
            mean_abs: 0.0,
            max_ulp: 0.0,
            cosine: 1.0,
            largest: 0.0,
            outside: 0,
            count: 0,
            change: 0.0,
            agrees: true,
            mismatch: None,
        };
        Gathering {
            pairs,
            agreement: &options.agreement,
            outputs: pairs.iter().map(blank).collect(),
            first: vec![None; pairs.len()],
            moved: vec![false; pairs.len()],
            may_move: false,
            samples: vec![],
            layers: vec![],
            failed: None,
            witness: None,
        }
    }

    /// True while no output moved by more than the tolerance that could.
    fn still(&self) -> bool {
        self.may_move && !self.moved.iter().any(|m| *m) && !self.pairs.is_empty()
    }

    /// Whether outputs of the first side are others than in the first sample.
    fn moves(&self, outputs: &[Value]) -> bool {
        let moved = |(k, &(i, _)): (usize, &(usize, usize))| match (&self.first[k], outputs.get(i)) {
            (Some(first), Some(x)) => !values(x, first, self.agreement.of(&self.outputs[k].name)).agrees(),
            _ => true,
        };
        self.pairs.iter().enumerate().any(moved)
    }

    fn agrees(&self) -> bool {
        self.samples.iter().all(|s| s.agrees)
    }

    /// Holds the second side, or the recording, against the first.
    fn judge(&mut self, options: &CompareOptions, maker: &InputMaker, kind: &str, drawn: &Drawn) -> Result<()> {
        if let Some(dir) = &options.save_inputs {
            crate::run::save(&dir.join(self.samples.len().to_string()), maker.names(), &drawn.inputs)?;
        }
        let result = match (&drawn.second, &options.golden) {
            (_, Some(golden)) => Ok(golden),
            (Some((second, trace)), None) => {
                crate::layers::merge(&mut self.layers, &drawn.trace, trace, self.agreement);
                second.as_ref()
            }
            (None, None) => return Err(Error::new(Kind::Fault, "nothing to compare with")),
        };
        self.sample(kind, drawn.redrawn, &drawn.outputs, result);
        let differs = self.samples.last().is_some_and(|s| !s.agrees);
        if differs && self.witness.is_none() && maker.draws() {
            self.witness = Some(maker.names().iter().cloned().zip(drawn.inputs.iter().cloned()).collect());
        }
        Ok(())
    }

    fn sample(&mut self, kind: &str, redrawn: usize, a: &[Value], b: std::result::Result<&Vec<Value>, &Error>) {
        let mut agrees = true;
        match b {
            Err(e) => {
                agrees = false;
                self.failed.get_or_insert(e.to_string());
            }
            Ok(b) => {
                for (k, &(i, j)) in self.pairs.iter().enumerate() {
                    let (Some(x), Some(y)) = (a.get(i), b.get(j)) else { continue };
                    let (d, fine) = self.agreement.compare(&self.outputs[k].name, x, y);
                    agrees &= fine;
                    self.output(k, x, &d, fine);
                }
            }
        }
        self.samples.push(SampleReport { kind: kind.into(), redrawn, agrees });
    }

    fn output(&mut self, k: usize, original: &Value, d: &Difference, fine: bool) {
        let o = &mut self.outputs[k];
        if o.ty.is_empty() {
            o.ty = describe(original);
        }
        o.max_abs = o.max_abs.max(d.max_abs);
        o.mean_abs = o.mean_abs.max(d.mean_abs);
        o.max_ulp = o.max_ulp.max(d.max_ulp);
        o.cosine = o.cosine.min(d.cosine);
        o.largest = o.largest.max(d.largest);
        o.outside += d.outside;
        o.count += d.count;
        o.agrees &= fine;
        if o.mismatch.is_none() {
            o.mismatch.clone_from(&d.mismatch);
        }
        match &self.first[k] {
            None => self.first[k] = Some(original.clone()),
            Some(first) => {
                let change = values(original, first, self.agreement.of(&o.name));
                let share = if change.mismatch.is_some() {
                    1.0
                } else {
                    change.max_abs / change.largest.max(f64::MIN_POSITIVE)
                };
                o.change = o.change.max(if share.is_finite() { share } else { 1.0 });
                self.moved[k] |= !change.agrees();
            }
        }
    }

    fn finish(self, maker: &InputMaker, options: &CompareOptions) -> Comparison {
        let samples = self.samples.len();
        let bad = self.outputs.iter().filter(|o| !o.agrees).map(|o| o.name.as_str()).collect::<Vec<_>>();
        let still = self.still();
        let (verdict, reason) = if let Some(e) = &self.failed {
            (Verdict::Differ, format!("the second side fails where the first does not: {e}"))
        } else if !bad.is_empty() {
            (Verdict::Differ, format!("{} of {} outputs differ: {}", bad.len(), self.outputs.len(), bad.join(", ")))
        } else if still {
            (Verdict::Inconclusive, "no output changes by more than the tolerance between samples".into())
        } else {
            let runs = if samples == 1 { "one sample".to_owned() } else { format!("{samples} samples") };
            match self.outputs.len() {
                1 => (Verdict::Agree, format!("the output agrees in {runs}")),
                n => (Verdict::Agree, format!("all {n} outputs agree in {runs}")),
            }
        };
        let judge = match (&options.golden, options.a.independent(), options.b.independent()) {
            (Some(_), ..) => "independent golden".into(),
            (None, _, true) => format!("independent {}", options.b.name()),
            (None, true, false) => format!("independent {}", options.a.name()),
            _ => "self".into(),
        };
        // Passes may give a name to another value: what matters is only where outputs differ.
        let differs = verdict == Verdict::Differ;
        let first_diverging = self.layers.iter().find(|l| differs && !l.agrees).map(|l| l.name.clone());
        Comparison {
            judge,
            verdict,
            reason,
            tolerance: options.agreement.describe(),
            inputs: maker.describe(),
            assumed: maker.assumed_in_samples(),
            samples: self.samples,
            outputs: self.outputs,
            layers: options.layers.then_some(self.layers),
            first_diverging,
            witness: self.witness,
        }
    }
}

/// Element type and shape of a tensor, or the kind of another value.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Tensor(t) => modelsmith_ir::Type::fixed(t.dtype(), t.shape()).to_string(),
        Value::Sequence(items) => format!("sequence of {}", items.len()),
        Value::Optional(None) => "absent".into(),
        Value::Optional(Some(v)) => format!("optional {}", describe(v)),
        other => other.kind().into(),
    }
}
