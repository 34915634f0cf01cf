//! Inputs between two samples, where a result is on its way from one to the other.
//!
//! A softmax or a sigmoid that is saturated in every sample says 0 and 1 whatever a small fault does before it: such
//! samples agree without proving anything. On the way from one sample to another with another result there is a place
//! where it says neither, and there the smallest change of what it is computed from shows.

use modelsmith_tensor::{Tensor, Value};

/// Runs on the way between two samples.
const STEPS: usize = 12;
/// Pairs of samples that are tried.
const PAIRS: usize = 4;
/// Places that are returned at most.
const WANTED: usize = 2;
/// Distance from 0 or 1 up to which a number is an edge.
const EDGE: f64 = 1e-3;

/// Inputs, and what the original makes of them.
pub struct Run {
    /// One value per input.
    pub inputs: Vec<Value>,
    /// One value per output.
    pub outputs: Vec<Value>,
}

/// Inputs on which an output is soft that is saturated in most of `runs`. `linear` says of each input whether numbers
/// between two of its values may be fed; others are spliced: a part of one sample, then the rest of the other.
///
/// `run` gives the outputs of the original, or `None` where it fails.
pub fn find(runs: &[Run], linear: &[bool], run: &mut dyn FnMut(&[Value]) -> Option<Vec<Value>>) -> Vec<Vec<Value>> {
    let outputs = runs.first().map_or(0, |r| r.outputs.len());
    let edgy = |o: &usize| 2 * runs.iter().filter(|r| r.outputs.get(*o).is_some_and(saturated)).count() > runs.len();
    let concerned = (0..outputs).filter(edgy).collect::<Vec<_>>();
    if concerned.is_empty() {
        return vec![];
    }
    let before = runs.iter().map(|r| softness(&r.outputs, &concerned)).fold(0.0, f64::max);
    let mut out = Vec::new();
    for (a, b) in pairs(runs, &concerned).into_iter().take(PAIRS) {
        if let Some((soft, inputs)) = bisect(a, b, &concerned, linear, run)
            && soft > before.max(EDGE)
        {
            out.push(inputs);
        }
        if out.len() == WANTED {
            break;
        }
    }
    out
}

/// True for numbers of which nearly all are 0, 1 or -1, with at least one that is not 0.
fn saturated(value: &Value) -> bool {
    let Some(x) = floats(value) else { return false };
    let edges = x.iter().filter(|v| edge(**v) <= EDGE).count();
    let largest = x.iter().fold(0f64, |m, v| m.max(v.abs()));
    (1.0 - EDGE..=1.0 + 1e-6).contains(&largest) && edges * 10 >= x.len() * 9
}

fn edge(x: f64) -> f64 {
    x.abs().min((1.0 - x.abs()).abs())
}

fn floats(value: &Value) -> Option<Vec<f64>> {
    let t = value.tensor().ok().filter(|t| t.dtype().is_float() && !t.is_empty())?;
    t.to_f64s().ok()
}

/// Largest distance of an element of these outputs from the nearest edge.
fn softness(outputs: &[Value], concerned: &[usize]) -> f64 {
    let all = concerned.iter().filter_map(|&o| floats(outputs.get(o)?)).flatten();
    all.map(edge).filter(|e| e.is_finite()).fold(0.0, f64::max)
}

/// Pairs of samples of equal shapes with clearly other results, in the order in which they were drawn.
fn pairs<'a>(runs: &'a [Run], concerned: &[usize]) -> Vec<(&'a Run, &'a Run)> {
    let mut out = Vec::new();
    for (i, b) in runs.iter().enumerate() {
        for a in &runs[..i] {
            let shape = |v: &Value| v.tensor().ok().map(|t| t.shape().to_vec());
            let alike = a.inputs.iter().zip(&b.inputs).all(|(x, y)| shape(x) == shape(y));
            let far = concerned.iter().any(|&o| distance(&a.outputs[o], &b.outputs[o]) > 0.5);
            if alike && far {
                out.push((a, b));
            }
        }
    }
    out
}

fn distance(a: &Value, b: &Value) -> f64 {
    match (floats(a), floats(b)) {
        (Some(x), Some(y)) if x.len() == y.len() => {
            x.iter().zip(&y).map(|(p, q)| (p - q).abs()).filter(|d| d.is_finite()).fold(0.0, f64::max)
        }
        _ => 0.0,
    }
}

