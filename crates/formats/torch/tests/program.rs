//! Models written as programs: the code, and what our own reader makes of it. That PyTorch runs them is the matter of
//! `conformance/torch_write.py`.

use modelsmith_format::{Artifact, Input, Output, ReadOptions, WriteOptions};
use modelsmith_format_torch::{SCRIPT, written};
use modelsmith_ir::Model;
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value};
use modelsmith_wire::zip::Archive;

fn model(text: &str) -> Model {
    modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn archive(m: &Model) -> Result<Vec<u8>, String> {
    let mut out = Output::memory();
    let done = SCRIPT.write.unwrap()(&Artifact::Model(Box::new(m.clone())), &mut out, &WriteOptions::new(&Operators));
    done.map_err(|e| format!("{e}"))?;
    Ok(out.into_memory().remove(0).1)
}

fn code(bytes: &[u8]) -> String {
    let zip = Archive::open(bytes).unwrap();
    let entry = zip.entries().iter().find(|e| e.name.ends_with("__torch__.py")).unwrap();
    String::from_utf8(zip.read(entry, 1 << 20).unwrap()).unwrap()
}

fn back(bytes: Vec<u8>) -> Model {
    let read = (SCRIPT.read)(&Input::from_bytes("m.pt", bytes), &ReadOptions::default()).unwrap();
    match read.artifact {
        Artifact::Model(model) => *model,
        other => panic!("{}", other.kind()),
    }
}

fn run(m: &Model, inputs: &[Tensor]) -> Vec<Tensor> {
    let inputs = inputs.iter().cloned().map(Value::from).collect::<Vec<_>>();
    let mut running = Reference.load(m, &Opts::default()).unwrap();
    let out = running.run(&inputs, &mut |_, _| {}).unwrap();
    out.into_iter().map(|v| v.tensor().unwrap().clone()).collect()
}

/// Writes the model, reads it, and runs both on each of the sets of inputs; the code.
fn round_trip(text: &str, sets: &[Vec<Tensor>]) -> String {
    let m = model(text);
    let bytes = archive(&m).unwrap();
    let again = back(bytes.clone());
    let names = |m: &Model| {
        let all = m.graph().params.iter().chain(&m.graph().results);
        all.map(|&v| m.values[v].name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&m), names(&again));
    for inputs in sets {
        let (wanted, found) = (run(&m, inputs), run(&again, inputs));
        assert_eq!(wanted.len(), found.len());
        for (a, b) in wanted.iter().zip(&found) {
            assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()), "{}", code(&bytes));
            for (x, y) in a.to_f64s().unwrap().iter().zip(b.to_f64s().unwrap()) {
                assert!((x - y).abs() <= 1e-5 * x.abs().max(1.0), "{x} {y}\n{}", code(&bytes));
            }
        }
    }
    code(&bytes)
}

fn floats(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    let values = (0..n).map(|i| ((i * 7) % 11) as f64 * 0.25 - 1.0).collect::<Vec<_>>();
    Tensor::from_f64s(DType::F32, shape, &values).unwrap()
}

