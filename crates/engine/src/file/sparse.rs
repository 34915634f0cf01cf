//! Weights of which a run reads a few rows: tables of embeddings.

use modelsmith_plan::recipe::Recipe;
use modelsmith_plan::{Block, BufferId, Home, Plan, StepOp};

/// Which of `blobs` blobs no plan reads but as the data of gathers.
pub(super) fn only_gathered(plans: &[Plan], blobs: usize) -> Vec<bool> {
    let (mut gathered, mut whole) = (vec![false; blobs], vec![false; blobs]);
    let mut read = |plan: &Plan, block: &Block, buffer: BufferId, by_gather: bool| {
        let found = weight_of(block, buffer).and_then(|w| plan.weights.get(w));
        if let Some(seen) = found.and_then(|w| if by_gather { &mut gathered } else { &mut whole }.get_mut(w.blob)) {
            *seen = true;
        }
    };
    for plan in plans {
        for block in &plan.blocks {
            for step in &block.steps {
                let gathers = matches!(step.op, StepOp::Native(Recipe::Gather { axis: 0 }));
                for (at, input) in step.inputs.iter().enumerate() {
                    if let Some(buffer) = input {
                        read(plan, block, *buffer, gathers && at == 0);
                    }
                }
            }
            block.outputs.iter().for_each(|&buffer| read(plan, block, buffer, false));
        }
    }
    gathered.into_iter().zip(whole).map(|(gathered, whole)| gathered && !whole).collect()
}

/// The weight that a buffer is, or shows under another shape.
fn weight_of(block: &Block, mut buffer: BufferId) -> Option<usize> {
    // A view of a view is shorter than the list of buffers.
    for _ in 0..block.buffers.len() {
        match block.buffers.get(buffer)?.home {
            Home::Weight(w) => return Some(w),
            Home::View(of) => buffer = of,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ir::{Dim, Type};
    use modelsmith_kop::Layout;
    use modelsmith_plan::{Buffer, Form, Step, Weight};
    use modelsmith_tensor::DType;

    fn buffer(home: Home) -> Buffer {
        let ty = Type::tensor(DType::F32, &[Dim::from(4usize)]);
        Buffer { name: String::new(), ty, home, layout: Layout::Plain, value: None }
    }

    fn step(op: Recipe, inputs: &[BufferId]) -> Step {
        Step {
            label: String::new(),
            op: StepOp::Native(op),
            inputs: inputs.iter().map(|&b| Some(b)).collect(),
            outputs: vec![],
            kernels: vec![],
            chosen: vec![],
            measured_at: vec![],
            refused: vec![],
        }
    }

    /// A table that is gathered from, one whose other axis is, one that a view shows to another step, one that is a result,
    /// and indices.
    #[test]
    fn tables_are_told_apart_from_what_is_read_whole() {
        let weight = |blob| Weight { name: String::new(), dtype: DType::F32, shape: vec![4], form: Form::Raw, blob };
        let homes = (0..5).map(Home::Weight).chain([Home::View(2), Home::View(5), Home::Arena]);
        let block = Block {
            buffers: homes.map(buffer).collect(),
            steps: vec![
                step(Recipe::Gather { axis: 0 }, &[0, 4]),
                step(Recipe::Gather { axis: 1 }, &[1, 7]),
                step(Recipe::Gather { axis: 0 }, &[2, 7]),
                step(Recipe::Gather { axis: 1 }, &[6, 7]),
                step(Recipe::Gather { axis: 0 }, &[3, 7]),
            ],
            outputs: vec![3],
            ..Block::default()
        };
        let plan = Plan { blocks: vec![block], weights: (0..5).map(weight).collect(), ..Plan::default() };
        assert_eq!(only_gathered(&[plan], 6), [true, false, false, false, false, false]);
        assert_eq!(only_gathered(&[], 1), [false]);
    }
}
