//! The one ordered table of commands and options.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Opens AI models, proves what it converts, and compiles them into fast engines.
#[derive(Parser, Debug)]
#[command(name = "modelsmith", disable_version_flag = true, arg_required_else_help = false)]
#[command(
    after_help = "Exit codes: 0 done, and what was checked holds; 1 the check says no; 2 wrong usage; 3 damaged or \
unreadable input; 4 a fault of this program; 5 valid, but not supported; 6 input/output error, disk full, budget reached."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of all commands.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Print one JSON document on standard output, or write it to FILE
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub json: Option<String>,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print every diagnostic
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Threads; by default the lesser of affinity, cgroup quota and cores
    #[arg(long, global = true, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threads: usize,
    /// Instruction set to stay within
    #[arg(long, global = true, value_enum, value_name = "ISA")]
    pub isa: Option<IsaCap>,
    /// Colour of the output
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
    /// How progress is shown on standard error
    #[arg(long, global = true, value_enum, default_value_t = ProgressMode::Auto)]
    pub progress: ProgressMode,
    /// Options from a TOML file: keys are option names, tables are commands
    #[arg(long, global = true, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Print the version
    #[arg(long, short = 'V')]
    pub version: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsaCap {
    Portable,
    Avx2,
    Avx512,
    Amx,
}

impl IsaCap {
    pub fn name(self) -> &'static str {
        match self {
            IsaCap::Portable => "portable",
            IsaCap::Avx2 => "avx2",
            IsaCap::Avx512 => "avx512",
            IsaCap::Amx => "amx",
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    Auto,
    Plain,
    Json,
    None,
}

/// Commands, in the order in which help lists them.
// One is parsed in a process: its size does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Say what a model file holds
    Inspect(Inspect),
    /// Run a model once, or check it against recorded test data
    Run(Run),
    /// Run two models on the same inputs and say how they differ
    Compare(Compare),
    /// Say whether a model is valid and will load in a runtime
    Check(Check),
    /// Convert a model and report what could not be said
    Convert(Convert),
    /// Simplify a model and verify the result
    #[command(visible_alias = "simplify")]
    Optimize(Optimize),
    /// Compile a model into an engine for this machine
    Build(Build),
    /// Measure latency, throughput and memory
    Bench(Bench),
    /// The whole way: inspect, optimize, build, verify, bench, report
    Deploy(Deploy),
    /// List the formats that can be read and written
    Formats,
    /// List the operators and their versions
    Ops(Ops),
    /// List the passes in the order in which they run
    Passes,
    /// List the kernels, or explain why an engine uses those it does
    Kernels(Kernels),
    /// Say what this machine offers
    Doctor,
    /// Print a completion script
    Completions(Completions),
    /// Names, types, shapes and values of two checkpoints
    Diff(Diff),
    /// Quantize a model (not built yet)
    #[command(hide = true)]
    Quantize(NotBuilt),
    /// Prune a model (not built yet)
    #[command(hide = true)]
    Prune(NotBuilt),
    /// Say what a file would do when it is loaded; nothing is executed
    Scan(Scan),
    /// Show a model in the browser (not built yet)
    #[command(hide = true)]
    View(NotBuilt),
    /// Serve models (not built yet)
    #[command(hide = true)]
    Serve(NotBuilt),
    /// Keep models (not built yet)
    #[command(hide = true)]
    Registry(NotBuilt),
}

/// A command of the contract that this version does not have: whatever follows is taken.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct NotBuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// Where inputs come from.
#[derive(Args, Debug, Clone, Default)]
pub struct InputArgs {
    /// One input: FILE.npy, FILE.pb, image:FILE,.., randint:LO:HI, normal, uniform, zeros, ones
    #[arg(long = "input", value_name = "NAME=SPEC")]
    pub input: Vec<String>,
    /// Inputs from a folder or an .npz file
    #[arg(long, value_name = "DIR|FILE.npz")]
    pub inputs: Option<PathBuf>,
    /// Seed of the inputs that are drawn
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Keep the inputs as NAME.npy files
    #[arg(long, value_name = "DIR")]
    pub save_inputs: Option<PathBuf>,
    #[command(flatten)]
    pub sizes: SizeArgs,
}

