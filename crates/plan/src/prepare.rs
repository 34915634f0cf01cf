//! The passes before lowering.

use crate::error::{Error, Result};
use modelsmith_ir::{Def, Model, ValueId};
use modelsmith_rewrite::Options;

/// A model as the lowering wants it.
pub struct Prepared {
    /// The model after the passes.
    pub model: Model,
    /// Values that stay visible, each with its index in the model that was given.
    pub watch: Vec<(ValueId, u32)>,
}

/// Runs the passes of the planner over a copy of `model`. Values to watch are held as results meanwhile, so that no
/// pass takes them away.
///
/// # Errors
/// When a pass fails.
pub fn prepare(model: &Model, watch: &[ValueId]) -> Result<Prepared> {
    let mut model = model.clone();
    let main = model.main;
    let own = model.regions[main].results.len();
    let body = model.regions[main].body.iter().copied().collect::<std::collections::HashSet<_>>();
    let made_here =
        |v: &ValueId| matches!(model.values.get(*v).map(|v| &v.def), Some(Def::Node(n, _)) if body.contains(n));
    let held = watch.iter().copied().filter(made_here).collect::<Vec<_>>();
    model.regions[main].results.extend(&held);
    modelsmith_passes::prepare(&mut model, &Options::default()).map_err(|e| Error::Prepare(e.to_string()))?;
    let results = &mut model.regions[main].results;
    let after = results.split_off(own.min(results.len()));
    let watch = after.into_iter().zip(&held).map(|(now, before)| (now, before.index() as u32)).collect();
    Ok(Prepared { model, watch })
}
