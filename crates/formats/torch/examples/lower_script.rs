//! Prints the graph of a TorchScript archive, and what was found: `lower_script FILE [--dump]`.

use modelsmith_format::{Artifact, Input, ReadOptions};

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("lower_script FILE [--dump]");
    let input = Input::open(std::path::Path::new(&path)).expect("the file opens");
    match (modelsmith_format_torch::SCRIPT.read)(&input, &ReadOptions::default()) {
        Err(e) => println!("{e}"),
        Ok(found) => {
            for f in &found.findings {
                println!("{f}");
            }
            let Artifact::Model(model) = found.artifact else { return println!("no model") };
            let types = |values: &[modelsmith_ir::ValueId]| {
                let one = |&v: &modelsmith_ir::ValueId| format!("{}: {}", model.values[v].name, model.ty(v));
                values.iter().map(one).collect::<Vec<_>>().join(", ")
            };
            println!("({}) -> ({})", types(&model.graph().params), types(&model.graph().results));
            println!("{} nodes, opset {:?}", model.nodes.len(), model.meta.opsets.first().map(|o| o.version));
            if args.next().is_some() {
                println!("{}", modelsmith_ir::text::print(&model));
            }
        }
    }
}
