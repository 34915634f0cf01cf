//! Programs in archives made here, run by the reference.

use modelsmith_format::{Archive, Artifact, Content, Error, Imported, Input, Output, ReadOptions, WriteOptions};
use modelsmith_format_torch::{SCRIPT, TORCH};
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{Tensor, Value};

/// A pickle of an object of class `__torch__.t.M` with one flag.
fn object() -> Vec<u8> {
    let mut out = b"\x80\x02c__torch__.t\nM\n)\x81}X\x08\0\0\0training\x89sb.".to_vec();
    out.shrink_to_fit();
    out
}

fn archive(code: &str) -> Vec<u8> {
    let mut zip = Archive::new();
    let head = |bytes: &[u8]| Content { head: bytes.to_vec(), weight: None };
    zip.add("m/data.pkl", head(&object())).unwrap();
    zip.add("m/code/__torch__/t.py", head(code.as_bytes())).unwrap();
    zip.add("m/version", head(b"3\n")).unwrap();
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).unwrap();
    output.into_memory().remove(0).1
}

fn read(code: &str, ranks: &[(&str, usize)]) -> Result<Imported, Error> {
    let ranks = ranks.iter().map(|(n, r)| ((*n).to_owned(), *r)).collect();
    let input = Input::from_bytes("m.pt", archive(code));
    (SCRIPT.read)(&input, &ReadOptions { ranks, ..ReadOptions::default() })
}

fn method(body: &str) -> String {
    let body = body.lines().map(|l| format!("    {l}\n")).collect::<String>();
    format!(
        "class M(Module):\n  training : bool\n  def forward(self: __torch__.t.M,\n    x: Tensor,\n    n: int) -> Tensor:\n{body}"
    )
}

fn run(body: &str, x: &[f32], n: i64) -> Vec<f64> {
    let found = read(&method(body), &[("x", 1)]).unwrap();
    let Artifact::Model(model) = found.artifact else { panic!("a checkpoint") };
    let inputs = [Value::from(Tensor::vector(x)), Value::from(Tensor::scalar(n))];
    let inputs = &inputs[..model.graph().params.len()];
    let mut running = Reference.load(&model, &Opts::default()).unwrap();
    let out = running.run(inputs, &mut |_, _| {}).unwrap();
    out[0].tensor().unwrap().to_f64s().unwrap()
}

#[test]
fn branches_and_loops_do_what_the_program_does() {
    let body = "y = torch.clone(x)
for i in range(n):
  if bool(torch.gt(torch.sum(y), 4)):
    y0 = torch.mul(y, 0.5)
  else:
    y0 = torch.add(y, i)
  y = y0
return y";
    let python = |x: &[f32], n: i64| {
        let mut y = x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        for i in 0..n {
            let over = y.iter().sum::<f64>() > 4.0;
            y.iter_mut().for_each(|v| *v = if over { *v * 0.5 } else { *v + i as f64 });
        }
        y
    };
    for (x, n) in [([1.0, 2.0], 0), ([1.0, 2.0], 1), ([-3.0, 0.5], 4), ([9.0, 9.0], 7)] {
        assert_eq!(run(body, &x, n), python(&x, n), "{x:?} {n}");
    }
}

#[test]
fn a_write_through_a_view_in_a_branch_reaches_the_whole() {
    let body = "y = torch.clone(x)
v = torch.slice(y, 0, 1)
if bool(torch.gt(torch.select(x, 0, 0), 0)):
  _0 = torch.mul_(v, 10)
else:
  pass
return torch.add(y, n)";
    assert_eq!(run(body, &[1.0, 2.0, 3.0], 0), [1.0, 20.0, 30.0]);
    assert_eq!(run(body, &[-1.0, 2.0, 3.0], 1), [0.0, 3.0, 4.0]);
}

#[test]
fn a_list_that_a_loop_fills_is_stacked() {
    let body = "parts = annotate(List[Tensor], [])
for i in range(n):
  _0 = torch.append(parts, torch.add(x, i))
return torch.flatten(torch.stack(parts))";
    assert_eq!(run(body, &[1.0], 1), [1.0]);
    assert_eq!(run(body, &[1.0, 5.0], 3), [1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
}

#[test]
fn what_cannot_be_said_is_one_node_with_its_line() {
    let found = read(&method("y = torch.fft_nothing(x, 3)\nreturn torch.add(y, n)"), &[("x", 1)]).unwrap();
    let text = found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("aten::fft_nothing (code/__torch__/t.py, line 6): the operator aten::fft_nothing is not known"),
        "{text}"
    );
}

#[test]
fn damaged_code_is_refused_with_file_and_line() {
    let refused = |body: &str| read(&method(body), &[("x", 1)]).err().expect("a fault").to_string();
    assert!(refused("return (x").contains("code/__torch__/t.py, line"), "{}", refused("return (x"));
    assert!(refused("return q").contains("line 6: the name `q` has no value"), "{}", refused("return q"));
    assert!(refused("raise Exception(\"never\")").contains("never"));
    let recursion = method("return (self).forward(x, n, )");
    assert!(read(&recursion, &[("x", 1)]).err().expect("a fault").to_string().contains("recursion"));
}

#[test]
fn a_program_is_told_from_a_checkpoint_by_its_content() {
    let formats = [&SCRIPT, &TORCH];
    for name in ["m.pt", "m.pth", "m.bin", "m"] {
        let input = Input::from_bytes(name, archive(&method("return x")));
        assert_eq!(modelsmith_format::detect(&formats, &input).map(|f| f.name), Some("torchscript"), "{name}");
    }
}

#[test]
fn an_archive_without_a_method_forward_is_a_checkpoint() {
    let found = read("class M(Module):\n  training : bool\n", &[]).unwrap();
    assert_eq!(found.artifact.kind(), "checkpoint");
    let bytes = archive(&method("return x"));
    let input = Input::from_bytes("m.pt", bytes);
    let weights = ReadOptions { weights: true, ..ReadOptions::default() };
    assert_eq!((SCRIPT.read)(&input, &weights).unwrap().artifact.kind(), "checkpoint");
    assert_eq!((TORCH.read)(&input, &ReadOptions::default()).unwrap().artifact.kind(), "checkpoint");
}
