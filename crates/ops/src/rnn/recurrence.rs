//! What LSTM, GRU and RNN share: attributes, layouts, directions, lengths of sequences, and the walk over time.

use super::activation::Activation;
use crate::prelude::*;

/// Attributes of a recurrent operator.
#[derive(Clone, Debug)]
pub struct RecurrentAttrs {
    /// Number of directions: 2 when bidirectional.
    pub directions: usize,
    /// True when the first (or only) direction runs backwards.
    pub reverse: bool,
    /// True when tensors begin with the batch instead of the sequence.
    pub batch_first: bool,
    /// Size of the hidden state, if given.
    pub hidden: Option<usize>,
    /// Bound of the arguments of activation functions.
    pub clip: Option<f64>,
    /// Functions of each direction, one direction after the other.
    pub activations: Vec<Activation>,
}

impl RecurrentAttrs {
    /// Reads the attributes; `default` are the functions of one direction.
    ///
    /// # Errors
    /// When one is of another kind or out of its range.
    pub fn of(attrs: &AttrView, default: &[&str]) -> OpResult<RecurrentAttrs> {
        let (directions, reverse) = match attrs.string("direction")? {
            "forward" => (1, false),
            "reverse" => (1, true),
            "bidirectional" => (2, false),
            other => return Err(OpError::invalid(format!("direction is {other:?}"))),
        };
        let wanted = default.len() * directions;
        let mut names = match attrs.raw().get("activations") {
            Some(_) => attrs.strings("activations")?,
            None => vec![],
        };
        if names.is_empty() {
            names = default.iter().cycle().take(wanted).map(|s| (*s).to_owned()).collect();
        }
        if names.len() < wanted {
            return Err(OpError::invalid(format!("{} activations, {wanted} are wanted", names.len())));
        }
        names.truncate(wanted);
        let list = |name: &str| Ok::<_, OpError>(attrs.opt_floats(name)?.unwrap_or_default());
        let hidden = attrs.opt_int("hidden_size")?.map(|h| usize::try_from(h).ok().filter(|&h| h > 0));
        if hidden == Some(None) {
            return Err(OpError::invalid("hidden_size must be at least 1"));
        }
        Ok(RecurrentAttrs {
            directions,
            reverse,
            batch_first: attrs.flag("layout")?,
            hidden: hidden.flatten(),
            clip: attrs.opt_float("clip")?.map(f64::from).filter(|&c| c > 0.0),
            activations: Activation::read(&names, &list("activation_alpha")?, &list("activation_beta")?)?,
        })
    }

    /// Types of the outputs: all hidden states, then `states` last states.
    ///
    /// # Errors
    /// When the input is not of rank 3.
    pub fn infer(&self, cx: &mut InferCx, states: usize) -> OpResult<()> {
        if let Some(rank) = [0, 1, 2].into_iter().filter_map(|i| cx.rank(i)).find(|&r| r != 3) {
            return Err(OpError::invalid(format!("X, W and R must be of rank 3, one is of rank {rank}")));
        }
        let hidden = match (self.hidden, cx.shape(2)) {
            (Some(h), _) => Dim::from(h),
            (None, Some(r)) => r[2].clone(),
            (None, None) => Dim::Unknown,
        };
        let (first, second) = cx.shape(0).map_or((Dim::Unknown, Dim::Unknown), |x| (x[0].clone(), x[1].clone()));
        let directions = Dim::from(self.directions);
        let (all, last) = match self.batch_first {
            true => (vec![first.clone(), second, directions.clone(), hidden.clone()], vec![first, directions, hidden]),
            false => {
                (vec![first, directions.clone(), second.clone(), hidden.clone()], vec![directions, second, hidden])
            }
        };
        cx.set_tensor(0, cx.dtype(0), Some(all));
        for i in 1..=states {
            cx.set_tensor(i, cx.dtype(0), Some(last.clone()));
        }
        Ok(())
    }

    /// The functions of direction `d`, `count` of them.
    pub fn functions(&self, d: usize, count: usize) -> &[Activation] {
        &self.activations[d * count..][..count]
    }

    /// `x` within the bound.
    pub fn clipped(&self, x: f64) -> f64 {
        self.clip.map_or(x, |c| x.clamp(-c, c))
    }
}

/// The operands of a recurrent operator as dense `f64`, sequence first.
pub struct Problem {
    /// Attributes.
    pub attrs: RecurrentAttrs,
    /// Length of the sequences.
    pub steps: usize,
    /// Number of sequences.
    pub batch: usize,
    /// Size of the input.
    pub input: usize,
    /// Size of the hidden state.
    pub hidden: usize,
    /// Gates: rows of the weights over `hidden`.
    pub gates: usize,
    x: Vec<f64>,
    w: Vec<f64>,
    r: Vec<f64>,
    bias: Option<Vec<f64>>,
    lengths: Vec<usize>,
}

/// Swaps the first two of three dimensions of `[a, b, c]`.
fn swapped(x: &[f64], a: usize, b: usize, c: usize) -> Vec<f64> {
    (0..b * a).flat_map(|i| x[((i % a) * b + i / a) * c..][..c].to_vec()).collect()
}

