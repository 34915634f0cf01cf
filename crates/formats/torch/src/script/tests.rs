use super::ast::{Do, Expr};
use super::parse::parse;

fn first(text: &str) -> Do {
    let file = parse("code/t.py", &format!("def f(x: Tensor) -> Tensor:\n  {text}\n")).unwrap();
    file.functions[0].body[0].what.clone()
}

#[test]
fn classes_have_attributes_constants_and_methods() {
    let text = r#"class Conv2d(Module):
  __parameters__ = ["weight", ]
  weight : Tensor
  bias : Optional[Tensor]
  stride : Final[Tuple[int, int]] = (1, 1)
  __annotations__["0"] = __torch__.torch.nn.modules.linear.___torch_mangle_685.Linear
  def forward(self: __torch__.Conv2d,
    input: Tensor,
    flag: bool=True) -> Tuple[Tensor, int]:
    return (input, 1)
"#;
    let file = parse("code/t.py", text).unwrap();
    let class = &file.classes[0];
    assert_eq!((class.name.as_str(), class.base.as_str()), ("Conv2d", "Module"));
    let names = class.attrs.iter().map(|(n, _, v)| (n.as_str(), v.is_some())).collect::<Vec<_>>();
    assert_eq!(names, [("weight", false), ("bias", false), ("stride", true), ("0", false)]);
    let f = &class.methods[0];
    assert_eq!((f.params.len(), f.params[2].default.is_some()), (3, true));
}

#[test]
fn operators_bind_as_in_python() {
    let Do::Expr(Expr::Binary("or", left, right)) = first("a or not b == c + d * -1 ** 2") else { panic!() };
    assert!(matches!(*left, Expr::Name(_)));
    let Expr::Unary("not", inner) = *right else { panic!() };
    let Expr::Binary("==", _, sum) = *inner else { panic!() };
    assert!(matches!(*sum, Expr::Binary("+", ..)));
    assert!(matches!(first("x is not None"), Do::Expr(Expr::Binary("is not", ..))));
    assert!(matches!(first("a, b, = f(x)"), Do::Assign { unpack: true, .. }));
    assert!(matches!(first("x = -9223372036854775808"), Do::Assign { value: Expr::Int(i64::MIN), .. }));
}

#[test]
fn faults_name_their_line() {
    let fault = |text: &str| parse("code/t.py", text).unwrap_err();
    assert_eq!(fault("def f(x):\n  y = (1,\n").line, 3);
    assert_eq!(fault("def f(x):\n  y = \"a\n").what, "a string without its end");
    assert_eq!(fault("def f(x):\n    a\n  b\n").what, "the indentation fits no block");
    assert_eq!(fault("def f(x):\n  return ?\n").what, "'?' begins no token");
    let deep = format!("def f(x):\n  return {}x{}\n", "(".repeat(5000), ")".repeat(5000));
    assert!(fault(&deep).what.contains("inside each other"));
}

#[test]
fn debug_files_say_where_a_line_comes_from() {
    // ((2, (("a\nb\n", "net.py", 42), 3, 4), 0),): offset 2 is on the second line, character 3 on the second of the source.
    let debug = b"\x80\x02((K\x02((X\x04\0\0\0a\nb\nX\x06\0\0\0net.pyK*tK\x03K\x04tK\0tt.";
    assert_eq!(super::source::places(debug, "x\ny\nz\n"), [None, Some("net.py, line 43".to_owned()), None]);
    // A trace has the stack of calls in the place of the source.
    let debug = b"\x80\x02((K\0((X\x16\0\0\0/m/net.py(8): forward\nX\x06\0\0\0net.pyK*tK\0K\x04tK\0tt.";
    assert_eq!(super::source::places(debug, "x\n"), [Some("/m/net.py, line 8".to_owned())]);
    assert_eq!(super::source::places(b"no pickle", "x\n"), Vec::<Option<String>>::new());
}
