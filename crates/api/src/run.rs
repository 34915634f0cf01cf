//! One inference, and checking a model against recorded test data.

use crate::agreement::Agreement;
use crate::compare::describe;
use crate::inputs::{InputInfo, Inputs};
use crate::judge::{Judge, Runs};
use crate::{Error, Kind, Model, Result, files, npz, test_data};
use modelsmith_tensor::{MapKeys, Tensor, Value, npy};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

pub use modelsmith_ops::run::Opts;

/// One inference.
pub struct Ran {
    /// How the inputs were made.
    pub inputs: Vec<InputInfo>,
    /// Free dimensions that were taken as 1.
    pub assumed: Vec<String>,
    /// The inputs.
    pub fed: Vec<Value>,
    /// The outputs.
    pub outputs: Vec<Value>,
    /// Time of the run, without loading.
    pub milliseconds: f64,
}

/// An output against its recorded value.
#[derive(Clone, Debug, Serialize)]
pub struct OutputCheck {
    /// Name.
    pub name: String,
    /// Element type and shape.
    pub ty: String,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest recorded value.
    pub largest: f64,
    /// Elements outside the tolerance.
    pub outside: usize,
    /// Elements compared.
    pub count: usize,
    /// True when all are inside.
    pub agrees: bool,
    /// Why it could not be compared at all.
    pub mismatch: Option<String>,
}

/// An output in short.
#[derive(Clone, Debug, Serialize)]
pub struct OutputSummary {
    /// Name.
    pub name: String,
    /// Element type and shape.
    pub ty: String,
    /// Smallest and largest value.
    pub range: String,
    /// The first values.
    pub first: String,
}

/// Runs `model` once.
///
/// # Errors
/// When the inputs do not fit, or the model fails on them; on drawn inputs it is tried with further draws first.
pub fn once(model: &Model, inputs: &Inputs, judge: &Judge, opts: &Opts) -> Result<Ran> {
    let mut side = judge.load(model, opts)?;
    let maker = inputs.maker(model.hub())?;
    let attempts = maker.attempts();
    let mut last = None;
    for attempt in 0..attempts {
        let fed = maker.sample(0, attempt)?;
        let begun = Instant::now();
        match side.run(&fed) {
            Ok(outputs) => {
                let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
                let (inputs, assumed) = maker.describe_fed(&fed);
                return Ok(Ran { inputs, assumed, fed, outputs, milliseconds });
            }
            Err(e) if e.kind() == Kind::Unsupported => return Err(e),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(Kind::Fault, "no draw was made")))
}

/// Runs `model` on the `input_K.pb` files of `dir` and compares the results with its `output_K.pb` files.
///
/// # Errors
/// When a file is missing or damaged, or the model cannot run on it.
pub fn check_test_data(
    model: &Model,
    dir: &Path,
    judge: &Judge,
    opts: &Opts,
    agreement: &Agreement,
) -> Result<Vec<OutputCheck>> {
    let data = test_data::TestData::read(dir, model)?;
    let mut side = judge.load(model, opts)?;
    let got = side.run(&data.inputs)?;
    Ok(check(&model.output_names(), &got, &data.outputs, agreement))
}

/// Compares outputs with recorded ones by position; a recorded one that is `None` is not looked at.
pub fn check(names: &[String], got: &[Value], wanted: &[Option<Value>], agreement: &Agreement) -> Vec<OutputCheck> {
    let mut out = Vec::new();
    for ((name, a), b) in names.iter().zip(got).zip(wanted) {
        let Some(b) = b else { continue };
        let (d, agrees) = agreement.compare(name, a, b);
        out.push(OutputCheck {
            name: name.clone(),
            ty: describe(b),
            max_abs: d.max_abs,
            largest: d.largest,
            outside: d.outside,
            count: d.count,
            agrees,
            mismatch: d.mismatch,
        });
    }
    out
}

/// Largest absolute error over the largest recorded value, over all outputs.
pub fn relative_error(checks: &[OutputCheck]) -> f64 {
    checks.iter().map(|c| c.max_abs / (c.largest + 1e-12)).fold(0.0, f64::max)
}

/// Keeps values as `NAME.npy` files, and sequences and maps as `NAME.npz`.
///
/// # Errors
/// When a value is sparse or a file cannot be written.
pub fn save(dir: &Path, names: &[String], values: &[Value]) -> Result<()> {
    files::folder(dir)?;
    for (name, value) in names.iter().zip(values) {
        let value = match value {
            Value::Optional(Some(inner)) => inner,
            value => value,
        };
        match value {
            Value::Tensor(t) => {
                files::write(&dir.join(files::array_file(name)), &npy::write(t)?, false)?;
            }
            other => {
                let mut arrays = Vec::new();
                named_arrays("", other, &mut arrays)
                    .map_err(|e| Error::new(e.kind(), format!("output {name}: {e}")))?;
                npz::write(&dir.join(files::array_file(name)).with_extension("npz"), &arrays)?;
            }
        }
    }
    Ok(())
}