impl Problem {
    /// Reads operands 0 to 4: X, W, R, B, sequence_lens.
    ///
    /// # Errors
    /// When shapes do not fit each other.
    pub fn of(cx: &EvalCx, inputs: &[Option<&Value>], attrs: RecurrentAttrs, gates: usize) -> OpResult<Problem> {
        let (x, w, r) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
        let &[first, second, input] = x.shape() else {
            return Err(OpError::invalid(format!("X of shape {:?}, rank 3 is wanted", x.shape())));
        };
        let hidden = r.shape().last().copied().unwrap_or(0);
        let d = attrs.directions;
        let expect = |name: &str, t: &Tensor, shape: &[usize]| match t.shape() == shape {
            true => Ok(()),
            false => Err(OpError::invalid(format!("{name} has shape {:?}, {shape:?} is wanted", t.shape()))),
        };
        expect("W", w, &[d, gates * hidden, input])?;
        expect("R", r, &[d, gates * hidden, hidden])?;
        if attrs.hidden.is_some_and(|h| h != hidden) {
            return Err(OpError::invalid(format!("hidden_size is {:?}, R says {hidden}", attrs.hidden)));
        }
        let (steps, batch) = if attrs.batch_first { (second, first) } else { (first, second) };
        let bias = cx.opt_tensor(inputs, 3)?;
        if let Some(b) = bias {
            expect("B", b, &[d, 2 * gates * hidden])?;
        }
        let lengths = match cx.opt_ints(inputs, 4)? {
            None => vec![steps; batch],
            Some(list) => {
                let read = |&n: &i64| usize::try_from(n).ok().filter(|&n| n <= steps);
                let list = list.iter().map(read).collect::<Option<Vec<_>>>().filter(|l| l.len() == batch);
                list.ok_or_else(|| OpError::invalid(format!("sequence_lens must hold {batch} lengths up to {steps}")))?
            }
        };
        let data = x.to_f64s()?;
        let x = if attrs.batch_first { swapped(&data, batch, steps, input) } else { data };
        let (w, r, bias) = (w.to_f64s()?, r.to_f64s()?, bias.map(Tensor::to_f64s).transpose()?);
        Ok(Problem { attrs, steps, batch, input, hidden, gates, x, w, r, bias, lengths })
    }

    /// Operand `i`, a state before the first step: for each direction `[batch, hidden]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn initial(&self, cx: &EvalCx, inputs: &[Option<&Value>], i: usize) -> OpResult<Vec<Vec<f64>>> {
        let (d, b, h) = (self.attrs.directions, self.batch, self.hidden);
        let Some(t) = cx.opt_tensor(inputs, i)? else { return Ok(vec![vec![0.0; b * h]; d]) };
        let wanted = if self.attrs.batch_first { [b, d, h] } else { [d, b, h] };
        if t.shape() != wanted {
            return Err(OpError::invalid(format!("input {i} has shape {:?}, {wanted:?} is wanted", t.shape())));
        }
        let data = t.to_f64s()?;
        let data = if self.attrs.batch_first { swapped(&data, b, d, h) } else { data };
        Ok((0..d).map(|i| data[i * b * h..][..b * h].to_vec()).collect())
    }

    /// Bias number `which` (0 of the input, 1 of the hidden state) of direction `d`, gate `g`.
    pub fn bias(&self, d: usize, which: usize, g: usize) -> Option<&[f64]> {
        let (gates, h) = (self.gates, self.hidden);
        self.bias.as_ref().map(|b| &b[((d * 2 + which) * gates + g) * h..][..h])
    }

    /// `out[batch, count * hidden] += state[batch, hidden]` times the recurrent weights of gates `from..from + count`.
    pub fn recur(&self, d: usize, state: &[f64], from: usize, count: usize, out: &mut [f64]) {
        let h = self.hidden;
        let r = &self.r[(d * self.gates + from) * h * h..][..count * h * h];
        contract::strided(self.batch, h, count * h, (state, h, 1), (r, 1, h), out);
    }

    /// The input times its weights: `[steps, batch, gates * hidden]`.
    fn driven(&self, d: usize) -> Vec<f64> {
        let (rows, width) = (self.steps * self.batch, self.gates * self.hidden);
        let w = &self.w[d * width * self.input..][..width * self.input];
        let mut out = vec![0.0; rows * width];
        contract::strided(rows, self.input, width, (&self.x, self.input, 1), (w, 1, self.input), &mut out);
        out
    }

    /// Walks over time. `step(direction, driven input [batch, gates * hidden], states)` gives the new states, the hidden
    /// one first. Returns the outputs: all hidden states, then the last value of each state.
    ///
    /// # Errors
    /// When the outputs are too large for memory.
    pub fn run(
        &self,
        dtype: DType,
        mut states: Vec<Vec<Vec<f64>>>,
        step: impl Fn(usize, &[f64], &[Vec<f64>]) -> Vec<Vec<f64>>,
    ) -> OpResult<Vec<Value>> {
        let (n, b, h, dirs) = (self.steps, self.batch, self.hidden, self.attrs.directions);
        let width = self.gates * h;
        let mut all = vec![0.0; n * dirs * b * h];
        for (d, states) in states.iter_mut().enumerate() {
            let driven = self.driven(d);
            let backwards = self.attrs.reverse || d == 1;
            for s in 0..n {
                let time = |i: usize| if backwards { self.lengths[i].saturating_sub(1 + s) } else { s };
                let rows = (0..b).flat_map(|i| driven[(time(i) * b + i) * width..][..width].to_vec());
                let new = step(d, &rows.collect::<Vec<_>>(), states);
                for i in (0..b).filter(|&i| s < self.lengths[i]) {
                    for (state, new) in states.iter_mut().zip(&new) {
                        state[i * h..][..h].copy_from_slice(&new[i * h..][..h]);
                    }
                    let at = match self.attrs.batch_first {
                        true => (i * n + time(i)) * dirs + d,
                        false => (time(i) * dirs + d) * b + i,
                    };
                    all[at * h..][..h].copy_from_slice(&new[0][i * h..][..h]);
                }
            }
        }
        let shape = if self.attrs.batch_first { [b, n, dirs, h] } else { [n, dirs, b, h] };
        let mut out = vec![Tensor::from_f64s(dtype, &shape, &all)?.into()];
        for k in 0..states.first().map_or(0, Vec::len) {
            let last = states.iter().flat_map(|s| s[k].clone()).collect::<Vec<_>>();
            let (last, shape) = match self.attrs.batch_first {
                true => (swapped(&last, dirs, b, h), [b, dirs, h]),
                false => (last, [dirs, b, h]),
            };
            out.push(Tensor::from_f64s(dtype, &shape, &last)?.into());
        }
        Ok(out)
    }
}

