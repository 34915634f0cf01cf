//! Reads a checkpoint and writes it again: `rewrite_checkpoint IN OUT`. For `conformance/pytorch.py`.

use modelsmith_format::{Input, Output, WriteOptions};
use modelsmith_ops::interp::Operators;
use std::path::Path;

fn main() {
    let args = std::env::args().collect::<Vec<_>>();
    let [_, from, to] = args.as_slice() else { panic!("usage: rewrite_checkpoint IN OUT") };
    let input = Input::open(Path::new(from)).expect("the input opens");
    let imported = modelsmith_format_torch::read(&input, &Default::default()).expect("the input is a checkpoint");
    let mut out = Output::file(Path::new(to), true);
    let write = modelsmith_format_torch::TORCH.write.expect("checkpoints can be written");
    match write(&imported.artifact, &mut out, &WriteOptions::new(&Operators)) {
        Ok(written) => {
            written.findings.iter().for_each(|f| eprintln!("{f}"));
            out.commit().expect("the output gets its name");
        }
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(5);
        }
    }
}
