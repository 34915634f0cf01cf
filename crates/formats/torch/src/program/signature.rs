//! Names and types of inputs and outputs. TorchScript has no place for them; they lie in a file beside the code, where
//! `torch.jit.load(.., _extra_files={"modelsmith.json": ""})` finds them too.

use modelsmith_ir::text::{Lexer, parse_type};
use modelsmith_ir::{Model, Type, ValueId};
use modelsmith_ops::infer::without_invented;
use serde::{Deserialize, Serialize};

/// The file, below the root of the archive.
pub(crate) const MEMBER: &str = "extra/modelsmith.json";

/// What the file says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) inputs: Vec<Slot>,
    pub(crate) outputs: Vec<Slot>,
}

/// An input or output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) name: String,
    /// In the syntax of the IR: `f32[n, 3]`.
    #[serde(rename = "type")]
    pub(crate) ty: String,
}

impl Slot {
    pub(crate) fn parsed(&self) -> Option<Type> {
        parse_type(&mut Lexer::new(&self.ty).ok()?).ok()
    }
}

impl Signature {
    /// Gives the inputs and outputs of a model that was read their names.
    pub(crate) fn name(&self, model: &mut Model) {
        let (params, results) = (model.graph().params.clone(), model.graph().results.clone());
        if params.len() != self.inputs.len() || results.len() != self.outputs.len() {
            return;
        }
        let named =
            params.into_iter().zip(&self.inputs).chain(results.into_iter().zip(&self.outputs)).collect::<Vec<_>>();
        let ours = named.iter().map(|(v, _)| *v).collect::<std::collections::HashSet<_>>();
        let wanted = named.iter().map(|(_, s)| s.name.as_str()).collect::<std::collections::HashSet<_>>();
        for (v, value) in model.values.iter_mut() {
            // Another value that has the name by chance gives it up.
            if !ours.contains(&v) && wanted.contains(value.name.as_str()) {
                value.name = String::new();
            }
        }
        for (v, slot) in named {
            if let Some(value) = model.values.get_mut(v) {
                value.name.clone_from(&slot.name);
            }
        }
    }
}

/// The file for a model.
pub(super) fn text(model: &Model, inputs: impl Iterator<Item = ValueId>) -> String {
    let slot = |v: ValueId| {
        let name = model.values.get(v).map(|v| v.name.clone()).unwrap_or_default();
        Slot { name, ty: without_invented(model.ty(v)).to_string() }
    };
    let outputs = model.graph().results.iter().map(|&v| slot(v)).collect();
    serde_json::to_string_pretty(&Signature { inputs: inputs.map(slot).collect(), outputs }).unwrap_or_default()
}

/// What the file says; nothing where it is not one of ours.
pub(crate) fn read(bytes: &[u8]) -> Option<Signature> {
    serde_json::from_slice(bytes).ok()
}