/// Opsets 1 to 6 said by `output_sequence` whether the first output is wanted; later ones see it by its name.
///
/// # Errors
/// Never.
pub fn drop_output_sequence(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().remove("output_sequence");
    Ok(())
}

/// The way back.
///
/// # Errors
/// Never.
pub fn set_output_sequence(cx: &mut AdaptCx) -> OpResult<()> {
    let wanted = cx.model.nodes[cx.node].output(0).is_some();
    cx.attrs().set("output_sequence", i64::from(wanted));
    Ok(())
}

/// Samples: every direction, layout, optional operand and attribute that the operators share. `extra` are the shapes
/// of operands after `initial_h`, as multiples of the hidden size with leading dimensions directions (and batch).
pub fn samples(s: &mut Samples, gates: usize, functions: usize, states: usize, set: TypeSet) {
    let (steps, batch, input, hidden) = (3, 2, 4, 3);
    for dtype in set.dtypes() {
        let (x, w) = (s.any(dtype, &[steps, batch, input]), s.any(dtype, &[1, gates * hidden, input]));
        let r = s.any(dtype, &[1, gates * hidden, hidden]);
        s.case().input(x).input(w).input(r).attr("hidden_size", hidden as i64).outputs(1 + states).add();
    }
    for direction in ["forward", "reverse", "bidirectional"] {
        let d = if direction == "bidirectional" { 2 } else { 1 };
        let (x, w) = (s.any(F32, &[steps, batch, input]), s.any(F32, &[d, gates * hidden, input]));
        let (r, b) = (s.any(F32, &[d, gates * hidden, hidden]), s.any(F32, &[d, 2 * gates * hidden]));
        let case = s.case().input(x).input(w).input(r).input(b).attr("direction", direction);
        case.attr("hidden_size", hidden as i64).outputs(1 + states).add();
        for layout in [0i64, 1] {
            let x = s.any(F32, &if layout == 0 { [steps, batch, input] } else { [batch, steps, input] });
            let (w, r) = (s.any(F32, &[d, gates * hidden, input]), s.any(F32, &[d, gates * hidden, hidden]));
            let b = s.any(F32, &[d, 2 * gates * hidden]);
            let shape = if layout == 0 { [d, batch, hidden] } else { [batch, d, hidden] };
            let initial = (0..states).map(|_| s.any(F32, &shape)).collect::<Vec<_>>();
            let names = ["HardSigmoid", "LeakyRelu", "Softsign", "ScaledTanh", "Elu", "Affine"];
            let names = names.iter().cycle().take(functions * d).map(|n| (*n).to_owned()).collect::<Vec<_>>();
            let lengths = Tensor::vector(&[2i32, 3]);
            let mut case = s.case().input(x).input(w).input(r).input(b).input(lengths);
            for state in initial {
                case = case.input(state);
            }
            let case = case.attr("direction", direction).attr("layout", layout).attr("clip", 0.9);
            let case = case.attr("activations", names).attr("activation_alpha", vec![0.3, 0.1, 1.5]);
            case.attr("activation_beta", vec![0.4]).outputs(1 + states).add();
        }
    }
}
