use super::*;
use crate::text::parse;
use crate::*;
use modelsmith_base::DType;
use modelsmith_tensor::{MemSource, Read, WeightExpr};
use std::sync::Arc;

fn ops() -> OpSet {
    const FLOATS: TypeSet = TypeSet::tensors(&[DType::F32, DType::F64]);
    static ADD: OpDef = OpDef {
        name: "Add",
        schema: Schema {
            inputs: &[Param::one("A", "T"), Param::one("B", "T")],
            outputs: &[Param::one("C", "T")],
            attrs: &[AttrDef::int("axis", 0)],
            types: &[types_of("T", FLOATS)],
        },
        ..OpDef::BASE
    };
    static IF: OpDef = OpDef {
        name: "If",
        schema: Schema {
            inputs: &[Param::one("cond", "tensor(bool)")],
            outputs: &[Param::mixed("out", "V", 1)],
            attrs: &[AttrDef::required("then_branch", AttrKind::Graph)],
            types: &[],
        },
        ..OpDef::BASE
    };
    OpSet::new(&[&ADD, &IF])
}

fn codes(text: &str) -> Vec<&'static str> {
    let m = parse(text, &ops()).unwrap();
    verify(&m).iter().map(|d| d.code).collect()
}

#[test]
fn a_good_model_has_nothing_wrong() {
    let text = "function f.g graph(%x) { %y = Add(%x, %x) return %y }
        graph(%x: f32[n], %c: bool[]) {
          weight %w = f32[2] [1, 2]
          %y: f32[n] = Add(%x, %w)
          %z = If(%c) {then_branch = graph() { %q = Add(%y, %w) return %q }}
          %u = call f.g(%z)
          return %u
        }";
    assert_eq!(codes(text), Vec::<&str>::new());
}

#[test]
fn schema_is_checked() {
    for (text, wanted) in [
        ("graph(%x) { %y = Add(%x) return %y }", "ir.arity"),
        ("graph(%x) { %y, %z = Add(%x, %x) return %y }", "ir.arity"),
        ("graph(%x) { %y = Add(_, %x) return %y }", "ir.operand"),
        ("graph(%x) { %y = Add(%x, %x) {foo = 1} return %y }", "ir.attr.unknown"),
        ("graph(%x) { %y = Add(%x, %x) {axis = \"s\"} return %y }", "ir.attr.kind"),
        ("graph(%x) { %y = Add(%x, %x) {axis = @a: int} return %y }", "ir.attr.ref"),
        ("graph(%x) { %y = If(%x) return %y }", "ir.attr.missing"),
        ("graph(%x: f32[]) { %y = If(%x) {then_branch = graph() { return }} return %y }", "ir.type"),
        ("graph(%x: i64[]) { %y = Add(%x, %x) return %y }", "ir.type"),
        ("graph(%x: f32[], %z: f64[]) { %y = Add(%x, %z) return %y }", "ir.type"),
        ("graph(%x) { weight %w: f64[2] = f32[2] 0 return %w }", "ir.weight.type"),
        ("graph(%x, %x@1) { return %x }", "ir.name.twice"),
        ("function f.g graph(%x) { %y = call f.g(%x) return %y } graph() { return }", "ir.function.circle"),
        ("function f.g graph(%x) { return %x } graph(%x) { %y = call f.g(%x, %x) return %y }", "ir.call"),
        ("stage foreign graph(%x) { %y = Add(%x, %x) return %y }", "ir.stage"),
    ] {
        let mut found = codes(text);
        found.dedup();
        assert_eq!(found, [wanted], "{text}");
    }
}

#[test]
fn damaged_ids_are_reported_and_do_not_panic() {
    let good = parse("graph(%x) { %a = Add(%x, %x) %b = Add(%a, %x) return %b }", &ops()).unwrap();
    let (a, b) = (good.graph().body[0], good.graph().body[1]);
    let broken = |f: &dyn Fn(&mut Model)| {
        let mut m = good.clone();
        f(&mut m);
        verify(&m).iter().map(|d| d.code).collect::<Vec<_>>()
    };
    let main = good.main;
    assert_eq!(broken(&|m| m.regions[main].body.swap(0, 1)), ["ir.value.order"]);
    assert_eq!(broken(&|m| m.regions[main].body = vec![a]), ["ir.value.order", "ir.node.orphan"]);
    assert_eq!(broken(&|m| m.regions[main].body.push(b)), ["ir.node.twice"]);
    assert!(broken(&|m| drop(m.nodes.remove(a))).contains(&"ir.node.missing"));
    assert!(broken(&|m| m.nodes[a].inputs[0] = Some(ValueId::new(999))).contains(&"ir.value.missing"));
    let out = good.nodes[a].output(0).unwrap();
    assert_eq!(broken(&|m| m.values[out].def = Def::Nothing), ["ir.value.def"]);
    assert_eq!(broken(&|m| m.nodes[a].regions.push(("b".into(), main))), ["ir.region.shared", "ir.attr.unknown"]);
    assert!(broken(&|m| m.nodes[a].op = Op::Call(FunctionId::new(3))).contains(&"ir.call"));
}

#[test]
fn weights_fill_their_shapes() {
    let mut m = Model::new();
    let source: Arc<dyn modelsmith_tensor::Source> = Arc::new(MemSource::new("w.bin", vec![0u8; 8]));
    let read = |offset, len, shape: &[usize]| {
        WeightExpr::Read(Read { source: source.clone(), offset, len, dtype: DType::F32, shape: shape.to_vec() })
    };
    let good = Arc::new(read(0, 8, &[2]));
    for (w, bad) in [
        (read(0, 8, &[2]), false),
        (read(4, 8, &[2]), true),
        (read(0, 8, &[3]), true),
        (read(u64::MAX, 8, &[2]), true),
        (read(0, 8, &[usize::MAX, 8]), true),
        (WeightExpr::Permute(good.clone(), vec![1]), true),
        (WeightExpr::Reshape(good.clone(), vec![2, 1]), false),
        (WeightExpr::Slice { of: good.clone(), axis: 0, start: 1, len: 2 }, true),
        (WeightExpr::Concat(vec![good.clone(), good.clone()], 1), true),
    ] {
        let v = m.add_weight(m.main, "w", Arc::new(w));
        assert_eq!(!verify(&m).is_empty(), bad, "{:?}", m.values[v]);
        m.regions[m.main].weights.clear();
        m.values.remove(v);
    }
}
