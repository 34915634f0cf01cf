//! What every program becomes in the end: a model of the hub with a name and an operator set.

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
