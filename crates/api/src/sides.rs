//! The two sides of a comparison, run on the same inputs.

use crate::inputs::InputMaker;
use crate::judge::{Backend, Judge, Runs};
use crate::layers::Trace;
use crate::{Error, Kind, Result};
use modelsmith_tensor::Value;

/// What a side makes of inputs, and the values on the way where they are wanted.
pub type Made = (Result<Vec<Value>>, Trace);

/// Both sides, loaded.
pub struct Sides {
    /// The original.
    pub left: Box<dyn Runs>,
    /// What is held against it; `None` for a recording.
    pub right: Option<Box<dyn Runs>>,
    /// For each input of the right side, the input of the left side that feeds it.
    pub order: Vec<usize>,
    /// Whether values on the way are wanted.
    pub layers: bool,
    /// Whether both run at the same time.
    pub together: bool,
}

/// Inputs on which the original runs.
pub struct Drawn {
    /// One value per input of the original.
    pub inputs: Vec<Value>,
    /// What the original makes of them.
    pub outputs: Vec<Value>,
    /// Its values on the way.
    pub trace: Trace,
    /// What the other side makes of them; `None` where there is no other side.
    pub second: Option<Made>,
    /// Draws on which the original failed before.
    pub redrawn: usize,
}

/// True when running both at once is faster: the reference takes one thread, a compiled engine takes them all.
pub fn together(a: &Judge, b: &Judge, threads: usize) -> bool {
    let reference = Judge::Backend(Backend::Reference);
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    *a == reference && *b == reference && threads != 1 && cores > 1
}

impl Sides {
    /// Sample `sample`, drawn again while the original fails on it.
    ///
    /// # Errors
    /// When the original fails on every draw.
    pub fn draw(&mut self, maker: &InputMaker, sample: usize) -> Result<Drawn> {
        let mut last = None;
        for attempt in 0..maker.attempts() {
            match self.run(maker.sample(sample, attempt)?) {
                Ok(drawn) => return Ok(Drawn { redrawn: attempt, ..drawn }),
                Err(e) if e.kind() == Kind::Unsupported || e.kind() == Kind::Io => return Err(e),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Fault, "no draw was made")).help(match maker.draws() {
            true => "the original fails on every input drawn: give inputs or sizes with --input, --shape or --dim",
            false => "the original fails on the inputs given",
        }))
    }

    /// Runs both sides.
    ///
    /// # Errors
    /// When the original fails; a failure of the other side is its result.
    pub fn run(&mut self, inputs: Vec<Value>) -> Result<Drawn> {
        let layers = self.layers;
        let fed = self.order.iter().filter_map(|&i| inputs.get(i).cloned()).collect::<Vec<_>>();
        let (left, right) = (&mut *self.left, self.right.as_deref_mut());
        let ((outputs, trace), second) = match right {
            None => (one(left, &inputs, layers), None),
            Some(right) if self.together => std::thread::scope(|scope| {
                let other = scope.spawn(|| one(right, &fed, layers));
                let own = one(left, &inputs, layers);
                let gone = |_| (Err(Error::new(Kind::Fault, "the second side stopped with a panic")), Trace::default());
                (own, Some(other.join().unwrap_or_else(gone)))
            }),
            Some(right) => {
                let own = one(left, &inputs, layers);
                let other = own.0.is_ok().then(|| one(right, &fed, layers));
                (own, other)
            }
        };
        Ok(Drawn { inputs, outputs: outputs?, trace, second, redrawn: 0 })
    }
}

fn one(side: &mut dyn Runs, inputs: &[Value], layers: bool) -> Made {
    let mut trace = Trace::default();
    let done = match layers {
        true => side.run_watched(inputs, &mut |name, v| trace.add(name, v)),
        false => side.run(inputs),
    };
    (done, trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use modelsmith_tensor::Tensor;

    #[test]
    fn both_sides_see_the_same_inputs_together_or_in_turn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.onnx");
        let model = Model::open(path).unwrap();
        let judge = Judge::Backend(Backend::Reference);
        let load = || judge.load(&model, &Default::default()).unwrap();
        for together in [false, true] {
            let mut sides = Sides { left: load(), right: Some(load()), order: vec![0], layers: false, together };
            let x = Value::Tensor(Tensor::new(&[1, 1, 8, 8], (0..64).map(|i| i as f32).collect()).unwrap());
            let drawn = sides.run(vec![x]).unwrap();
            let (second, _) = drawn.second.unwrap();
            let numbers = |v: &[Value]| v[0].tensor().unwrap().to_f64s().unwrap();
            assert_eq!(numbers(&drawn.outputs), numbers(&second.unwrap()));
            assert!(sides.run(vec![]).is_err());
        }
    }
}
