//! ONNX test data: folders of `input_K.pb` and `output_K.pb`.

use crate::{Error, Model, Result};
use modelsmith_ir::Type;
use modelsmith_tensor::Value;
use std::path::Path;

/// The inputs and outputs that a folder holds.
pub struct TestData {
    /// One value for each input of the model.
    pub inputs: Vec<Value>,
    /// One value for each output of the model; `None` where the folder has no file for it.
    pub outputs: Vec<Option<Value>>,
}

impl TestData {
    /// Reads the data for `model` from `dir`.
    ///
    /// # Errors
    /// When an input is missing, no output is there, or a file is damaged.
    pub fn read(dir: &Path, model: &Model) -> Result<TestData> {
        if !dir.is_dir() {
            return Err(Error::usage("this is no folder; one with input_K.pb and output_K.pb is wanted").in_file(dir));
        }
        let hub = model.hub();
        let mut inputs = Vec::new();
        for (i, &p) in hub.graph().params.iter().enumerate() {
            let path = dir.join(format!("input_{i}.pb"));
            if !path.exists() {
                let name = &hub.values[p].name;
                return Err(Error::usage(format!("input_{i}.pb is missing, which holds input {name}")).in_file(dir));
            }
            inputs.push(read_value(&path, hub.ty(p))?);
        }
        let mut outputs = Vec::new();
        for (i, &r) in hub.graph().results.iter().enumerate() {
            let path = dir.join(format!("output_{i}.pb"));
            outputs.push(if path.exists() { Some(read_value(&path, hub.ty(r))?) } else { None });
        }
        if outputs.iter().all(Option::is_none) && !outputs.is_empty() {
            return Err(Error::usage("no output_K.pb is here, so there is nothing to check against").in_file(dir));
        }
        Ok(TestData { inputs, outputs })
    }
}

/// Reads one `.pb` file as a value of type `ty`; of unknown type it is taken for a tensor.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn read_value(path: &Path, ty: &Type) -> Result<Value> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
    let (_, value) = modelsmith_format_onnx::value_from_bytes(&bytes, ty).map_err(|e| Error::from(e).in_file(path))?;
    Ok(value)
}