/// Operators that the user defines.
#[derive(Args, Debug, Clone, Default)]
pub struct OpsArgs {
    /// Functions in ONNX's text form that define operators of foreign domains
    #[arg(long, value_name = "FILE")]
    pub ops: Vec<PathBuf>,
}

/// Sizes of free dimensions.
#[derive(Args, Debug, Clone, Default)]
pub struct SizeArgs {
    /// Shape of one input, for example image=1x3x224x224
    #[arg(long, value_name = "NAME=AxBxC")]
    pub shape: Vec<String>,
    /// Size of a named dimension, for example batch=8
    #[arg(long, value_name = "NAME=N")]
    pub dim: Vec<String>,
}

/// Which tensors of a checkpoint, under which names and of which type.
#[derive(Args, Debug, Clone, Default)]
pub struct TensorArgs {
    /// A part of a training checkpoint, for example model
    #[arg(long, value_name = "PATH")]
    pub key: Option<String>,
    /// Rename tensors: a regular expression and what takes its place; $1 is its first group
    #[arg(long, value_name = "OLD=NEW")]
    pub map: Vec<String>,
    /// Only tensors whose names match
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No tensors whose names match
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Element type of floating-point tensors, for example f16
    #[arg(long, value_name = "TYPE")]
    pub cast: Option<String>,
    /// Recipe for the types of a GGUF file, for example Q4_K_M
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Type of the tensors of a GGUF file whose names match, before that of the recipe
    #[arg(long, value_name = "REGEX=TYPE")]
    pub tensor_type: Vec<String>,
    /// Importance matrix for --type, as llama.cpp writes it
    #[arg(long, value_name = "FILE")]
    pub imatrix: Option<PathBuf>,
    /// A further checkpoint whose tensors go into the same file
    #[arg(long, value_name = "FILE")]
    pub merge: Vec<PathBuf>,
    /// Begin a new file when one has this many bytes
    #[arg(long, value_name = "SIZE")]
    pub shard_size: Option<String>,
    /// Most memory for tensors on their way
    #[arg(long, default_value = "512MiB", value_name = "SIZE")]
    pub budget: String,
}

/// A checkpoint for the graph of a model.
#[derive(Args, Debug, Clone, Default)]
pub struct GraphArgs {
    /// Model whose graph is taken
    #[arg(long, value_name = "MODEL")]
    pub graph: Option<PathBuf>,
    /// Checkpoint whose tensors become its weights
    #[arg(long, value_name = "CHECKPOINT")]
    pub weights: Option<PathBuf>,
    /// Keep the graph's own values where the checkpoint lacks a tensor
    #[arg(long)]
    pub partial: bool,
}

/// What counts as agreement.
#[derive(Args, Debug, Clone, Default)]
pub struct AgreementArgs {
    /// Relative tolerance
    #[arg(long)]
    pub rtol: Option<f64>,
    /// Absolute tolerance, of one output or of all
    #[arg(long, value_name = "[OUTPUT=]X")]
    pub atol: Vec<String>,
    /// elements, cosine[=LEAST], top1[=LEAST] or norm[=MOST]
    #[arg(long)]
    pub metric: Option<String>,
}

#[derive(Args, Debug)]
pub struct Inspect {
    /// Models or engines
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Print the graph as text
    #[arg(long)]
    pub dump: bool,
    /// List the weights
    #[arg(long)]
    pub weights: bool,
    /// List the operators with their versions
    #[arg(long)]
    pub ops: bool,
    /// Check payload checksums; of a checkpoint, read every element and show the CRC-32 of each tensor
    #[arg(long)]
    pub verify: bool,
    /// Smallest, largest and mean element, NaN, infinities and zeros of each tensor of a checkpoint
    #[arg(long)]
    pub stats: bool,
}

