//! Faults planted into models of the benchmark zoo, as files for judges outside of this program (`conformance/planted_torch.py`).
//!
//! usage: write_faults ZOO FOLDER MODEL..
//!
//! A file is called `MODEL__NUMBER.onnx`; `faults.txt` says what is wrong with each.

#[path = "../tests/planted/faults.rs"]
mod faults;

use modelsmith::write::{format_for, target_opsets, write};
use modelsmith::{Error, Model, Result};
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(zoo), Some(folder)) = (args.next(), args.next()) else {
        return Err(Error::usage("write_faults ZOO FOLDER MODEL.. is wanted"));
    };
    let (names, folder) = (args.collect::<Vec<_>>(), PathBuf::from(folder));
    modelsmith::files::folder(&folder)?;
    let open = |name: &String| Model::open(Path::new(&zoo).join(name).join("model.onnx"));
    let models = names.iter().map(open).collect::<Result<Vec<_>>>()?;
    let hubs = models.iter().map(|m| m.hub().clone()).collect::<Vec<_>>();
    let mut list = String::new();
    for (k, (i, fault)) in faults::plant(&hubs).into_iter().enumerate() {
        let name = format!("{}__{k}.onnx", names[i]);
        let path = folder.join(&name);
        let (format, opsets) = (format_for(&path, None)?, target_opsets(&models[i], None));
        // What cannot be said in a file is no fault that a file can have.
        if write(&models[i], &fault.model, &path, format, opsets, false, None).is_ok() {
            list.push_str(&format!("{name}\t{}\t{}\n", fault.kind, fault.place));
        }
    }
    modelsmith::files::write(&folder.join("faults.txt"), list.as_bytes(), false)
}
