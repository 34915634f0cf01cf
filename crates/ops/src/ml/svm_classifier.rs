//! SVMClassifier: pairs of classes told apart by support vectors, each decision a vote; or, without support
//! vectors, one weighted sum per class. With `prob_a` and `prob_b` the decisions become probabilities.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_SVMClassifier.html>

use crate::ml::scores::{self, Labels, Post};
use crate::ml::svm_regressor::Kernel;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2"), Param::one("Z", "tensor(float)")],
    attrs: &[
        AttrDef::optional("classlabels_ints", AttrKind::Ints),
        AttrDef::optional("classlabels_strings", AttrKind::Strings),
        AttrDef::optional("coefficients", AttrKind::Floats),
        AttrDef::optional("kernel_params", AttrKind::Floats),
        AttrDef::string("kernel_type", "LINEAR"),
        AttrDef::string("post_transform", "NONE"),
        AttrDef::optional("prob_a", AttrKind::Floats),
        AttrDef::optional("prob_b", AttrKind::Floats),
        AttrDef::optional("rho", AttrKind::Floats),
        AttrDef::optional("support_vectors", AttrKind::Floats),
        AttrDef::optional("vectors_per_class", AttrKind::Ints),
    ],
    types: &[types_of("T1", TypeSet::tensors(&[F32, F64, I32, I64])), types_of("T2", TypeSet::tensors(&[I64, String]))],
};

/// The ONNX operator SVMClassifier.
pub static SVM_CLASSIFIER: OpDef = OpDef {
    name: "SVMClassifier",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    infer,
    eval,
    samples,
    ..OpDef::BASE
};

/// The attributes, read and checked.
struct Machine {
    labels: Labels,
    classes: usize,
    /// Where the support vectors of each class begin; the last entry is their number. Empty for a linear machine.
    starts: Vec<usize>,
    coefficients: Vec<f64>,
    vectors: Vec<f64>,
    rho: Vec<f64>,
    /// The two coefficients that make each decision a probability.
    sigmoids: Vec<(f64, f64)>,
    kernel: Kernel,
    post: Post,
}

impl Machine {
    fn of(attrs: &AttrView) -> OpResult<Machine> {
        let wide = |name: &str| {
            let list = attrs.opt_floats(name)?.unwrap_or_default();
            Ok::<_, OpError>(list.into_iter().map(f64::from).collect::<Vec<_>>())
        };
        let labels = Labels::of(attrs, "classlabels_ints", "classlabels_strings")?;
        let counts = moves::sizes(&attrs.opt_ints("vectors_per_class")?.unwrap_or_default())?;
        let mut starts = vec![0usize];
        for &n in &counts {
            starts.push(starts[starts.len() - 1].saturating_add(n));
        }
        if starts[starts.len() - 1] == 0 {
            starts.clear();
        }
        let (a, b) = (wide("prob_a")?, wide("prob_b")?);
        let machine = Machine {
            classes: labels.len().max(1),
            labels,
            kernel: if starts.is_empty() { Kernel::Linear } else { Kernel::of(attrs)? },
            starts,
            coefficients: wide("coefficients")?,
            vectors: wide("support_vectors")?,
            rho: wide("rho")?,
            sigmoids: a.iter().copied().zip(b.iter().copied()).collect(),
            post: Post::of(attrs.string("post_transform")?)?,
        };
        match machine.problem(a.len(), b.len()) {
            Some(why) => Err(OpError::invalid(why)),
            None => Ok(machine),
        }
    }

    fn problem(&self, a: usize, b: usize) -> Option<std::string::String> {
        let pairs = self.pairs();
        let supports = self.starts.last().copied().unwrap_or(0);
        if self.starts.is_empty() {
            return self.rho.is_empty().then(|| "rho is empty".into());
        }
        if self.starts.len() != self.classes + 1 {
            return Some(format!("{} classes and {} of vectors_per_class", self.classes, self.starts.len() - 1));
        }
        if self.rho.len() < pairs || (a > 0 && (a < pairs || b < pairs)) {
            let n = self.rho.len();
            return Some(format!("{pairs} pairs of classes, {n} of rho, {a} of prob_a and {b} of prob_b"));
        }
        let wanted = supports.checked_mul(self.classes - 1);
        (Some(self.coefficients.len()) != wanted || !self.vectors.len().is_multiple_of(supports)).then(|| {
            let (c, v) = (self.coefficients.len(), self.vectors.len());
            format!("{c} coefficients and {v} numbers for {supports} support vectors of {} classes", self.classes)
        })
    }