/// The arrays of an `.npz` file for a value: `0`, `1` of a sequence, `keys` and `values` of a map, with a dot between.
fn named_arrays(name: &str, value: &Value, out: &mut Vec<(String, Tensor)>) -> Result<()> {
    let inner = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Tensor(t) => out.push((name.to_owned(), t.clone())),
        Value::Optional(inner) => inner.iter().try_for_each(|v| named_arrays(name, v, out))?,
        Value::Sequence(items) => {
            items.iter().enumerate().try_for_each(|(i, v)| named_arrays(&inner(&i.to_string()), v, out))?;
        }
        Value::Map(map) => {
            let keys = match &map.keys {
                MapKeys::Ints(key, keys) => Tensor::from_i64s(*key, &[keys.len()], keys)?,
                MapKeys::Strings(keys) => Tensor::from_strings(&[keys.len()], keys.clone())?,
            };
            out.push((inner("keys"), keys));
            match scalars(&map.values) {
                Some(values) => out.push((inner("values"), values)),
                None => named_arrays(&inner("values"), &Value::Sequence(map.values.clone()), out)?,
            }
        }
        Value::Sparse(_) => {
            return Err(Error::unsupported("a sparse tensor, which neither .npy nor .npz files hold"));
        }
    }
    Ok(())
}

/// Scalars of one type as a vector.
fn scalars(values: &[Value]) -> Option<Tensor> {
    let all = values.iter().map(|v| v.tensor().ok().filter(|t| t.rank() == 0)).collect::<Option<Vec<_>>>()?;
    let dtype = all.first()?.dtype();
    if all.iter().any(|t| t.dtype() != dtype) {
        return None;
    }
    match all.iter().map(|t| t.strings().map(|s| s[0].clone())).collect::<std::result::Result<Vec<_>, _>>() {
        Ok(words) => Tensor::from_strings(&[words.len()], words).ok(),
        Err(_) if dtype.bits() < 8 => None,
        Err(_) => {
            let bytes = all.iter().flat_map(|t| t.bytes().iter().copied()).collect::<Vec<_>>();
            Tensor::from_bytes(dtype, &[all.len()], &bytes).ok()
        }
    }
}

/// Shapes, ranges and first values of outputs.
pub fn summarise(names: &[String], values: &[Value]) -> Vec<OutputSummary> {
    let one = |(name, value): (&String, &Value)| {
        let (range, first) = match value {
            Value::Tensor(t) => short(t),
            other => (String::new(), brief_value(other)),
        };
        OutputSummary { name: name.clone(), ty: describe(value), range, first }
    };
    names.iter().zip(values).map(one).collect()
}

/// The first entries of a map, or of the first map of a sequence.
fn brief_value(value: &Value) -> String {
    match value {
        Value::Map(map) => {
            let key = |i: usize| match &map.keys {
                MapKeys::Ints(_, keys) => keys.get(i).map(ToString::to_string),
                MapKeys::Strings(keys) => keys.get(i).map(|k| format!("{k:?}")),
            };
            let entry = |(i, v): (usize, &Value)| Some(format!("{}: {}", key(i)?, short(v.tensor().ok()?).1));
            format!("{{{}}}", map.values.iter().enumerate().filter_map(entry).take(6).collect::<Vec<_>>().join(", "))
        }
        Value::Sequence(items) => items.first().map(brief_value).unwrap_or_default(),
        Value::Tensor(t) => short(t).1,
        _ => String::new(),
    }
}

fn short(t: &Tensor) -> (String, String) {
    if let Ok(s) = t.strings() {
        return (String::new(), format!("{:?}", &s[..s.len().min(6)]));
    }
    let Ok(x) = t.to_f64s() else { return (String::new(), String::new()) };
    let finite = || x.iter().copied().filter(|x| x.is_finite());
    let range = match finite().next() {
        Some(_) => {
            let (lo, hi) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            let odd = x.len() - finite().count();
            let odd = if odd > 0 { format!(", {odd} not finite") } else { String::new() };
            format!("{} .. {}{odd}", brief(lo), brief(hi))
        }
        None if x.is_empty() => "empty".into(),
        None => "not finite".into(),
    };
    let dots = if x.len() > 6 { " .." } else { "" };
    (range, format!("{}{dots}", x.iter().take(6).map(|&x| brief(x)).collect::<Vec<_>>().join(" ")))
}

fn brief(x: f64) -> String {
    match x {
        x if x == x.trunc() && x.abs() < 1e15 => format!("{x:.0}"),
        x if x.abs() >= 1e-3 && x.abs() < 1e6 => format!("{x:.5}"),
        x => format!("{x:.3e}"),
    }
}

/// A model that is loaded once and run often.
pub struct Session {
    side: Box<dyn Runs>,
    names: Vec<String>,
}

impl Session {
    /// Loads `model` for `judge`.
    ///
    /// # Errors
    /// When the model holds what the backend cannot run.
    pub fn load(model: &Model, judge: &Judge, opts: &Opts) -> Result<Session> {
        Ok(Session { side: judge.load(model, opts)?, names: model.output_names() })
    }

    /// Outputs in the order of the model.
    ///
    /// # Errors
    /// When an input does not fit or the run fails.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>> {
        self.side.run(inputs)
    }

    /// Names of the outputs.
    pub fn output_names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::{DType, Map};

    #[test]
    fn sequences_of_maps_become_arrays_of_keys_and_values() {
        let map = |a: f32, b: f32| {
            let values = vec![Tensor::scalar(a).into(), Tensor::scalar(b).into()];
            Value::Map(Map { keys: MapKeys::Ints(DType::I64, vec![0, 1]), values })
        };
        let value = Value::Sequence(vec![map(0.25, 0.75), map(1.0, 0.0)]);
        let mut arrays = Vec::new();
        named_arrays("", &value, &mut arrays).unwrap();
        let names = arrays.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["0.keys", "0.values", "1.keys", "1.values"]);
        assert_eq!(arrays[1].1.as_slice::<f32>().unwrap(), [0.25, 0.75]);
        assert_eq!(summarise(&["p".into()], &[value])[0].first, "{0: 0.25000, 1: 0.75000}");
    }
}