#[test]
fn a_convolution_reads_like_a_program() {
    let text = r#"
graph net(%x: f32[n, 2, 5, 5]) {
  weight %"features.0.weight" = f32[1, 2, 3, 3] [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  weight %"features.0.bias" = f32[1] [0.5]
  weight %half = f32[] 0.5
  %"conv/out": f32[n, 1, 5, 5] = Conv(%x, %"features.0.weight", %"features.0.bias") {pads = [1, 1, 1, 1]}
  %r = Relu(%"conv/out")
  %y: f32[n, 1, 5, 5] = Mul(%r, %half)
  return %y
}"#;
    let code = round_trip(text, &[vec![floats(&[1, 2, 5, 5])], vec![floats(&[3, 2, 5, 5])]]);
    let wanted = "class Features0(Module):
  __parameters__ = [\"weight\", \"bias\", ]
  __buffers__ = []
  weight : Tensor
  bias : Tensor
  training : bool
class Features(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  __annotations__[\"0\"] = __torch__.Features0
class Net(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  features : __torch__.Features
  def forward(self: __torch__.Net,
    x: Tensor) -> Tensor:
    conv_out = torch.conv2d(x, getattr(self.features, \"0\").weight, getattr(self.features, \"0\").bias, [1, 1], \
                  [1, 1], [1, 1], 1)
    r = torch.relu(conv_out)
    y = torch.mul(r, 0.5)
    return y
";
    assert_eq!(code, wanted);
}

#[test]
fn sizes_are_arithmetic_of_sizes() {
    let text = r#"
graph g(%x: f32[batch, length, 6]) {
  weight %two = i64[1] [2]
  weight %zero = i64[1] [0]
  weight %three = i64[1] [3]
  weight %first = i64[] 0
  %s = Shape(%x)
  %b = Gather(%s, %zero) {axis = 0}
  %l = Gather(%s, %first) {axis = 0}
  %minus = Neg(%two)
  %rest = Div(%minus, %two)
  %target = Concat(%b, %two, %three, %rest) {axis = 0}
  %y: f32[batch, 2, 3, length] = Reshape(%x, %target)
  return %y, %l
}"#;
    let code = round_trip(text, &[vec![floats(&[1, 4, 6])], vec![floats(&[3, 2, 6])]]);
    assert!(code.contains("batch = torch.size(x, 0)\n"), "{code}");
    assert!(code.contains("y = torch.reshape(x, [batch, 2, 3, -1])\n"), "{code}");
    assert!(code.contains("l = torch.tensor(batch)\n    return (y, l)\n"), "{code}");
}

#[test]
fn branches_and_loops_come_out_as_such() {
    let text = r#"
graph g(%x: f32[n], %count: i64[], %go: bool[]) {
  weight %one = f32[] 1.0
  weight %limit = f32[] 20.0
  weight %six = i64[] 6
  %y: f32[n], %all: f32[?, n] = Loop(%count, _, %x) {body = graph body(%i: i64[], %c: bool[], %h: f32[n]) {
    %h1: f32[n] = Add(%h, %one)
    %k = Cast(%i) {to = 1}
    %h2: f32[n] = Mul(%h1, %k)
    %c1 = Identity(%c)
    return %c1, %h2, %h1
  }}
  %z: f32[n] = If(%go) {then_branch = graph a() {
    %t: f32[n] = Neg(%y)
    return %t
  }, else_branch = graph b() {
    return %x
  }}
  %w: f32[n] = Loop(%six, %go, %z) {body = graph body(%j: i64[], %d: bool[], %v: f32[n]) {
    %v1: f32[n] = Add(%v, %v)
    %v2: f32[n] = Add(%v1, %one)
    %m = ReduceMax(%v2) {keepdims = 0}
    %d1 = Less(%m, %limit)
    return %d1, %v2
  }}
  return %w, %all
}"#;
    let flag = |go: bool| Tensor::from_i64s(DType::Bool, &[], &[i64::from(go)]).unwrap();
    let set = |n: usize, count: i64, go: bool| vec![floats(&[n]), Tensor::scalar(count), flag(go)];
    let code = round_trip(text, &[set(3, 1, true), set(3, 1, false), set(4, 5, false), set(4, 3, true)]);
    // A loop without a run gives a tensor of the right sizes, where the reference knows none.
    let none = run(&back(archive(&model(text)).unwrap()), &set(3, 0, true));
    assert_eq!((none[0].len(), none[1].shape()), (3, &[0, 3][..]));
    assert!(code.contains("for i in range(count_value):\n"), "{code}");
    assert!(code.contains("    if bool(go):\n"), "{code}");
    assert!(code.contains("    while go_2:\n"), "{code}");
}

#[test]
fn weights_are_shared_as_they_were() {
    let text = r#"
graph g(%x: f32[n, 2]) {
  weight %w = f32[2, 2] [1, 2, 3, 4]
  %a = MatMul(%x, %w)
  %y = MatMul(%a, %w)
  return %y
}"#;
    let mut m = model(text);
    let w = m.graph().weights[0];
    let shared = m.weight(w).unwrap().clone();
    let tied = m.add_weight(m.main, "tied.weight", shared);
    let last = *m.graph().body.last().unwrap();
    m.nodes[last].inputs[1] = Some(tied);
    let bytes = archive(&m).unwrap();
    let zip = Archive::open(&bytes).unwrap();
    let sizes = zip.entries().iter().filter(|e| e.name.contains("/data/")).map(|e| e.size).collect::<Vec<_>>();
    assert_eq!(sizes, [16]);
    let code = code(&bytes);
    assert!(code.contains("torch.matmul(x, self.w)") && code.contains("torch.matmul(a, self.tied.weight)"), "{code}");
    for e in zip.entries() {
        assert_eq!(zip.range(e).unwrap().start % 64, 0, "{}", e.name);
    }
}

#[test]
fn what_cannot_be_said_is_one_report() {
    let text = r#"
graph g(%x: f32[1, 1, 4, 4], %s: f32[3]) {
  %a, %i = MaxPool(%x) {kernel_shape = [2, 2]} as "pool"
  %b = RandomUniform() {shape = [2]} as "draw"
  %c = my.ops.Thing@1(%s)
  return %a, %i, %b, %c
}"#;
    let wanted = "TorchScript cannot say 3 nodes:
  pool (MaxPool): the indices of a maximum count over the whole tensor, PyTorch's over a plane
  draw (RandomUniform): RandomUniform has no counterpart
  Thing#2: the operator my.ops.Thing is not known; cut them off or replace them; .onnx keeps the graph as it is, \
                  --to torch writes the weights alone";
    assert_eq!(archive(&model(text)).unwrap_err(), wanted);
    let text = "graph g(%x: u32[2]) {\n  %y = Identity(%x)\n  return %y\n}";
    let wanted = "the input x: PyTorch does not compute with u32; --to torch writes the weights alone";
    assert_eq!(archive(&model(text)).unwrap_err(), wanted);
    let mut out = Output::memory();
    let none = Artifact::Checkpoint(modelsmith_format::Checkpoint::default());
    let refused = SCRIPT.write.unwrap()(&none, &mut out, &WriteOptions::new(&Operators)).map(|_| ()).unwrap_err();
    let wanted = "a TorchScript archive holds models; this is a checkpoint; --to torch writes a checkpoint";
    assert_eq!(refused.to_string(), wanted);
}

#[test]
fn every_row_is_an_operator_and_the_page_lists_them() {
    for op in written() {
        assert!(modelsmith_ops::all().get("", op).is_some(), "{op}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/torchscript.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mark = "<!-- operators -->\n";
    let (before, after) = (page.split(mark).next().unwrap(), page.rsplit(mark).next().unwrap());
    let mut lines = vec![String::new()];
    for word in format!("{}.", written().join(", ")).split(' ') {
        match lines.last_mut().unwrap() {
            line if line.is_empty() => line.push_str(word),
            line if line.len() + word.len() < 120 => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    let wanted = format!("{before}{mark}{}\n{mark}{after}", lines.join("\n"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    assert!(page == wanted, "docs/torchscript.md is stale: run this test with UPDATE=1");
}