    fn pairs(&self) -> usize {
        self.classes * (self.classes - 1) / 2
    }

    fn probabilistic(&self) -> bool {
        !self.starts.is_empty() && !self.sigmoids.is_empty()
    }

    /// Number of scores of a row.
    fn columns(&self) -> usize {
        match self.starts.is_empty() || self.probabilistic() || self.classes <= 2 {
            true if !self.starts.is_empty() => self.classes.max(2),
            true => self.classes,
            false => self.pairs(),
        }
    }

    /// What tells the first class of each pair from the second: positive for the first.
    fn decisions(&self, x: &[f64]) -> Vec<f64> {
        let kernels = self.vectors.chunks_exact(x.len().max(1)).map(|v| self.kernel.value(x, v)).collect::<Vec<_>>();
        let supports = kernels.len();
        // The coefficients of the vectors of class `of` against another class.
        let part = |row: usize, of: usize| {
            let range = self.starts[of]..self.starts[of + 1];
            let weights = &self.coefficients[row * supports..][range.clone()];
            weights.iter().zip(&kernels[range]).map(|(w, k)| w * k).sum::<f64>()
        };
        let pairs = (0..self.classes).flat_map(|i| (i + 1..self.classes).map(move |j| (i, j)));
        pairs.zip(&self.rho).map(|((i, j), rho)| rho + part(j - 1, i) + part(i, j)).collect()
    }

    /// Place of the label of a row, and its scores.
    fn classify(&self, x: &[f64]) -> (usize, Vec<f64>) {
        if self.starts.is_empty() {
            return self.linear(x);
        }
        let decisions = self.decisions(x);
        let mut votes = vec![0.0; self.classes];
        let mut chances = vec![vec![0.0; self.classes]; self.classes];
        let mut at = 0;
        for i in 0..self.classes {
            for j in i + 1..self.classes {
                votes[if decisions[at] > 0.0 { i } else { j }] += 1.0;
                if let Some((a, b)) = self.sigmoids.get(at) {
                    let p = (1.0 - scores::logistic(decisions[at] * a + b)).clamp(1e-7, 1.0 - 1e-7);
                    (chances[i][j], chances[j][i]) = (p, 1.0 - p);
                }
                at += 1;
            }
        }
        let place = scores::largest(&votes);
        match (self.probabilistic(), decisions.as_slice()) {
            (true, _) => (place, self.post.row(&coupled(&chances))),
            (false, &[one]) => match self.post {
                Post::Softmax | Post::SoftmaxZero => (place, self.post.row(&[-one, one])),
                post => (place, post.pair(one, false).to_vec()),
            },
            (false, all) => (place, self.post.row(all)),
        }
    }

    fn linear(&self, x: &[f64]) -> (usize, Vec<f64>) {
        let sums = self.coefficients.chunks_exact(x.len().max(1)).map(|w| self.rho[0] + Kernel::Linear.value(x, w));
        let sums = sums.collect::<Vec<_>>();
        (scores::largest(&sums), self.post.row(&sums))
    }
}

