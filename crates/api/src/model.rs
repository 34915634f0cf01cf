//! A model file: what it says, and the same at the hub.

use crate::shapes::Sizes;
use crate::{Error, Result};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_convert::{Definitions, FormatDef, Input, Opened};
use modelsmith_engine::Engine;
use modelsmith_format::ReadOptions;
use modelsmith_ir::{Op, Type};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that was read. Clones share everything.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

struct Inner {
    path: PathBuf,
    format: Option<&'static FormatDef>,
    bytes: u64,
    file: modelsmith_ir::Model,
    hub: modelsmith_ir::Model,
    findings: Vec<Diagnostic>,
    /// How many of the findings are the reader's; the others are about the move to the hub.
    read: usize,
    engine: Option<Engine>,
    files: Vec<PathBuf>,
}

/// The first bytes of an engine file.
const ENGINE_MAGIC: &[u8] = b"MSENGINE";

impl Model {
    /// Reads a model in any format that is known, and takes it to the hub; or loads an engine.
    ///
    /// ```no_run
    /// let model = modelsmith::Model::open("digits.onnx")?;
    /// println!("{:?} -> {:?}", model.input_names(), model.output_names());
    /// # Ok::<(), modelsmith::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or holds no model.
    pub fn open(path: impl AsRef<Path>) -> Result<Model> {
        Model::open_sized(path, &Sizes::default())
    }

