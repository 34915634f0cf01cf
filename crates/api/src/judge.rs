//! Who computes a result: a backend of this program, another program, or a recording.

use crate::model::Model;
use crate::{Error, Kind, Result, npz, test_data};
use modelsmith_engine::{MemoryUse, SessionOptions, StepTime};
use modelsmith_ir::ValueId;
use modelsmith_ops::run::{Opts, Runner, Running};
use modelsmith_tensor::{Tensor, Value};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A backend of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backend {
    /// The compiled engine.
    #[default]
    Cpu,
    /// The interpreter over the operators' reference implementations.
    Reference,
}

impl Backend {
    /// `cpu` or `reference`.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Backend> {
        match text {
            "cpu" => Ok(Backend::Cpu),
            "reference" => Ok(Backend::Reference),
            _ => Err(Error::usage(format!("backend {text:?} is not known: cpu or reference"))),
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Cpu => "cpu",
            Backend::Reference => "reference",
        }
    }
}

/// Something outside this program that computes results from values: a module of a framework, another program's session.
pub trait Outside: Send + Sync {
    /// What it is, for reports.
    fn name(&self) -> String;

    /// Results for inputs in the order of the model, by name where it has names.
    ///
    /// # Errors
    /// When it fails.
    fn run(&self, inputs: &[(String, Value)]) -> Result<Vec<(Option<String>, Value)>>;
}

/// Who runs one side of a comparison.
#[derive(Clone)]
pub enum Judge {
    /// A backend of this program.
    Backend(Backend),
    /// A command that is called with an input and an output `.npz` path.
    Exec(String),
    /// Something that the calling program brought.
    Outside(Arc<dyn Outside>),
}

