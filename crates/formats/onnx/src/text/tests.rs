use super::{Definitions, parse, print};
use crate::schema::{AttributeType, DimValue, ModelProto, Proto, TypeValue, text};
use modelsmith_wire::proto::{Limits, Message};

const WHOLE: &str = r#"
< # every key
  ir_version: 10, opset_import: ["" : 21, "my.domain" : 1],
  producer_name: "a \"quoted\" name", producer_version: "1", domain: "d", model_version: 7,
  doc_string: "two
lines", metadata_props: ["k": "v", "": "\\"]
>
main (float[N, 3, ?, "a b"] x, seq(int64[]) s, map(string, optional(double)) m, float w = {1.5}, opaque(a.b, c) o)
  => (float y, sparse_tensor(int8[2]) "map")
<
  float[2] c = {-1, 2.5e-3}, int4[3] packed = {-2, 1}, string[2] t = {"a", "b\"c"}, float16[1] half = {15360},
  float[0] nothing = {}, uint64 big = {18446744073709551615}, float[2] strange = {nan, -inf},
  float[4] outside = ["location": "weights.bin", "offset": "16"], int32[2] inner
>
{
  [first] a, , b = my.domain.Op:two <n = 3, f: float = 2, l = [1, 2], e: ints = [], s = "x", t = int64[2] {1, 2}, ty = float[N]> (x, , w)
  "odd name" = If (a) <then_branch = yes () => (float[1] r) { r = Neg (w) }, else_branch: graph = no () => (r) { r = Abs (w) }>
  = Nothing ()
}
<domain: "my.domain", opset_import: ["" : 21], overload: "two", doc_string: "d">
Op <gamma, alpha: float = 1.0> (float[N] p, q, r) => (u, v, w)
<int64 inner>
{
  u = LeakyRelu <alpha: float = @alpha> (p)
  v = Identity (q)
  w = Identity (r)
}
"#;

fn message(model: &ModelProto<'_>) -> Vec<u8> {
    model.to_rope().to_vec().unwrap()
}

#[test]
fn every_part_of_the_grammar_is_read() {
    let m = parse::model(WHOLE.as_bytes()).unwrap();
    assert_eq!(text(&m.producer_name), "a \"quoted\" name");
    assert_eq!((text(&m.doc_string), text(&m.metadata_props[1].value)), ("two\nlines", "\\"));
    let g = m.graph.as_ref().unwrap();
    let Some(TypeValue::Tensor(x)) = &g.input[0].ty.as_ref().unwrap().value else { panic!("a tensor") };
    let dims: Vec<_> = x.shape.as_ref().unwrap().dim.iter().map(|d| d.value.clone()).collect();
    assert_eq!(dims[0], Some(DimValue::Param("N".into())));
    assert_eq!((&dims[1], &dims[2]), (&Some(DimValue::Value(3)), &None));
    assert_eq!(dims[3], Some(DimValue::Param("a b".into())));
    let names: Vec<&str> = g.initializer.iter().map(|t| text(&t.name)).collect();
    assert_eq!(names, ["w", "c", "packed", "t", "half", "nothing", "big", "strange", "outside"]);
    assert_eq!(g.initializer[8].external("offset"), Some("16"));
    assert_eq!(g.value_info.len(), 1);
    let op = &g.node[0];
    assert_eq!(
        (&op.output[..], &op.input[..]),
        (&["a".into(), "".into(), "b".into()][..], &["x".into(), "".into(), "w".into()][..])
    );
    assert_eq!((text(&op.domain), text(&op.op_type), text(&op.overload)), ("my.domain", "Op", "two"));
    let kinds: Vec<_> = op.attribute.iter().map(|a| a.kind().unwrap()).collect();
    use AttributeType::*;
    assert_eq!(kinds, [Int, Float, Ints, Ints, String, Tensor, Type]);
    assert_eq!(g.node[1].attribute[1].g.as_ref().unwrap().node.len(), 1);
    let f = &m.functions[0];
    assert_eq!((&f.attribute[..], text(&f.attribute_proto[0].name)), (&["gamma".into()][..], "alpha"));
    assert_eq!((f.value_info.len(), f.input.len(), text(&f.overload)), (2, 3, "two"));
}

#[test]
fn what_is_printed_is_read_back_as_it_was() {
    let read = parse::model(WHOLE.as_bytes()).unwrap();
    let bytes = message(&read);
    let limits = &mut Limits::for_file(bytes.len() as u64);
    let decoded = ModelProto::decode(Message::new(&bytes, 0), limits).unwrap();
    let (printed, lost) = print::print(&decoded);
    assert!(lost.is_empty(), "{lost:?}");
    let again = parse::model(&printed).unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(&printed)));
    assert_eq!(bytes, message(&again), "{}", String::from_utf8_lossy(&printed));
}

