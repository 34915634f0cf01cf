//! SVMRegressor: a sum over support vectors of a coefficient times a kernel of the row and the vector, plus `rho`; with
//! `one_class`, whether it is positive. Without support vectors it is linear.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_SVMRegressor.html>

use crate::ml::scores::{self, Post};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[
        AttrDef::optional("coefficients", AttrKind::Floats),
        AttrDef::optional("kernel_params", AttrKind::Floats),
        AttrDef::string("kernel_type", "LINEAR"),
        AttrDef::int("n_supports", 0),
        AttrDef::int("one_class", 0),
        AttrDef::string("post_transform", "NONE"),
        AttrDef::optional("rho", AttrKind::Floats),
        AttrDef::optional("support_vectors", AttrKind::Floats),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator SVMRegressor.
pub static SVM_REGRESSOR: OpDef = OpDef {
    name: "SVMRegressor",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = scores::rows(cx.shape(0));
    cx.set_tensor(0, Some(F32), Some(vec![n, Dim::Known(1)]));
    Ok(())
}

/// A kernel: how alike a row and a support vector are.
pub(crate) enum Kernel {
    Linear,
    Poly { gamma: f64, shift: f64, degree: f64 },
    Rbf { gamma: f64 },
    Sigmoid { gamma: f64, shift: f64 },
}

impl Kernel {
    /// The kernel that the attributes `kernel_type` and `kernel_params` (gamma, shift, degree) name.
    ///
    /// # Errors
    /// When it is none of the specification's.
    pub(crate) fn of(attrs: &AttrView) -> OpResult<Kernel> {
        let listed = attrs.opt_floats("kernel_params")?.unwrap_or_default();
        let at = |i: usize| listed.get(i).map_or(0.0, |&v| f64::from(v));
        Ok(match attrs.string("kernel_type")? {
            "LINEAR" => Kernel::Linear,
            "POLY" => Kernel::Poly { gamma: at(0), shift: at(1), degree: at(2) },
            "RBF" => Kernel::Rbf { gamma: at(0) },
            "SIGMOID" => Kernel::Sigmoid { gamma: at(0), shift: at(1) },
            other => return Err(OpError::invalid(format!("kernel_type {other:?}"))),
        })
    }

    /// Its value for a row and a vector of as many features.
    pub(crate) fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        let dot = || x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        match *self {
            Kernel::Linear => dot(),
            Kernel::Poly { gamma, shift, degree } => (gamma * dot() + shift).powf(degree),
            Kernel::Rbf { gamma } => (-gamma * x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()).exp(),
            Kernel::Sigmoid { gamma, shift } => (gamma * dot() + shift).tanh(),
        }
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let wide = |name: &str| {
        Ok::<_, OpError>(cx.attrs.opt_floats(name)?.unwrap_or_default().into_iter().map(f64::from).collect::<Vec<_>>())
    };
    let (coefficients, vectors, rho) = (wide("coefficients")?, wide("support_vectors")?, wide("rho")?);
    let post = Post::of(cx.attrs.string("post_transform")?)?;
    let (n, features) = match x.shape() {
        [f] => (1, *f),
        [n, f] => (*n, *f),
        other => return Err(OpError::invalid(format!("features of shape {other:?}"))),
    };
    let supports = moves::sizes(&[cx.attrs.int("n_supports")?])?[0];
    let linear = supports == 0;
    let count = if linear { features } else { supports };
    let fits = coefficients.len() == count && (linear || Some(vectors.len()) == supports.checked_mul(features));
    if !fits || rho.is_empty() {
        let (c, v, r) = (coefficients.len(), vectors.len(), rho.len());
        return Err(OpError::invalid(format!(
            "{c} coefficients, {v} numbers of {supports} support vectors and {r} of rho for {features} features"
        )));
    }
    let kernel = Kernel::of(&cx.attrs)?;
    let data = x.to_f64s()?;
    let row = |i: usize| {
        let x = &data[i * features..][..features];
        let sum = match linear {
            true => Kernel::Linear.value(x, &coefficients),
            false => {
                let kernels = vectors.chunks_exact(features.max(1)).map(|v| kernel.value(x, v));
                kernels.zip(&coefficients).map(|(k, c)| k * c).sum::<f64>()
            }
        };
        sum + rho[0]
    };
    let one_class = cx.attrs.flag("one_class")?;
    let score = |y: f64| match one_class {
        true if y > 0.0 => 1.0,
        true => -1.0,
        false => post.row(&[y])[0],
    };
    let out = (0..n).map(|i| score(row(i))).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(F32, &[n, 1], &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[3, 2]);
        let case = s.case().input(x).attr("coefficients", vec![0.5f32, -1.0]).attr("rho", vec![0.25f32]);
        case.attr("kernel_type", "LINEAR").add();
    }
    for (kernel, one_class) in [("LINEAR", 0i64), ("POLY", 0), ("RBF", 0), ("SIGMOID", 0), ("RBF", 1)] {
        let x = s.any(F32, &[4, 2]);
        let case = s.case().input(x).attr("kernel_type", kernel).attr("n_supports", 3);
        let case = case.attr("support_vectors", vec![0.5f32, -1.0, 1.5, 0.25, -0.75, 1.0]);
        let case = case.attr("coefficients", vec![0.5f32, -1.0, 0.75]).attr("rho", vec![0.1f32]);
        case.attr("kernel_params", vec![0.5f32, 0.25, 2.0]).attr("one_class", one_class).add();
    }
    let x = s.any(F32, &[2]);
    let case = s.case().input(x).attr("coefficients", vec![0.1f32, 0.2]).attr("rho", vec![0.5f32]);
    case.attr("kernel_type", "LINEAR").attr("post_transform", "PROBIT").add();
}