impl PartialEq for Judge {
    fn eq(&self, other: &Judge) -> bool {
        match (self, other) {
            (Judge::Backend(a), Judge::Backend(b)) => a == b,
            (Judge::Exec(a), Judge::Exec(b)) => a == b,
            (Judge::Outside(a), Judge::Outside(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Judge {
    /// `cpu`, `reference` or `exec:COMMAND`.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Judge> {
        match text.strip_prefix("exec:") {
            Some(command) if !command.trim().is_empty() => Ok(Judge::Exec(command.trim().into())),
            Some(_) => Err(Error::usage("exec: a command is wanted after it")),
            None => Ok(Judge::Backend(Backend::parse(text).map_err(|_| {
                Error::usage(format!("runner {text:?} is not known")).help("cpu, reference or exec:COMMAND")
            })?)),
        }
    }

    /// Its name in reports.
    pub fn name(&self) -> String {
        match self {
            Judge::Backend(b) => b.name().into(),
            Judge::Exec(command) => format!("exec:{command}"),
            Judge::Outside(o) => o.name(),
        }
    }

    /// True when this program does not compute the result.
    pub fn independent(&self) -> bool {
        !matches!(self, Judge::Backend(_))
    }

    /// Prepares a model, or an engine for the backend `cpu`.
    ///
    /// # Errors
    /// When the model holds what the backend cannot run.
    pub fn load(&self, model: &Model, opts: &Opts) -> Result<Box<dyn Runs>> {
        let placed = |e: Error| e.in_file(model.path());
        match self {
            Judge::Backend(Backend::Cpu) => Ok(Box::new(Compiled::load(model, opts).map_err(placed)?)),
            Judge::Backend(Backend::Reference) if model.engine().is_some() => {
                Err(Error::usage("an engine runs on cpu; the reference runs models").in_file(model.path()))
            }
            Judge::Backend(Backend::Reference) => {
                model.supported()?;
                let running = modelsmith_ops::interp::Reference.load(model.hub(), opts);
                Ok(Box::new(Interpreted { running: running.map_err(|e| placed(e.into()))?, model: model.clone() }))
            }
            Judge::Exec(command) => Ok(Box::new(Exec {
                command: command.clone(),
                inputs: model.input_names(),
                outputs: model.output_names(),
            })),
            Judge::Outside(outside) => Ok(Box::new(Brought {
                outside: outside.clone(),
                inputs: model.input_names(),
                outputs: model.output_names(),
            })),
        }
    }
}

/// A model that is ready to be run on inputs in the order of the model.
pub trait Runs: Send {
    /// Outputs in the order of the model.
    ///
    /// # Errors
    /// When an input does not fit or the run fails.
    fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>>;

    /// As [`Runs::run`]; `watch` sees named values on the way, where the runner shows them.
    ///
    /// # Errors
    /// As there.
    fn run_watched(&mut self, inputs: &[Value], watch: &mut dyn FnMut(&str, &Value)) -> Result<Vec<Value>> {
        let _ = watch;
        self.run(inputs)
    }

    /// Time of each step of one run; `None` where the runner has no steps.
    ///
    /// # Errors
    /// As [`Runs::run`].
    fn profile(&mut self, inputs: &[Value]) -> Result<Option<Vec<StepTime>>> {
        self.run(inputs).map(|_| None)
    }

    /// Memory planned for the sizes of the latest run; `None` where nothing is planned.
    fn memory(&self) -> Option<MemoryUse> {
        None
    }

    /// Threads that run; 0 where the runner does not say.
    fn threads(&self) -> usize {
        0
    }

    /// Instruction set level, and why a higher one was passed by.
    fn level(&self) -> Option<(String, Option<String>)> {
        None
    }
}

struct Interpreted {
    running: Box<dyn Running>,
    model: Model,
}

/// Passes on values that have a name.
fn named<'a>(model: &'a Model, watch: &'a mut dyn FnMut(&str, &Value)) -> impl FnMut(ValueId, &Value) + 'a {
    move |id, value| {
        if let Some(v) = model.hub().values.get(id).filter(|v| !v.name.is_empty()) {
            watch(&v.name, value);
        }
    }
}

impl Runs for Interpreted {
    fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>> {
        Ok(self.running.run(inputs, &mut |_, _| {})?)
    }

    fn run_watched(&mut self, inputs: &[Value], watch: &mut dyn FnMut(&str, &Value)) -> Result<Vec<Value>> {
        let model = self.model.clone();
        Ok(self.running.run(inputs, &mut named(&model, watch))?)
    }
}

/// An engine's session.
struct Compiled {
    session: modelsmith_engine::Session,
    model: Model,
}

impl Compiled {
    fn load(model: &Model, opts: &Opts) -> Result<Compiled> {
        let session = match model.engine() {
            Some(engine) => engine.session(&SessionOptions {
                threads: opts.threads,
                isa: opts.isa.clone(),
                no_fallback: opts.no_fallback,
                ..SessionOptions::default()
            })?,
            None => {
                model.supported()?;
                modelsmith_engine::open(model.hub(), opts)?
            }
        };
        Ok(Compiled { session, model: model.clone() })
    }
}

impl Runs for Compiled {
    fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>> {
        Ok(self.session.run(inputs)?)
    }

    fn run_watched(&mut self, inputs: &[Value], watch: &mut dyn FnMut(&str, &Value)) -> Result<Vec<Value>> {
        let model = self.model.clone();
        Ok(Running::run(&mut self.session, inputs, &mut named(&model, watch))?)
    }

    fn profile(&mut self, inputs: &[Value]) -> Result<Option<Vec<StepTime>>> {
        Ok(Some(self.session.run_profiled(inputs)?.1))
    }

    fn memory(&self) -> Option<MemoryUse> {
        Some(self.session.memory())
    }

    fn threads(&self) -> usize {
        self.session.threads()
    }

    fn level(&self) -> Option<(String, Option<String>)> {
        Some((self.session.level().to_owned(), self.session.note().map(str::to_owned)))
    }
}

/// What the calling program brought, with the names of the model that it stands for.
struct Brought {
    outside: Arc<dyn Outside>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Runs for Brought {
    fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>> {
        let fed = self.inputs.iter().cloned().zip(inputs.iter().cloned()).collect::<Vec<_>>();
        let made = self.outside.run(&fed)?;
        let by_name = |n: &String| made.iter().find(|(m, _)| m.as_ref() == Some(n)).map(|(_, v)| v.clone());
        if let Some(all) = self.outputs.iter().map(by_name).collect::<Option<Vec<_>>>() {
            return Ok(all);
        }
        match made.len() == self.outputs.len() {
            true => Ok(made.into_iter().map(|(_, v)| v).collect()),
            false => Err(Error::usage(format!(
                "{} gave {} outputs; the model has {}: {}",
                self.outside.name(),
                made.len(),
                self.outputs.len(),
                self.outputs.join(", ")
            ))),
        }
    }
}

struct Exec {
    command: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Runs for Exec {
    fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>> {
        let dir = Scratch::new()?;
        let (from, to) = (dir.0.join("inputs.npz"), dir.0.join("outputs.npz"));
        let tensors = inputs.iter().map(|v| v.tensor().cloned().map_err(Error::from)).collect::<Result<Vec<_>>>()?;
        npz::write(&from, &self.inputs.iter().cloned().zip(tensors).collect::<Vec<_>>())?;
        self.call(&from, &to)?;
        let arrays = npz::read(&to).map_err(|e| {
            Error::new(Kind::Io, format!("the judge left no readable output file: {}", e.message()))
                .help(self.command.clone())
        })?;
        self.pick(&arrays)
    }
}

impl Exec {
    fn call(&self, from: &Path, to: &Path) -> Result<()> {
        // Through the shell, so that the command may hold options; the two paths are passed as arguments.
        let done = Command::new("sh")
            .args(["-c", &format!("{} \"$1\" \"$2\"", self.command), "judge"])
            .args([from, to])
            .output()
            .map_err(|e| Error::io("sh", &e))?;
        if done.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&done.stderr);
        let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing").to_owned();
        Err(Error::new(Kind::Io, format!("the judge {:?} ended with {}: {last}", self.command, done.status)))
    }

    /// The model's outputs by name; by position where the judge uses names of its own.
    fn pick(&self, arrays: &[(String, Tensor)]) -> Result<Vec<Value>> {
        let by_name = |n: &String| arrays.iter().find(|(a, _)| a == n).map(|(_, t)| Value::Tensor(t.clone()));
        if let Some(all) = self.outputs.iter().map(by_name).collect::<Option<Vec<_>>>() {
            return Ok(all);
        }
        if arrays.len() == self.outputs.len() && !self.outputs.iter().any(|n| by_name(n).is_some()) {
            return Ok(arrays.iter().map(|(_, t)| Value::Tensor(t.clone())).collect());
        }
        let have = arrays.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::usage(format!("the judge gave {have}; the model's outputs are {}", self.outputs.join(", "))))
    }
}

/// A folder that goes when it is no longer needed.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("modelsmith-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        crate::files::folder(&dir)?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Recorded outputs of a model: a folder of `NAME.npy` or `output_K.pb` files, or an `.npz` file.
///
/// # Errors
/// When an output is missing or a file cannot be read.
pub fn golden(path: &Path, model: &Model) -> Result<Vec<Value>> {
    let names = model.output_names();
    if !path.is_dir() {
        let exec = Exec { command: String::new(), inputs: vec![], outputs: names };
        return exec.pick(&npz::read(path)?).map_err(|e| e.in_file(path));
    }
    let mut out = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let npy = path.join(crate::files::array_file(name));
        let pb = path.join(format!("output_{i}.pb"));
        out.push(match npy.exists() {
            true => Value::Tensor(npz::read_npy(&npy)?),
            false if pb.exists() => test_data::read_value(&pb, &model.output_types()[i])?,
            false => {
                return Err(Error::usage(format!("output {name} is not recorded here"))
                    .in_file(path)
                    .help(format!("{} or output_{i}.pb is read", crate::files::array_file(name))));
            }
        });
    }
    Ok(out)
}