/// Probabilities of the classes that fit the chances of each against each best, by the iteration and the bound at which
/// libsvm stops. Wu, Lin and Weng, Probability Estimates for Multi-class Classification by Pairwise Coupling, 2004.
fn coupled(chances: &[Vec<f64>]) -> Vec<f64> {
    let k = chances.len();
    let quadratic = |t: usize, j: usize| match t == j {
        true => (0..k).filter(|&j| j != t).map(|j| chances[j][t] * chances[j][t]).sum::<f64>(),
        false => -chances[j][t] * chances[t][j],
    };
    let q = (0..k).map(|t| (0..k).map(|j| quadratic(t, j)).collect::<Vec<_>>()).collect::<Vec<_>>();
    let mut p = vec![1.0 / k as f64; k];
    for _ in 0..k.max(100) {
        let mut slopes = q.iter().map(|row| row.iter().zip(&p).map(|(a, b)| a * b).sum::<f64>()).collect::<Vec<_>>();
        let mut level = slopes.iter().zip(&p).map(|(a, b)| a * b).sum::<f64>();
        if slopes.iter().all(|s| (s - level).abs() < 0.005 / k as f64) {
            break;
        }
        for (t, row) in q.iter().enumerate() {
            let step = (level - slopes[t]) / row[t];
            let whole = 1.0 + step;
            p[t] += step;
            level = (level + step * (step * row[t] + 2.0 * slopes[t])) / (whole * whole);
            p.iter_mut().for_each(|p| *p /= whole);
            slopes.iter_mut().zip(row).for_each(|(s, q)| *s = (*s + step * q) / whole);
        }
    }
    p
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let machine = Machine::of(&cx.attrs)?;
    let n = scores::rows(cx.shape(0));
    cx.set_tensor(0, Some(machine.labels.dtype()), Some(vec![n.clone()]));
    cx.set_tensor(1, Some(F32), Some(vec![n, machine.columns().into()]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let machine = Machine::of(&cx.attrs)?;
    let x = cx.tensor(inputs, 0)?;
    let (n, features) = match x.shape() {
        [f] => (1, *f),
        [n, f] => (*n, *f),
        other => return Err(OpError::invalid(format!("features of shape {other:?}"))),
    };
    let (held, rows) = match machine.starts.last() {
        Some(&supports) => (machine.vectors.len(), supports),
        None => (machine.coefficients.len(), machine.classes),
    };
    if Some(held) != rows.checked_mul(features) {
        return Err(OpError::invalid(format!("{held} numbers for {rows} vectors of {features} features")));
    }
    let data = x.to_f64s()?;
    let (mut places, mut out) = (Vec::new(), Vec::new());
    for i in 0..n {
        let (place, row) = machine.classify(&data[i * features..][..features]);
        places.push(place);
        out.extend(row);
    }
    let z = Tensor::from_f64s(F32, &[n, machine.columns()], &out)?;
    Ok(vec![machine.labels.tensor(&places)?.into(), z.into()])
}

fn samples(s: &mut Samples) {
    let words = |n: usize| ["a", "b", "c"].map(str::to_owned)[..n].to_vec();
    for dtype in SCHEMA.types[0].set.dtypes() {
        for (post, kernel) in Post::NAMES.into_iter().zip(["LINEAR", "POLY", "RBF", "SIGMOID", "RBF"]) {
            for (classes, chances) in [(2usize, false), (2, true), (3, false), (3, true)] {
                let (x, vectors) = (s.any(dtype, &[4, 2]), s.floats(F32, &[2 * 2 * classes], -2.0, 2.0));
                let weights = s.floats(F32, &[(classes - 1) * 2 * classes], -1.0, 1.0);
                let list = |t: &Tensor| t.as_slice::<f32>().map(<[f32]>::to_vec).unwrap_or_default();
                let case = s.case().input(x).outputs(2).attr("post_transform", post).attr("kernel_type", kernel);
                let case = case.attr("support_vectors", list(&vectors)).attr("coefficients", list(&weights));
                let case = case.attr("vectors_per_class", vec![2i64; classes]);
                let case = case.attr("rho", vec![0.1f32, -0.2, 0.3][..classes * (classes - 1) / 2].to_vec());
                let case = case.attr("kernel_params", vec![0.5f32, 0.25, 2.0]);
                let case = match chances {
                    true => case.attr("prob_a", vec![-1.5f32, -0.5, -1.0]).attr("prob_b", vec![0.1f32, 0.0, -0.2]),
                    false => case,
                };
                match post {
                    "NONE" => case.attr("classlabels_ints", [7i64, 3, 5][..classes].to_vec()).add(),
                    _ => case.attr("classlabels_strings", words(classes)).add(),
                }
            }
        }
    }
    let x = s.any(F32, &[3, 2]);
    let case = s.case().input(x).outputs(2).attr("coefficients", vec![0.5f32, -1.0, 0.25, 0.75, 1.0, 0.1]);
    let case = case.attr("kernel_params", vec![0.0f32, 0.0, 0.0]);
    case.attr("rho", vec![0.25f32]).attr("classlabels_ints", [1i64, 2, 3]).add();
}
