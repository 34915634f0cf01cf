//! Einsum: sum of products over labelled dimensions, by an equation such as `bij,bjk->bik`. <https://onnx.ai/onnx/operators/onnx__Einsum.html>

use super::contraction::{self, Number};
use super::equation::{Equation, Label};
use super::reduction::Groups;
use crate::prelude::*;
use std::collections::HashMap;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("Inputs", "T", 1)],
    outputs: &[Param::one("Output", "T")],
    attrs: &[AttrDef::required("equation", AttrKind::String)],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Einsum.
pub static EINSUM: OpDef = OpDef {
    name: "Einsum",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(super::einsum_product::decompose),
    history: &[Past {
        since: 12,
        schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shapes = (0..cx.input_count()).map(|i| cx.shape(i)).collect::<Option<Vec<_>>>();
    let shape = match shapes {
        None => None,
        Some(shapes) => {
            let ranks = shapes.iter().map(|s| s.len()).collect::<Vec<_>>();
            let equation = Equation::parse(cx.attrs.string("equation")?, &ranks)?;
            let mut sizes = HashMap::new();
            for (&label, dim) in equation.inputs.iter().flatten().zip(shapes.iter().copied().flatten()) {
                let held = sizes.entry(label).or_insert(Dim::Known(1));
                let both = held.broadcast(dim);
                *held = both.ok_or_else(|| OpError::invalid(format!("{label:?} is {held} and {dim}")))?;
            }
            let size = |l| sizes.get(l).cloned().unwrap_or(Dim::Known(1));
            Some(equation.output.iter().map(size).collect())
        }
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let all = (0..inputs.len()).map(|i| cx.tensor(inputs, i)).collect::<OpResult<Vec<_>>>()?;
    let first = all.first().ok_or_else(|| OpError::invalid("at least one input is required"))?;
    if let Some(other) = all.iter().find(|t| t.dtype() != first.dtype()) {
        return Err(OpError::invalid(format!("operands of types {} and {}", first.dtype(), other.dtype())));
    }
    let ranks = all.iter().map(|t| t.rank()).collect::<Vec<_>>();
    let equation = Equation::parse(cx.attrs.string("equation")?, &ranks)?;
    let mut sizes = HashMap::new();
    for (&label, &size) in equation.inputs.iter().flatten().zip(all.iter().flat_map(|t| t.shape())) {
        let held = sizes.entry(label).or_insert(1);
        match (*held, size) {
            (a, b) if a == b || b == 1 => {}
            (1, b) => *held = b,
            (a, b) => return Err(OpError::invalid(format!("{label:?} is {a} and {b}"))),
        }
    }
    let dtype = first.dtype();
    let out = if dtype.is_float() {
        let (shape, y) = evaluate(&equation, &sizes, &all, |t| Ok(t.to_f64s()?))?;
        Tensor::from_f64s(dtype, &shape, &y)?
    } else {
        let (shape, y) = evaluate(&equation, &sizes, &all, |t| Ok(t.to_i64s()?))?;
        Tensor::from_i64s(dtype, &shape, &y)?
    };
    Ok(vec![out.into()])
}

/// A dense operand: one size per label, each label once. A size of 1 stands for the label's full size.
struct Term<T> {
    labels: Vec<Label>,
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T: Number<Sum = T>> Term<T> {
    /// The operand with the diagonal taken of each repeated label.
    fn read(labels: &[Label], shape: &[usize], data: &[T]) -> Term<T> {
        let strides = index::strides(shape);
        let (mut own, mut sizes, mut steps) = (Vec::<Label>::new(), Vec::<usize>::new(), Vec::new());
        for ((&label, &size), &stride) in labels.iter().zip(shape).zip(&strides) {
            let stride = if size == 1 { 0 } else { stride };
            match own.iter().position(|&l| l == label) {
                Some(i) => {
                    // One of the two may be 1 and stand for the other, which may be 0.
                    sizes[i] = if sizes[i] == 1 { size } else { sizes[i] };
                    steps[i] += stride;
                }
                None => {
                    own.push(label);
                    sizes.push(size);
                    steps.push(stride);
                }
            }
        }
        let data = index::Offsets::unsigned(&sizes, &steps).map(|i| data[i]).collect();
        Term { labels: own, shape: sizes, data }
    }

    /// Position and size of a label here.
    fn dim(&self, label: Label) -> Option<(usize, usize)> {
        let i = self.labels.iter().position(|&l| l == label)?;
        Some((i, self.shape[i]))
    }

    /// The elements in the order of `labels` (a superset of those here), repeated to `sizes` where absent or 1.
    fn arranged(&self, labels: &[Label], sizes: &[usize]) -> Vec<T> {
        let strides = index::strides(&self.shape);
        let step = |&l: &Label| self.dim(l).map_or(0, |(i, size)| if size == 1 { 0 } else { strides[i] });
        let steps = labels.iter().map(step).collect::<Vec<_>>();
        index::Offsets::unsigned(sizes, &steps).map(|i| self.data[i]).collect()
    }

    /// The sum over all labels that are not among `kept`. `full` gives the size of a label that is 1 here.
    fn summed(self, kept: &[Label], repeats: impl Fn(Label, usize) -> usize) -> OpResult<Term<T>> {
        let axes = (0..self.labels.len()).filter(|&i| !kept.contains(&self.labels[i])).collect::<Vec<_>>();
        if axes.is_empty() {
            return Ok(self);
        }
        let times = axes.iter().map(|&i| repeats(self.labels[i], self.shape[i])).product::<usize>();
        let groups = Groups::over(&self.shape, &axes, false);
        let sums = groups.fold(&self.data, T::ZERO, T::plus);
        // A dimension of 1 that stands for more is added that many times.
        let data = sums.into_iter().map(|s| (1..times).fold(s, |a, _| a.plus(s))).collect();
        let labels = self.labels.iter().copied().filter(|l| kept.contains(l)).collect();
        Ok(Term { labels, shape: groups.shape, data })
    }
}

/// Operands contracted from left to right, each step one batched matrix product.
fn evaluate<T: Number<Sum = T>>(
    equation: &Equation,
    sizes: &HashMap<Label, usize>,
    all: &[&Tensor],
    read: impl Fn(&Tensor) -> OpResult<Vec<T>>,
) -> OpResult<(Vec<usize>, Vec<T>)> {
    let size = |l: Label| sizes.get(&l).copied().unwrap_or(1);
    let mut held: Option<Term<T>> = None;
    for (i, (labels, t)) in equation.inputs.iter().zip(all).enumerate() {
        let next = Term::read(labels, t.shape(), &read(t)?);
        let later = equation.inputs[i + 1..].iter().flatten().chain(&equation.output).copied().collect::<Vec<_>>();
        let first = held.is_none();
        let term = match held {
            None => next,
            Some(before) => pair(before, next, &later, &size)?,
        };
        // The first operand must keep what the second shares with it: those labels are among `later`.
        held = Some(if first || i + 1 == all.len() {
            term.summed(&later, |l, n| if n == 1 { size(l) } else { 1 })?
        } else {
            term
        });
    }
    let term = held.ok_or_else(|| OpError::invalid("at least one input is required"))?;
    let shape = equation.output.iter().map(|&l| size(l)).collect::<Vec<_>>();
    contraction::checked_len(F64, &shape)?;
    Ok((shape.clone(), term.arranged(&equation.output, &shape)))
}

/// One product of two terms that keeps the labels in `kept` and sums over the others.
fn pair<T: Number<Sum = T>>(
    a: Term<T>,
    b: Term<T>,
    kept: &[Label],
    size: &impl Fn(Label) -> usize,
) -> OpResult<Term<T>> {
    let full = |l: Label, n: usize| if n == 1 { size(l) } else { 1 };
    let mut wanted_b = kept.to_vec();
    wanted_b.extend(&a.labels);
    let b = b.summed(&wanted_b, full)?;
    let mut wanted_a = kept.to_vec();
    wanted_a.extend(&b.labels);
    let a = a.summed(&wanted_a, full)?;
    let shared = |keep: bool| {
        a.labels.iter().copied().filter(|&l| b.dim(l).is_some() && kept.contains(&l) == keep).collect::<Vec<_>>()
    };
    let (batch, depth) = (shared(true), shared(false));
    let rows = a.labels.iter().copied().filter(|&l| b.dim(l).is_none()).collect::<Vec<_>>();
    let columns = b.labels.iter().copied().filter(|&l| a.dim(l).is_none()).collect::<Vec<_>>();
    let sizes = |labels: &[Label]| labels.iter().map(|&l| size(l)).collect::<Vec<_>>();
    let left = [batch.as_slice(), &rows, &depth].concat();
    let right = [batch.as_slice(), &depth, &columns].concat();
    let labels = [batch.as_slice(), &rows, &columns].concat();
    let shape = sizes(&labels);
    let len = contraction::checked_len(F64, &shape)?;
    contraction::checked_len(F64, &sizes(&left))?;
    contraction::checked_len(F64, &sizes(&right))?;
    let (x, y) = (a.arranged(&left, &sizes(&left)), b.arranged(&right, &sizes(&right)));
    let count = |labels: &[Label]| sizes(labels).iter().product::<usize>();
    let (m, k, n) = (count(&rows), count(&depth), count(&columns));
    let mut data = vec![T::ZERO; len];
    if m * n > 0 {
        for (i, out) in data.chunks_exact_mut(m * n).enumerate() {
            T::matmul(m, k, n, &x[i * m * k..][..m * k], &y[i * k * n..][..k * n], out);
        }
    }
    Ok(Term { labels, shape, data })
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3, 2]));
        s.case().attr("equation", "ij,jk->ik").input(a).input(b).add();
    }
    let cases: [(&str, &[&[usize]]); 19] = [
        ("->", &[&[]]),
        ("i->", &[&[5]]),
        ("ij->ji", &[&[2, 3]]),
        ("ii->i", &[&[3, 3]]),
        ("ii", &[&[3, 3]]),
        ("ij", &[&[2, 3]]),
        ("i,i->", &[&[4], &[4]]),
        ("i,j", &[&[2], &[3]]),
        ("bij, bjk", &[&[2, 3, 4], &[2, 4, 5]]),
        ("bhid,bhjd->bhij", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]),
        ("...ij,...jk->...ik", &[&[2, 1, 2, 3], &[3, 3, 2]]),
        ("...ij->...ji", &[&[1, 2, 1, 2, 3]]),
        ("...ii->...i", &[&[2, 3, 3]]),
        ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
        ("ij,ij,i->j", &[&[2, 3], &[2, 3], &[2]]),
        ("ij,k->i", &[&[2, 3], &[4]]),
        ("aB,Bc->ac", &[&[2, 0], &[0, 3]]),
        ("ij,kj->k", &[&[2, 1], &[4, 3]]),
        ("ii->i", &[&[1, 0]]),
    ];
    for (equation, shapes) in cases {
        let operands = shapes.iter().map(|shape| s.any(F32, shape)).collect::<Vec<_>>();
        let case = s.case().attr("equation", equation);
        operands.into_iter().fold(case, |case, t| case.input(t)).add();
    }
}
