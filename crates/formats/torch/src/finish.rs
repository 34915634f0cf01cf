//! What every program becomes in the end: a model of the hub with a name and an operator set, or an error.

use crate::aten::Stop;
use modelsmith_format::{Error, Input};
use modelsmith_ir::{Model, OpSetImport, Stage};

/// What is left of the walk goes; the file says what it is.
pub(crate) fn finish(model: &mut Model, format: &str, name: &str) {
    modelsmith_rewrite::sweep::sweep(model);
    model.stage = Stage::Hub;
    model.meta.format = format.into();
    model.meta.ir_version = 8;
    model.meta.producer = "PyTorch".into();
    let main = model.main;
    if let Some(region) = model.regions.get_mut(main) {
        let stem = name.rsplit('/').next().unwrap_or(name);
        region.name = stem.split('.').next().unwrap_or(stem).to_owned();
    }
    // The lowest set from 17 on that can say it.
    let opset = (17..=26).find(|&version| {
        let mut copy = model.clone();
        modelsmith_ops::opset::downgrade(&mut copy, &[OpSetImport { domain: String::new(), version }]).is_ok()
    });
    model.meta.opsets = vec![OpSetImport { domain: String::new(), version: opset.unwrap_or(modelsmith_ir::HUB_OPSET) }];
}

/// What is said of a program that cannot be a graph.
pub(crate) fn refused(stop: &Stop, input: &Input) -> Error {
    match stop {
        Stop::Damaged(what) => Error::damaged(what.clone()).in_file(input.name()),
        other => Error::unsupported(format!("the program cannot be a graph: {other}"))
            .in_file(input.name())
            .help("convert to .safetensors takes its weights"),
    }
}