    /// As [`Model::open`]; the shapes of `sizes` say of how many dimensions inputs are where the file does not.
    ///
    /// # Errors
    /// As there.
    pub fn open_sized(path: impl AsRef<Path>, sizes: &Sizes) -> Result<Model> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(Error::damaged("there is no such file").in_file(path));
        }
        let input = Input::open(path)?;
        if starts_as_engine(&input) {
            return Model::of_engine(modelsmith_engine::load(path)?, path, input.source().len());
        }
        let mut model = Model::read(&input, path, sizes)?;
        if let Some(inner) = Arc::get_mut(&mut model.0) {
            inner.files = std::iter::once(path.to_owned()).chain(input.siblings_opened()).collect();
        }
        Ok(model)
    }

    /// An engine as a model that shows its inputs and outputs only.
    ///
    /// # Errors
    /// When the engine cannot run here.
    pub fn of_engine(engine: Engine, path: &Path, bytes: u64) -> Result<Model> {
        let (inputs, outputs) = engine.ports()?;
        let named = |list: Vec<modelsmith_engine::Port>| list.into_iter().map(|p| (p.name, p.ty)).collect::<Vec<_>>();
        let (inputs, outputs) = (named(inputs), named(outputs));
        let mut hub = signature(&engine.info().model, &inputs, &outputs);
        hub.meta.props.clone_from(&engine.info().notes);
        Ok(Model::bare(path, bytes, hub, Some(engine)))
    }

    /// Something that is no file, as a model that shows its inputs and outputs only: it can be one side of a comparison
    /// whose judge runs it.
    pub fn of_signature(name: &str, inputs: &[(String, Type)], outputs: &[(String, Type)]) -> Model {
        Model::bare(Path::new(name), 0, signature(name, inputs, outputs), None)
    }

    fn bare(path: &Path, bytes: u64, hub: modelsmith_ir::Model, engine: Option<Engine>) -> Model {
        Model(Arc::new(Inner {
            path: path.to_owned(),
            format: None,
            bytes,
            file: hub.clone(),
            hub,
            findings: vec![],
            read: 0,
            engine,
            files: vec![],
        }))
    }

    /// Reads a model from bytes; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Model> {
        Model::read(&Input::from_bytes(name, bytes), Path::new(name), &Sizes::default())
    }

    fn read(input: &Input, path: &Path, sizes: &Sizes) -> Result<Model> {
        let options = ReadOptions { ranks: sizes.ranks(), ..ReadOptions::default() };
        let opened = modelsmith_convert::open_any(input, &options)?;
        Model::from_opened(opened, input.source().len(), path)
    }

    /// The model in a file of `bytes` bytes that was read.
    ///
    /// # Errors
    /// When the file holds no model.
    pub(crate) fn from_opened(opened: Opened, bytes: u64, path: &Path) -> Result<Model> {
        let read = opened.into_model(&path.display().to_string())?;
        let (hub, mut found) = modelsmith_convert::to_hub(&read.model);
        let mut findings = read.findings;
        let read_findings = findings.len();
        findings.append(&mut found);
        let format = Some(read.format);
        Ok(Model(Arc::new(Inner {
            path: path.into(),
            format,
            bytes,
            file: read.model,
            hub,
            findings,
            read: read_findings,
            engine: None,
            files: vec![],
        })))
    }

    /// The same file with another graph at the hub, as a pass makes it.
    pub fn with_hub(&self, hub: modelsmith_ir::Model) -> Model {
        let i = &self.0;
        let (path, format, bytes) = (i.path.clone(), i.format, i.bytes);
        Model(Arc::new(Inner {
            path,
            format,
            bytes,
            file: i.file.clone(),
            hub,
            findings: i.findings.clone(),
            read: i.read,
            engine: None,
            files: i.files.clone(),
        }))
    }

    /// The same model, in which nodes that are operators of `definitions` are calls of those functions. Without definitions
    /// it is this one.
    ///
    /// # Errors
    /// When it is an engine, or the body of a definition cannot be read.
    pub fn define(&self, definitions: &Definitions) -> Result<Model> {
        if definitions.is_empty() {
            return Ok(self.clone());
        }
        let i = &self.0;
        if i.engine.is_some() {
            return Err(
                Error::usage("an engine has no operators that could be defined: build it anew").in_file(&i.path)
            );
        }
        let mut file = i.file.clone();
        let said = modelsmith_convert::define(&mut file, definitions)?;
        let (hub, found) = modelsmith_convert::to_hub(&file);
        let read: Vec<Diagnostic> = i.findings.iter().take(i.read).cloned().chain(said).collect();
        let (path, format, bytes, files, count) = (i.path.clone(), i.format, i.bytes, i.files.clone(), read.len());
        let findings = read.into_iter().chain(found).collect();
        Ok(Model(Arc::new(Inner { path, format, bytes, file, hub, findings, read: count, engine: None, files })))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The files that were read: the one that was opened, then those beside it that it names. Empty for an engine and for
    /// bytes in memory.
    pub fn files(&self) -> &[PathBuf] {
        &self.0.files
    }

    /// Its format; `None` for an engine.
    pub fn format(&self) -> Option<&'static FormatDef> {
        self.0.format
    }

    /// Its format, for people.
    pub fn format_title(&self) -> &'static str {
        self.0.format.map_or("Modelsmith engine", |f| f.title)
    }

    /// The engine, when the file is one.
    pub fn engine(&self) -> Option<&Engine> {
        self.0.engine.as_ref()
    }

    /// Its size, without files beside it.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The graph as the file has it.
    pub fn file(&self) -> &modelsmith_ir::Model {
        &self.0.file
    }

    /// The graph at the hub's opset.
    pub fn hub(&self) -> &modelsmith_ir::Model {
        &self.0.hub
    }

    /// What the reader and the move to the hub found.
    pub fn findings(&self) -> &[Diagnostic] {
        &self.0.findings
    }

    /// Names of the inputs, in order.
    pub fn input_names(&self) -> Vec<String> {
        self.names(&self.hub().graph().params)
    }

    /// Names of the outputs, in order.
    pub fn output_names(&self) -> Vec<String> {
        self.names(&self.hub().graph().results)
    }

    /// Types of the outputs, in order.
    pub fn output_types(&self) -> Vec<Type> {
        self.hub().graph().results.iter().map(|&v| self.hub().ty(v).clone()).collect()
    }

    fn names(&self, values: &[modelsmith_ir::ValueId]) -> Vec<String> {
        values.iter().map(|&v| self.hub().values[v].name.clone()).collect()
    }

    /// The weights by name, as a checkpoint.
    pub fn weights(&self) -> modelsmith_format::Checkpoint {
        let weight = |v: &modelsmith_ir::Value| match &v.def {
            modelsmith_ir::Def::Weight(_, w) => Some((v.name.clone(), w.clone())),
            _ => None,
        };
        let tensors = self.file().values.iter().filter_map(|(_, v)| weight(v)).collect();
        modelsmith_format::Checkpoint { tensors, ..Default::default() }
    }

    /// Fails when nodes that a run reaches stayed foreign, listing all of them with the reason.
    ///
    /// # Errors
    /// As said.
    pub fn supported(&self) -> Result<()> {
        let hub = self.hub();
        let foreign = |&n: &modelsmith_ir::NodeId| matches!(hub.nodes[n].op, Op::Foreign { .. });
        let nodes = called(hub).into_iter().filter(foreign).collect::<Vec<_>>();
        if nodes.is_empty() {
            return Ok(());
        }
        let why = |label: &str| {
            let about = |d: &&Diagnostic| d.severity >= Severity::Warning && d.place.node.as_deref() == Some(label);
            self.findings().iter().find(about).map_or_else(|| "no such operator".to_owned(), |d| d.message.clone())
        };
        let list = nodes.iter().map(|&n| hub.node_label(n)).map(|l| format!("node {l}: {}", why(&l))).collect();
        Err(Error::unsupported(format!("{} nodes hold what is not supported", nodes.len()))
            .in_file(self.path())
            .list(list))
    }
}