/// The softest place that a search for the middle between the results of `a` and `b` comes by.
fn bisect(
    a: &Run,
    b: &Run,
    concerned: &[usize],
    linear: &[bool],
    run: &mut dyn FnMut(&[Value]) -> Option<Vec<Value>>,
) -> Option<(f64, Vec<Value>)> {
    let (mut from, mut to) = (0.0, 1.0);
    let mut best: Option<(f64, Vec<Value>)> = None;
    for _ in 0..STEPS {
        let at = 0.5 * (from + to);
        let inputs = mix(&a.inputs, &b.inputs, linear, at)?;
        let outputs = run(&inputs)?;
        let soft = softness(&outputs, concerned);
        if best.as_ref().is_none_or(|(s, _)| soft > *s) {
            best = Some((soft, inputs));
        }
        if soft > 0.2 {
            break;
        }
        match way(a, b, &outputs, concerned) < 0.5 {
            true => from = at,
            false => to = at,
        }
    }
    best
}

/// How far outputs are on the way from those of `a`, at 0, to those of `b`, at 1.
fn way(a: &Run, b: &Run, outputs: &[Value], concerned: &[usize]) -> f64 {
    let (mut along, mut whole) = (0.0, 0.0);
    for &o in concerned {
        let (Some(x), Some(y), Some(z)) = (floats(&a.outputs[o]), floats(&b.outputs[o]), floats(&outputs[o])) else {
            continue;
        };
        for ((x, y), z) in x.iter().zip(&y).zip(&z) {
            along += (z - x) * (y - x);
            whole += (y - x) * (y - x);
        }
    }
    if whole > 0.0 { along / whole } else { 0.0 }
}

fn mix(a: &[Value], b: &[Value], linear: &[bool], at: f64) -> Option<Vec<Value>> {
    a.iter().zip(b).zip(linear).map(|((a, b), linear)| mixed(a, b, *linear, at)).collect()
}

fn mixed(a: &Value, b: &Value, linear: bool, at: f64) -> Option<Value> {
    let (Ok(x), Ok(y)) = (a.tensor(), b.tensor()) else { return Some(a.clone()) };
    if x.dtype() != y.dtype() || x.shape() != y.shape() {
        return None;
    }
    let cut = (at * x.len() as f64).round() as usize;
    if let (Ok(p), Ok(q)) = (x.strings(), y.strings()) {
        let words = q[..cut].iter().chain(&p[cut..]).cloned().collect();
        return Tensor::from_strings(x.shape(), words).ok().map(Value::Tensor);
    }
    if x.dtype().is_complex() {
        return Some(a.clone());
    }
    let (p, q) = (x.to_f64s().ok()?, y.to_f64s().ok()?);
    let values = match linear && x.dtype().is_float() {
        true => p.iter().zip(&q).map(|(p, q)| p + at * (q - p)).collect(),
        false => [&q[..cut], &p[cut..]].concat(),
    };
    Tensor::from_f64s(x.dtype(), x.shape(), &values).ok().map(Value::Tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(x: &[f32]) -> Value {
        Value::Tensor(Tensor::vector(x))
    }

    /// A softmax over two classes that is decided by the sum of the inputs, with a slope that saturates it.
    fn classify(inputs: &[Value]) -> Option<Vec<Value>> {
        let sum = inputs[0].tensor().ok()?.to_f64s().ok()?.iter().sum::<f64>();
        let p = 1.0 / (1.0 + (-200.0 * sum).exp());
        Some(vec![value(&[p as f32, (1.0 - p) as f32])])
    }

    #[test]
    fn a_soft_place_is_found_between_saturated_samples() {
        let run = |x: &[f32]| Run { inputs: vec![value(x)], outputs: classify(&[value(x)]).unwrap() };
        let runs = [run(&[1.0, 2.0, 0.5]), run(&[-1.0, -3.0, 0.25]), run(&[4.0, 4.0, 4.0])];
        assert!(runs.iter().all(|r| saturated(&r.outputs[0])));
        let found = find(&runs, &[true], &mut |x| classify(x));
        let soft = softness(&classify(&found[0]).unwrap(), &[0]);
        assert!(soft > 0.01, "{soft}");
    }

    #[test]
    fn ordinary_outputs_are_left_alone() {
        assert!(!saturated(&value(&[0.3, 0.7])) && !saturated(&value(&[0.0, 0.0])) && !saturated(&value(&[5.0, 0.0])));
        let run = |x: &[f32]| Run { inputs: vec![value(x)], outputs: vec![value(x)] };
        assert!(find(&[run(&[0.3]), run(&[2.0])], &[true], &mut |_| unreachable!()).is_empty());
    }

    #[test]
    fn integers_are_spliced() {
        let v = |x: &[i64]| Value::Tensor(Tensor::vector(x));
        let m = mixed(&v(&[1, 2, 3, 4]), &v(&[5, 6, 7, 8]), true, 0.5).unwrap();
        assert_eq!(m.tensor().unwrap().to_i64s().unwrap(), [5, 6, 3, 4]);
    }
}
