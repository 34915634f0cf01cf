use super::schema::Given;
use super::value::Val;
use super::{Context, call, table};
use modelsmith_base::DType;
use modelsmith_ir::{Dim, Type};

fn input(cx: &mut Context, name: &str, shape: &[Dim]) -> Val {
    let main = cx.model.main;
    let v = cx.model.add_param(main, name, Type::tensor(DType::F32, shape));
    cx.tensor(v)
}

fn at(v: Val) -> Given {
    (None, v)
}

fn ty(cx: &mut Context, v: &Val) -> String {
    let Val::Tensor(t) = v else { panic!("{}", v.what()) };
    let v = cx.read(*t).unwrap();
    cx.ty(v).to_string()
}

#[test]
fn overloads_are_found_by_name_and_by_arguments() {
    let mut cx = Context::new();
    let n = Dim::symbol("n");
    let x = input(&mut cx, "x", &[n, Dim::Known(4)]);
    let sum = call(&mut cx, "aten::add", &[at(x.clone()), at(Val::Int(1))]).unwrap();
    assert_eq!(ty(&mut cx, &sum), "f32[n, 4]");
    let named = [at(x.clone()), ("exponent".to_string().into(), Val::Float(0.5))];
    let named = call(&mut cx, "aten::pow.Tensor_Scalar", &named).unwrap();
    assert_eq!(ty(&mut cx, &named), "f32[n, 4]");
    let e = call(&mut cx, "aten::add", &[at(x.clone())]).unwrap_err();
    assert_eq!(e.to_string(), "no overload of aten::add takes (a tensor)");
    let e = call(&mut cx, "aten::nothing", &[at(x)]).unwrap_err();
    assert_eq!(e.to_string(), "the operator aten::nothing is not known");
}

#[test]
fn two_numbers_are_a_beginning_and_an_end() {
    let mut cx = Context::new();
    let made = call(&mut cx, "aten::arange", &[at(Val::Int(2)), at(Val::Int(5))]).unwrap();
    assert_eq!(ty(&mut cx, &made), "i64[3]");
    let made = call(&mut cx, "aten::arange", &[at(Val::Int(4)), ("dtype".to_string().into(), Val::Int(6))]).unwrap();
    assert_eq!(ty(&mut cx, &made), "f32[4]");
}

#[test]
fn sizes_stay_symbols() {
    let mut cx = Context::new();
    let x = input(&mut cx, "x", &[Dim::symbol("n"), Dim::Known(6)]);
    let n = call(&mut cx, "aten::size", &[at(x.clone()), at(Val::Int(0))]).unwrap();
    let six = call(&mut cx, "aten::size", &[at(x.clone()), at(Val::Int(-1))]).unwrap();
    assert!(matches!(n, Val::Num(..)) && matches!(six, Val::Int(6)));
    let shape = cx.list(vec![n, Val::Int(2), Val::Int(3)]);
    let v = call(&mut cx, "aten::view", &[at(x), at(shape)]).unwrap();
    assert_eq!(ty(&mut cx, &v), "f32[n, 2, 3]");
}

#[test]
fn a_write_to_a_view_is_seen_by_what_it_shows_and_by_its_other_views() {
    let mut cx = Context::new();
    let x = input(&mut cx, "x", &[Dim::Known(3), Dim::Known(4)]);
    let row = call(&mut cx, "aten::select", &[at(x.clone()), at(Val::Int(0)), at(Val::Int(1))]).unwrap();
    let other = call(&mut cx, "aten::select", &[at(x.clone()), at(Val::Int(1)), at(Val::Int(0))]).unwrap();
    let (Val::Tensor(base), Val::Tensor(column)) = (x, other) else { panic!() };
    let before = (cx.read(base).unwrap(), cx.read(column).unwrap());
    call(&mut cx, "aten::zero_", &[at(row.clone())]).unwrap();
    assert_ne!(cx.read(base).unwrap(), before.0);
    assert_ne!(cx.read(column).unwrap(), before.1);
    assert_eq!(ty(&mut cx, &row), "f32[4]");
}

#[test]
fn types_meet_as_in_pytorch() {
    let mut cx = Context::new();
    let x = input(&mut cx, "x", &[Dim::Known(2)]);
    let whole = call(&mut cx, "aten::to", &[at(x.clone()), at(Val::Int(4))]).unwrap();
    let half = call(&mut cx, "aten::to", &[at(x.clone()), at(Val::Int(5))]).unwrap();
    for (a, b, wanted) in [
        (&whole, Val::Float(0.5), "f32[2]"),
        (&half, Val::Float(0.5), "f16[2]"),
        (&whole, Val::Bool(true), "i64[2]"),
        (&whole, x, "f32[2]"),
    ] {
        let made = call(&mut cx, "aten::mul", &[at(a.clone()), at(b)]).unwrap();
        assert_eq!(ty(&mut cx, &made), wanted);
    }
    let made = call(&mut cx, "aten::div", &[at(whole.clone()), at(Val::Int(2))]).unwrap();
    assert_eq!(ty(&mut cx, &made), "f32[2]");
}

#[test]
fn the_table_is_broad_and_names_are_unique_per_signature() {
    let all = table::overloads();
    assert!(all.len() >= 350, "{} overloads", all.len());
    assert!(table::knows("aten::relu_") && table::knows("aten::conv2d.padding") && !table::knows("aten::relu__"));
}
