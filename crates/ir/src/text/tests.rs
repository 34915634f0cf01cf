#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
use super::*;
use crate::*;
use modelsmith_base::DType;
use modelsmith_tensor::Tensor;

fn ops() -> OpSet {
    static RELU: OpDef = OpDef { name: "Relu", ..OpDef::BASE };
    static ADD: OpDef = OpDef { name: "Add", ..OpDef::BASE };
    static IF: OpDef = OpDef { name: "If", ..OpDef::BASE };
    static GELU: OpDef = OpDef {
        name: "Gelu",
        domain: "my.ext",
        schema: Schema { attrs: &[AttrDef::float("alpha", 1.0)], ..Schema::EMPTY },
        ..OpDef::BASE
    };
    OpSet::new(&[&RELU, &ADD, &IF, &GELU])
}

fn round_trip(text: &str) -> Model {
    let m = parse(text, &ops()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let once = print_full(&m);
    let again = parse(&once, &ops()).unwrap_or_else(|e| panic!("{e}\n{once}"));
    assert_eq!(print_full(&again), once);
    m
}

const EVERYTHING: &str = r#"
stage legal("tflite")
meta {format = "onnx", producer = "me\n\u{7f}", ir_version = 8, model_version = -3, opset "" = 17, opset "a.b" = 1, prop "k" = "v", extra "z" = hex"00ff"}

function local.F:"o v" {bias, gain = 1.5} opset "" = 17 @{doc = "d"} graph(%a, %b: seq(f32[?])) {
  %c = Add(%a, %b) {alpha = @gain: float, beta = @"be ta": ints}
  %d = call local.G(%c)
  return %d, %a
}

function local.G graph(%x) {
  return %x
}

graph "main graph"(%x: f32[n, 3] @{prop "p" = "q"}, %y: ?[*], %z: map(string, optional(i64[*])), %o: opaque("a", "b"), %s: sparse(f64[2*n + 1, floordiv(n, 2), broadcast(a, "b c"), -n])) @{doc = "graph"} {
  weight %w = f32[2, 2] [1, -0.0, inf, nan(0x7fc00001)]
  weight %"w 2": f32[n] @{source "s", extra = hex"01"} = f32[300] 0.5
  weight %lazy = reshape(slice(concat(0, permute(f32[2, 3] [1, 2, 3, 4, 5, 6], [1, 0]), f32[1, 2] 0), 0, 1, 2), [4])
  weight %cast = cast(eval("Add()", f16[1], f16[1] [1], f16[1] [2]), bf16)
  expose %w, %"w 2"
  %a: f32[n, 3], _, %b: i64[] @{doc = "b"} = Add(%x, _, f32[2] [1, 2], %w) as "node one" @{source "a", source "b"}
  %@0 = Relu(%a)
  %@1 = Relu(%@0)
  %x@7 = my.ext.Gelu(%@1) {alpha = 2}
  %e = If(%b) {n = 1, then_branch = graph t() {
    weight %w = i4[3] [-8, 7, 0]
    %x = Relu(%w)
    return %x
  }, else_branch = graph() {
    return %a
  }}
  %f = "odd domain"."na me"@3(%e) {i = -9223372036854775808, f = 1.0, nan = nan(0x7fc00001), minus = -0.0, s = "a\"b", bytes = hex"80", ints = [1, -2], none = ints [], floats = [1.0, inf, -3e-7], nofloats = floats [], strings = ["a", ""], nostrings = strings [], t = f64[] 0.1, ty = type seq(f32[n, 3]), tys = types [f32[], ?], ts = tensors [f32[] 1.0, string[2] ["x", "y"]], sp = sparse(f32[1] [2.0], i64[1] [0], [4, 5]), to = f16, dtype = 99}
  Relu(%f)
  _ = Conv@13(%x@7)
  return %f, %w, %x@7
}
"#;

#[test]
fn everything_round_trips() {
    let m = round_trip(EVERYTHING);
    assert_eq!(m.stage, Stage::Legal("tflite".into()));
    assert_eq!(m.functions.len(), 2);
    let main = m.graph();
    assert_eq!((main.params.len(), main.weights.len(), main.results.len()), (5, 5, 3));
    let f = m.nodes.iter().find(|(_, n)| n.attrs.get("ints").is_some()).unwrap().1;
    assert!(matches!(f.attrs.get("to"), Some(Attr::Int(10))));
    assert!(matches!(f.attrs.get("nan"), Some(Attr::Float(x)) if x.to_bits() == 0x7fc0_0001));
    assert!(matches!(f.attrs.get("minus"), Some(Attr::Float(x)) if x.to_bits() == 0x8000_0000));
    let gelu = m.nodes.iter().find(|(_, n)| n.known().is_some_and(|d| d.name == "Gelu")).unwrap().1;
    assert!(matches!(gelu.attrs.get("alpha"), Some(Attr::Float(2.0))));
    let values = m.values.iter().filter(|(_, v)| v.name == "x").count();
    assert_eq!(values, 4, "parameters of two graphs, a body's and a shadowing one");
}

#[test]
fn literals_keep_every_bit() {
    for dtype in DType::ALL {
        if dtype == DType::String {
            continue;
        }
        let bytes = (0..=255u8).flat_map(|b| [b, b ^ 0x5a, 0, b, 0x7f, b, 0xf0, 0x7f]).collect::<Vec<_>>();
        let len = |n: usize| dtype.bytes_for(n).unwrap();
        let n = (1..=256).rev().find(|&n| len(n) <= bytes.len() && len(n) * 8 == n * dtype.bits()).unwrap();
        let mut bytes = bytes[..len(n)].to_vec();
        if dtype == DType::Bool {
            bytes.iter_mut().for_each(|b| *b &= 1);
        }
        let t = Tensor::from_bytes(dtype, &[n], &bytes).unwrap();
        let mut out = String::new();
        literal::print_literal(&mut out, &t);
        let back = parse_literal(&mut Lexer::new(&out).unwrap()).unwrap_or_else(|e| panic!("{dtype}: {e}\n{out}"));
        assert!(back.same_bits(&t), "{dtype}: {out}");
    }
}

#[test]
fn unnamed_small_constants_stand_inline() {
    let m = round_trip("graph(%x: f32[3]) { %y = Add(%x, f32[] 1) return %y }");
    assert_eq!(print(&m), "graph(%x: f32[3]) {\n  %y = Add(%x, f32[] 1.0)\n  return %y\n}\n");
}

#[test]
fn large_weights_are_left_out_for_people() {
    let m = round_trip("graph() { weight %w = f32[99] 1 return %w }");
    assert!(print(&m).contains("weight %w = f32[99] elided"));
    let e = parse(&print(&m), &ops()).err().unwrap();
    assert_eq!((e.line, e.message.contains("print the model in full")), (2, true));
}

#[test]
fn operators_of_lazy_weights() {
    let (def, attrs) = parse_op("my.ext.Gelu() {alpha = 3, to = f16}", &ops()).unwrap();
    assert_eq!(print_op(def, &attrs), "my.ext.Gelu() {alpha = 3.0, to = f16}");
    assert!(parse_op("Relu() x", &ops()).is_err());
}

#[test]
fn errors_name_line_and_column() {
    for (text, wanted) in [
        ("graph(%x) {\n  %y = Foo(%x)\n  return %y\n}", "line 2, column 11: the operator Foo is not of the hub"),
        ("graph(%x) {\n  %y = Relu(%z)\n}", "line 2, column 13: the value `%z` is not defined before"),
        ("graph(%x) { %y = Relu(%y) return %y }", "column 23: the value `%y` is not defined before"),
        ("graph(%x) { return %x", "column 22: `,` is expected, found the end"),
        ("graph(%x, %x) { return }", "defined twice"),
        ("graph() { %a = call f.g() return }", "the function f.g is called and not defined"),
        ("graph(%x: f32[\"a) { return }", "line 1, column 15: the string is not closed"),
        ("graph() { weight %w = u8[] 256 return }", "256 is outside the range of u8"),
        ("graph() { weight %w = f32[2] [1] return }", "wants 2 elements, 1 given"),
        ("graph() { weight %w = f32[99999999999] 1 return }", "does not fill a tensor of this size"),
    ] {
        let e = parse(text, &ops()).err().unwrap().to_string();
        assert!(e.contains(wanted), "{text}\n{e}");
    }
}

#[test]
fn broken_text_gives_errors_and_bounded_depth() {
    assert!(parse(&format!("graph(%x: {}", "seq(".repeat(100_000)), &ops()).is_err());
    let bodies = "%a = If() {b = graph() {".repeat(10_000);
    assert!(parse(&format!("graph() {{ {bodies}"), &ops()).is_err());
    assert!(parse(&format!("graph(%x: f32[{}", "min(1, ".repeat(100_000)), &ops()).is_err());
    // Every prefix, and every text with one character replaced, is read or refused.
    let chars = EVERYTHING.char_indices().map(|(i, _)| i).collect::<Vec<_>>();
    for (k, &i) in chars.iter().enumerate() {
        let _ = parse(&EVERYTHING[..i], &ops());
        let other = ["\"", "%", "@", "0", "{", "-", "\\", "("][k % 8];
        let end = chars.get(k + 1).copied().unwrap_or(EVERYTHING.len());
        let _ = parse(&format!("{}{other}{}", &EVERYTHING[..i], &EVERYTHING[end..]), &ops());
    }
}
