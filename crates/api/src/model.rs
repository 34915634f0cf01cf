//! A model file: what it says, and the same at the hub.

use crate::{Error, Result};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_convert::{FormatDef, Input};
use modelsmith_format::ReadOptions;
use modelsmith_ir::{Op, Type};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that was read. Clones share everything.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

struct Inner {
    path: PathBuf,
    format: &'static FormatDef,
    bytes: u64,
    file: modelsmith_ir::Model,
    hub: modelsmith_ir::Model,
    findings: Vec<Diagnostic>,
}

impl Model {
    /// Reads a model in any format that is known, and takes it to the hub.
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
        let path = path.as_ref();
        if !path.exists() {
            return Err(Error::damaged("there is no such file").in_file(path));
        }
        Model::read(&Input::open(path)?, path)
    }

    /// Reads a model from bytes; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Model> {
        Model::read(&Input::from_bytes(name, bytes), Path::new(name))
    }

    fn read(input: &Input, path: &Path) -> Result<Model> {
        let read = modelsmith_convert::open(input, &ReadOptions::default())?;
        let (hub, mut found) = modelsmith_convert::to_hub(&read.model);
        let mut findings = read.findings;
        findings.append(&mut found);
        let (format, bytes) = (read.format, input.source().len());
        Ok(Model(Arc::new(Inner { path: path.into(), format, bytes, file: read.model, hub, findings })))
    }

    /// The same file with another graph at the hub, as a pass makes it.
    pub fn with_hub(&self, hub: modelsmith_ir::Model) -> Model {
        let i = &self.0;
        let (path, format, bytes) = (i.path.clone(), i.format, i.bytes);
        Model(Arc::new(Inner { path, format, bytes, file: i.file.clone(), hub, findings: i.findings.clone() }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Its format.
    pub fn format(&self) -> &'static FormatDef {
        self.0.format
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

    /// Fails when nodes stayed foreign, listing all of them with the reason.
    ///
    /// # Errors
    /// As said.
    pub fn supported(&self) -> Result<()> {
        let hub = self.hub();
        let foreign = |&n: &modelsmith_ir::NodeId| matches!(hub.nodes[n].op, Op::Foreign { .. });
        let nodes = hub.nodes_in(hub.main).into_iter().filter(foreign).collect::<Vec<_>>();
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