#[test]
fn what_cannot_be_said_is_counted() {
    let mut m = parse::model(WHOLE.as_bytes()).unwrap();
    let g = m.graph.as_mut().unwrap();
    g.doc_string = Some("d".into());
    g.node[0].metadata_props.push(crate::schema::Entry::new("a", "b"));
    let lost = print::print(&m).1;
    assert_eq!(lost.into_iter().collect::<Vec<_>>(), [("documentation of graphs", 1), ("metadata of nodes", 1)]);
}

#[test]
fn errors_name_line_column_and_what_was_expected() {
    let refused = |text: &str| parse::model(text.as_bytes()).unwrap_err().message().to_owned();
    for (text, said) in [
        ("", "line 1, column 1: the name of a graph is expected, the end of the text is there"),
        ("g (x) => (y) {\n  y = Neg x\n}", "line 2, column 11: `(` is expected, `x` is there"),
        ("g (x) = (y) {}", "line 1, column 7: `=>` is expected, `=` is there"),
        ("g (x y) => () {}", "line 1, column 6: `,` or `)` is expected, `y` is there"),
        ("g (float[1.5] x) => () {}", "line 1, column 10: a size, a name or `?` is expected, `1` is there"),
        ("g () => () <float[2] w = {1}> {}", "line 1, column 27: float[2] holds 2 values, 1 are given"),
        ("g () => () <int8 w = {300}> {}", "line 1, column 23: a value of type int8 is expected, `3` is there"),
        (
            "g () => () <float[N] w = {1}> {}",
            "line 1, column 25: a value is given here: its dimensions must be numbers",
        ),
        (
            "g () => () <float16 w = {1.5}> {}",
            "line 1, column 26: a value of type float16, written as the whole number that its bits make is expected, `1` is there",
        ),
        (
            "g () => () { y = Op <a = []> () }",
            "line 1, column 26: an empty list needs its kind, as in `name: ints = []`",
        ),
        (
            "g () => () { y = Op <a: int = 1.5> () }",
            "line 1, column 31: the attribute is said to be of kind int, its value is float",
        ),
        (
            "g () => () { y = Op <a: number = 1> () }",
            "line 1, column 25: a kind of attribute such as `float`, `ints` or `graph` is expected, `number` is there",
        ),
        ("g () => () { y = Op <a = [1, 2.5]> () }", "line 1, column 26: the values of a list must be of one kind"),
        (
            "g () => () { y = Op <a = \"b> () }",
            "line 1, column 26: this string does not end: `\"` is expected behind it",
        ),
        (
            "g () => () { y = Op <a = 99999999999999999999> () }",
            "line 1, column 26: 99999999999999999999 is beyond the whole numbers of 64 bits",
        ),
        (
            "< ir: 3 >\ng () => () {}",
            "line 1, column 3: `ir_version`, `opset_import`, `producer_name`, `producer_version`, `domain`, `model_version`, `doc_string` or `metadata_props` is expected, `ir` is there",
        ),
        ("g () => () {\n  y = Op ()", "line 2, column 12: a node or `}` is expected, the end of the text is there"),
    ] {
        assert_eq!(refused(text), said, "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let deep = format!("g ({}float{} x) => () {{}}", "seq(".repeat(100_000), ")".repeat(100_000));
    assert!(parse::model(deep.as_bytes()).unwrap_err().message().contains("more than 32 levels inside each other"));
    let graphs = format!("g () => () {}", "{ y = If (c) <b = g () => () ".repeat(100_000));
    assert!(parse::model(graphs.as_bytes()).unwrap_err().message().contains("more than 32 levels inside each other"));
}

#[test]
fn damaged_texts_give_errors() {
    for end in 0..WHOLE.len() {
        if WHOLE.is_char_boundary(end) && end < WHOLE.trim_end().len() {
            let _ = parse::model(&WHOLE.as_bytes()[..end]);
        }
        let mut changed = WHOLE.as_bytes().to_vec();
        for byte in [0u8, b'"', b'<', b'{', b'-', 0xff] {
            changed[end] = byte;
            let _ = parse::model(&changed);
        }
    }
}

#[test]
fn definitions_need_a_domain_and_an_operator_set() {
    let refused = |text: &str| Definitions::default().add("ops.txt", text.as_bytes()).unwrap_err().to_string();
    assert!(refused("F (x) => (y) { y = Neg (x) }").contains("the function F has no domain"));
    let bare = refused("<domain: \"d\"> F (x) => (y) { y = Neg (x) }");
    assert!(bare.contains("d.F imports no operator set"), "{bare}");
    let one = "<domain: \"d\", opset_import: [\"\" : 21]> F (x) => (y) { y = Neg (x) }\n";
    assert!(refused(&one.repeat(2)).contains("the function d.F is defined twice"));
    assert!(refused("<domain: \"d\"> F (x) { }").contains("line 1, column 21: `=>` is expected, `{` is there"));
    let mut both = Definitions::default();
    both.add("a", one.as_bytes()).unwrap();
    assert!(both.add("b", one.as_bytes()).is_err());
}