#[derive(Args, Debug)]
pub struct Scan {
    /// Files, or folders with all that is below them
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Print the findings as SARIF
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
    /// Least severity that is refused; what was not understood always is
    #[arg(long, value_enum, default_value = "low", value_name = "SEVERITY")]
    pub fail_on: FailOn,
    /// Save the tensors of a checkpoint, and nothing else of it
    #[arg(long, value_name = "OUT.safetensors")]
    pub extract_safe: Option<PathBuf>,
}

/// Severities that a scan can be told to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    High,
    Medium,
    Low,
}

#[derive(Args, Debug)]
pub struct Diff {
    /// Checkpoint
    pub a: PathBuf,
    /// What is held against it
    pub b: PathBuf,
    /// Most memory for tensors that cannot be compared piece by piece
    #[arg(long, default_value = "512MiB", value_name = "SIZE")]
    pub budget: String,
}

#[derive(Args, Debug)]
pub struct Run {
    /// Model or engine
    pub model: PathBuf,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Keep the outputs as NAME.npy files
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// cpu or reference
    #[arg(long, default_value = "cpu")]
    pub backend: String,
    /// Folder of engines built before: a model is taken from there, or kept there for the next time
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Refuse steps that use the reference
    #[arg(long)]
    pub no_fallback: bool,
    /// Folder of input_K.pb and output_K.pb to check against
    #[arg(long, value_name = "DIR")]
    pub test_data: Option<PathBuf>,
    #[command(flatten)]
    pub agreement: AgreementArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Compare {
    /// The original
    pub a: PathBuf,
    /// What is compared with it; may be left out with --golden or two runners
    pub b: Option<PathBuf>,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Samples that are drawn
    #[arg(long, default_value_t = 10)]
    pub samples: usize,
    /// Compare values on the way: those around the first that differs, or all
    #[arg(long, value_name = "all", num_args = 0..=1, require_equals = true, default_missing_value = "first")]
    pub layers: Option<String>,
    /// Write the smallest sub-model that still differs
    #[arg(long, value_name = "OUT.onnx")]
    pub reduce: Option<PathBuf>,
    /// Say what makes the first differing value differ
    #[arg(long)]
    pub explain: bool,
    /// Where the inputs of the first sample in which they differ go
    #[arg(long, value_name = "FILE.npz", default_value = "witness.npz")]
    pub witness: PathBuf,
    /// An output of A and its counterpart in B
    #[arg(long, value_name = "A=B")]
    pub map_output: Vec<String>,
    /// cpu, reference or exec:COMMAND
    #[arg(long, default_value = "cpu")]
    pub a_runner: String,
    /// cpu, reference or exec:COMMAND
    #[arg(long, default_value = "cpu")]
    pub b_runner: String,
    /// Recorded outputs in the place of B
    #[arg(long, value_name = "DIR|NPZ")]
    pub golden: Option<PathBuf>,
    #[command(flatten)]
    pub agreement: AgreementArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Check {
    /// Model
    #[arg(required_unless_present = "target")]
    pub model: Option<PathBuf>,
    /// Runtime to load in, for example onnxruntime-1.31; without a version the newest; `help` lists them
    #[arg(long, value_name = "PROFILE")]
    pub target: Option<String>,
    /// Write the model with shapes freed that an exporter wrote down for one size of a free dimension
    #[arg(long, value_name = "OUT", conflicts_with = "target")]
    pub fix: Option<PathBuf>,
    /// Refuse to replace OUT
    #[arg(long, requires = "fix")]
    pub no_clobber: bool,
    #[command(flatten)]
    pub ops: OpsArgs,
}

/// What is written for a runtime that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gaps {
    /// The largest part that loads
    Part,
    /// Everything, as far as it could be said
    Whole,
    /// Nothing
    None,
}

#[derive(Args, Debug)]
pub struct TargetArgs {
    /// Runtime that is to load the result, for example onnxruntime-1.31: `check --target help` lists them
    #[arg(long, value_name = "PROFILE")]
    pub target: Option<String>,
    /// What to write where the runtime lacks something that has no other form
    #[arg(long, value_name = "WHAT", default_value = "part", requires = "target")]
    pub gaps: Gaps,
}

#[derive(Args, Debug)]
pub struct Convert {
    /// Model or checkpoint; left out where --graph and --weights are given
    #[arg(id = "in", value_name = "IN")]
    pub input: PathBuf,
    /// File to write; may be the input. The folder of a GGUF file ends in `/`
    #[arg(id = "out", value_name = "OUT", required_unless_present_any = ["graph", "to_file"])]
    pub output: Option<PathBuf>,
    /// The same as OUT
    #[arg(short = 'o', long = "output", id = "to_file", value_name = "OUT", conflicts_with = "out")]
    pub to_file: Option<PathBuf>,
    /// Format to write; by default from the name of OUT
    #[arg(long, value_name = "FORMAT")]
    pub to: Option<String>,
    /// Opset to write; by default that of the input
    #[arg(long)]
    pub opset: Option<u32>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Fix every free dimension
    #[arg(long = "static")]
    pub fixed: bool,
    #[command(flatten)]
    pub tensors: TensorArgs,
    #[command(flatten)]
    pub graph: GraphArgs,
    /// no, yes or full
    #[arg(long, default_value = "yes")]
    pub verify: String,
    /// Put the weights into a file beside the model, OUT.data, whatever its size (ONNX)
    #[arg(long)]
    pub external_data: bool,
    /// Refuse to replace OUT
    #[arg(long)]
    pub no_clobber: bool,
    #[command(flatten)]
    pub agreement: AgreementArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Optimize {
    /// Model
    #[arg(id = "in", value_name = "IN")]
    pub input: PathBuf,
    /// File to write; may be the input
    #[arg(id = "out", value_name = "OUT", required_unless_present = "bisect")]
    pub output: Option<PathBuf>,
    /// Opset to write; by default that of the input
    #[arg(long)]
    pub opset: Option<u32>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Run only these passes and rules; `modelsmith passes` lists them and the names of onnxoptimizer that are taken too
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub passes: Vec<String>,
    /// Leave out these passes and rules
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub skip: Vec<String>,
    /// Run these passes too, which run only where they are asked for: fix-initializers makes constants of initializers
    /// that are inputs, so that they fold and no caller can override them
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub also: Vec<String>,
    /// Print the graph after this pass
    #[arg(long, value_name = "PASS")]
    pub dump_after: Option<String>,
    /// Stop after this pass has run once
    #[arg(long, value_name = "PASS")]
    pub stop_after: Option<String>,
    /// Find the first pass and rewrite after which the results differ, and write nothing
    #[arg(long, conflicts_with_all = ["out", "no_verify", "target"])]
    pub bisect: bool,
    /// Write without running the original and the result
    #[arg(long)]
    pub no_verify: bool,
    /// Refuse to replace OUT
    #[arg(long)]
    pub no_clobber: bool,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub agreement: AgreementArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Build {
    /// Model; left out where --graph and --weights are given
    #[arg(required_unless_present_all = ["graph", "weights"])]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub graph: GraphArgs,
    /// Rename tensors of the checkpoint: a regular expression and what takes its place
    #[arg(long, value_name = "OLD=NEW")]
    pub map: Vec<String>,
    /// A part of a training checkpoint, for example model
    #[arg(long, value_name = "PATH")]
    pub key: Option<String>,
    /// Engine to write
    #[arg(long, short, value_name = "OUT.engine")]
    pub output: PathBuf,
    /// Half precision (not built yet)
    #[arg(long)]
    pub fp16: bool,
    /// Brain floats (not built yet)
    #[arg(long)]
    pub bf16: bool,
    /// 8-bit integers (not built yet)
    #[arg(long)]
    pub int8: bool,
    /// Best precision for each layer (not built yet)
    #[arg(long)]
    pub best: bool,
    /// On AMX two bf16 parts for each value in the place of three: faster, errors of about 2^-16 of the sum of magnitudes
    #[arg(long)]
    pub f32_fast: bool,
    /// The same engine, and the same bits from it, whatever the number of threads
    #[arg(long)]
    pub strict: bool,
    /// Measure kernels on the layers of the model for so many seconds at most, and choose by that
    #[arg(long, value_name = "SECONDS")]
    pub tune: Option<f64>,
    /// File of measured times to choose by; --tune adds to it
    #[arg(long, value_name = "FILE")]
    pub tuning_db: Option<PathBuf>,
    /// Do not verify the engine against the model
    #[arg(long)]
    pub no_verify: bool,
    /// Folder of engines built before: taken from there, or kept there for the next time
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Refuse to replace OUT
    #[arg(long)]
    pub no_clobber: bool,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub agreement: AgreementArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Bench {
    /// Model or engine
    pub model: PathBuf,
    /// Runs before measuring
    #[arg(long, default_value_t = 10)]
    pub warmup: usize,
    /// Runs to measure
    #[arg(long, conflicts_with = "duration")]
    pub iters: Option<usize>,
    /// Time to measure for, for example 3s or 500ms
    #[arg(long)]
    pub duration: Option<String>,
    /// Concurrent streams (only 1 is built)
    #[arg(long, default_value_t = 1)]
    pub streams: usize,
    /// Time of each layer, with its kernel
    #[arg(long)]
    pub profile: bool,
    /// A model or engine to measure in turns with this one
    #[arg(long, value_name = "MODEL")]
    pub baseline: Option<PathBuf>,
    /// Serve timed runs over standard input and output
    #[arg(long, requires = "test_data")]
    pub interactive: bool,
    /// Folder of input_K.pb and output_K.pb
    #[arg(long, value_name = "DIR")]
    pub test_data: Option<PathBuf>,
    /// cpu or reference
    #[arg(long, default_value = "cpu")]
    pub backend: String,
    /// Folder of engines built before: a model is taken from there, or kept there for the next time
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Deploy {
    /// Model
    pub model: PathBuf,
    /// Folder for the engine, the simplified model and the report
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Inputs with known labels: an .npy file whose first axis is the sample, or an .npz file with one per input
    #[arg(long, requires = "labels")]
    pub eval: Option<PathBuf>,
    /// Labels of --eval: an .npy file of integers
    #[arg(long, requires = "eval")]
    pub labels: Option<PathBuf>,
    /// Calibration data (used by 8-bit precisions, which are not built yet)
    #[arg(long)]
    pub calib: Option<PathBuf>,
    /// Largest loss of accuracy that an engine may have
    #[arg(long, default_value_t = 0.01)]
    pub max_drop: f64,
    /// Largest engine file, for example 50MiB
    #[arg(long)]
    pub max_size: Option<String>,
    /// Largest planned memory of a run
    #[arg(long)]
    pub max_memory: Option<String>,
    /// Largest median latency, for example 5ms
    #[arg(long)]
    pub max_latency: Option<String>,
    /// Runs to measure
    #[arg(long, default_value_t = 100)]
    pub iters: usize,
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub agreement: AgreementArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
}

#[derive(Args, Debug)]
pub struct Ops {
    /// Only operators whose name holds this
    pub name: Option<String>,
}

#[derive(Args, Debug)]
pub struct Kernels {
    /// Say for each step of this engine or model which kernel was chosen, and why not others
    #[arg(long, value_name = "ENGINE")]
    pub explain: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Completions {
    /// Shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_is_sound() {
        Cli::command().debug_assert();
    }
}