/// A graph without nodes.
fn signature(name: &str, inputs: &[(String, Type)], outputs: &[(String, Type)]) -> modelsmith_ir::Model {
    let mut hub = modelsmith_ir::Model::new();
    let main = hub.main;
    hub.regions[main].name = name.to_owned();
    for (name, ty) in inputs {
        hub.add_param(main, name, ty.clone());
    }
    for (name, ty) in outputs {
        let (def, origin) = (modelsmith_ir::Def::Nothing, modelsmith_ir::Origin::default());
        let v = hub.values.push(modelsmith_ir::Value { name: name.clone(), ty: ty.clone(), def, origin });
        hub.regions[main].results.push(v);
    }
    hub
}

fn starts_as_engine(input: &Input) -> bool {
    let mut head = [0; ENGINE_MAGIC.len()];
    input.source().read_at(0, &mut head).is_ok() && head == ENGINE_MAGIC
}

/// Whether the file at `path` is an engine.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn is_engine(path: &Path) -> Result<bool> {
    Ok(starts_as_engine(&Input::open(path)?))
}

/// Nodes of the main graph and of the functions that are called from there.
fn called(hub: &modelsmith_ir::Model) -> Vec<modelsmith_ir::NodeId> {
    let mut nodes = hub.nodes_in(hub.main);
    let mut seen = std::collections::HashSet::new();
    let mut at = 0;
    while let Some(&n) = nodes.get(at) {
        if let Op::Call(f) = hub.nodes[n].op
            && seen.insert(f)
        {
            nodes.extend(hub.nodes_in(hub.functions[f].region));
        }
        at += 1;
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_count_where_they_are_called() {
        let text = "stage foreign
meta {format = \"onnx\", ir_version = 9, opset \"\" = 17, opset \"f\" = 1}
function f.Inner opset \"\" = 17 graph Inner(%a) {
  %b = Unheard@17(%a) as inner
  return %b
}
function f.Outer opset \"\" = 17 opset \"f\" = 1 graph Outer(%a) {
  %b = call f.Inner(%a) as outer
  return %b
}
graph g(%x: f32[2]) {
  %y: f32[2] = call f.Outer(%x) as main
  return %y
}
";
        let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let names = called(&model).into_iter().map(|n| model.nodes[n].name.clone()).collect::<Vec<_>>();
        assert_eq!(names, ["main", "outer", "inner"]);
    }
}
