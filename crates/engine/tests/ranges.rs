//! Dimensions whose sizes a property of the model bounds.

use modelsmith_engine::{BuildOptions, SessionOptions, build, open};
use modelsmith_ir::Model;
use modelsmith_ops::run::Opts;
use modelsmith_tensor::{DType, Tensor, Value};

fn model() -> Model {
    let text = "graph(%x: f32[rows]) {\n  %y = Relu(%x)\n  return %y\n}";
    let mut m = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
    m.meta.props.push(("modelsmith.dim.rows".into(), "2..4".into()));
    m
}

#[test]
fn a_size_out_of_range_is_refused_with_the_range() {
    let vector = |n: usize| [Value::from(Tensor::zeros(DType::F32, &[n]).unwrap())];
    let built = build(&model(), &BuildOptions::default()).unwrap();
    let sessions =
        [open(&model(), &Opts::default()).unwrap(), built.engine.session(&SessionOptions::default()).unwrap()];
    for mut session in sessions {
        assert!(session.run(&vector(2)).is_ok() && session.run(&vector(4)).is_ok());
        for n in [1, 5, 5] {
            let e = session.run(&vector(n)).unwrap_err().to_string();
            assert_eq!(e, format!("the dimension rows is {n}: the model is made for sizes of 2 to 4"));
        }
    }
}
