//! Valid inputs of an operator, made by the operator's own record and used by the generic tests.

use crate::{Attr, Attrs};
use modelsmith_base::DType;
use modelsmith_tensor::{Tensor, Value};

/// One call of an operator.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Attributes.
    pub attrs: Attrs,
    /// Operands; `None` is an absent optional one.
    pub inputs: Vec<Option<Value>>,
    /// Number of outputs asked for.
    pub outputs: usize,
    /// A whole model in the text syntax, for operators with bodies; its main graph's inputs are `inputs`.
    pub model: Option<String>,
}

/// Collects the samples of one operator. The same seed gives the same samples.
pub struct Samples {
    state: u64,
    cases: Vec<Sample>,
}

impl Samples {
    /// An empty collection.
    pub fn new(seed: u64) -> Samples {
        Samples { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, cases: Vec::new() }
    }

    /// What was collected.
    pub fn into_cases(self) -> Vec<Sample> {
        self.cases
    }

    /// A number below `n` (xorshift*).
    pub fn below(&mut self, n: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n.max(1)
    }

    /// A number in `lo..hi`.
    pub fn uniform(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.below(1 << 40) as f64 / (1u64 << 40) as f64
    }

    /// A tensor of any type with moderate values: floats in -2..2, integers in -4..=4 or 0..=7 as the type allows,
    /// booleans, short strings.
    pub fn any(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        match dtype {
            DType::Bool => self.ints(dtype, shape, 0, 1),
            DType::String => {
                let n = shape.iter().product::<usize>();
                let words = ["", "a", "Model", "smith", "ONNX", "\u{e9}t\u{e9}"];
                let values = (0..n).map(|_| words[self.below(6) as usize].to_owned()).collect();
                Tensor::from_strings(shape, values).expect("as many as the shape holds")
            }
            d if d.is_complex() => {
                let n = shape.iter().product::<usize>();
                let values = (0..n).map(|_| [self.uniform(-2.0, 2.0), self.uniform(-2.0, 2.0)]).collect::<Vec<_>>();
                Tensor::from_complex(d, shape, &values).expect("as many as the shape holds")
            }
            d if d.is_int() => {
                let (lo, hi) = d.int_range().unwrap_or((0, 1));
                self.ints(d, shape, lo.max(-4) as i64, hi.min(7).min(if lo < 0 { 4 } else { 7 }) as i64)
            }
            _ => self.floats(dtype, shape, -2.0, 2.0),
        }
    }

    /// Floats in `lo..hi`.
    pub fn floats(&mut self, dtype: DType, shape: &[usize], lo: f64, hi: f64) -> Tensor {
        let n = shape.iter().product::<usize>();
        let values = (0..n).map(|_| self.uniform(lo, hi)).collect::<Vec<_>>();
        Tensor::from_f64s(dtype, shape, &values).expect("as many as the shape holds")
    }

    /// Integers in `lo..=hi`.
    pub fn ints(&mut self, dtype: DType, shape: &[usize], lo: i64, hi: i64) -> Tensor {
        let n = shape.iter().product::<usize>();
        let values = (0..n).map(|_| lo + self.below((hi - lo + 1) as u64) as i64).collect::<Vec<_>>();
        Tensor::from_i64s(dtype, shape, &values).expect("as many as the shape holds")
    }

    /// NaN, both infinities, both zeros, subnormals and large values among ordinary ones.
    pub fn special(&mut self, dtype: DType, len: usize) -> Tensor {
        let edge =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38, 0.5, -1.5, 100.0];
        let values = (0..len).map(|i| edge[i % edge.len()]).collect::<Vec<_>>();
        Tensor::from_f64s(dtype, &[len], &values).expect("as many as the shape holds")
    }

    /// Shapes of rank 0 to 5, one with a dimension of 0.
    pub fn shapes() -> [&'static [usize]; 7] {
        [&[], &[5], &[3, 4], &[2, 3, 4], &[2, 1, 3, 2], &[1, 2, 1, 3, 2], &[2, 0, 3]]
    }

    /// Starts a case.
    pub fn case(&mut self) -> Case<'_> {
        let sample = Sample { attrs: Attrs::new(), inputs: Vec::new(), outputs: 1, model: None };
        Case { samples: self, sample }
    }
}

/// A case being written; [`Case::add`] keeps it.
pub struct Case<'a> {
    samples: &'a mut Samples,
    sample: Sample,
}

impl Case<'_> {
    /// Sets an attribute.
    pub fn attr(mut self, name: &str, value: impl Into<Attr>) -> Self {
        self.sample.attrs.set(name, value);
        self
    }

    /// Adds an operand.
    pub fn input(mut self, value: impl Into<Value>) -> Self {
        self.sample.inputs.push(Some(value.into()));
        self
    }

    /// Adds an absent operand.
    pub fn absent(mut self) -> Self {
        self.sample.inputs.push(None);
        self
    }

    /// Asks for this many outputs.
    pub fn outputs(mut self, n: usize) -> Self {
        self.sample.outputs = n;
        self
    }

    /// Gives a whole model in the text syntax.
    pub fn model(mut self, text: &str) -> Self {
        self.sample.model = Some(text.into());
        self
    }

    /// Keeps the case.
    pub fn add(self) {
        self.samples.cases.push(self.sample);
    }
}
