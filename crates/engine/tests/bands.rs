//! Steps that run in bands and parts that are written in place give what single steps give, bit by bit. A run that is
//! watched makes every value whole and is what they stand beside; the reference judges that.

use modelsmith_engine::CpuRunner;
use modelsmith_ir::{Attrs, Model, OpResult, Samples, Type, ValueId};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Value, WeightExpr};
use std::sync::Arc;

fn conv(m: &mut Model, s: &mut Samples, x: ValueId, shape: [usize; 4], stride: i64, groups: i64) -> OpResult<ValueId> {
    let t = s.floats(DType::F32, &shape, -0.3, 0.3);
    let w = m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(t)));
    let pad = shape[2] as i64 / 2;
    let attrs = Attrs::new().with("pads", [pad; 4]).with("strides", [stride; 2]).with("group", groups);
    let mut b = m.build(modelsmith_ops::all());
    let y = b.op_with("Conv", &[x, w], attrs)?;
    b.op("Relu", &[y])
}

/// A head of a convolution and a pool, an inverted residual, and two branches that are joined.
fn model(batch: usize) -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(5));
    let x = m.add_param(m.main, "x", Type::tensor(DType::F32, &[batch, 3, 196, 180].map(|n| (n as i64).into())));
    let a = conv(&mut m, &mut s, x, [32, 3, 3, 3], 2, 1)?;
    let window = Attrs::new().with("kernel_shape", [3, 3]).with("strides", [1, 1]).with("pads", [1, 1, 1, 1]);
    let a = m.build(modelsmith_ops::all()).op_with("MaxPool", &[a], window)?;
    let wide = conv(&mut m, &mut s, a, [48, 32, 1, 1], 1, 1)?;
    let wide = conv(&mut m, &mut s, wide, [48, 1, 3, 3], 1, 48)?;
    let narrow = conv(&mut m, &mut s, wide, [32, 48, 1, 1], 1, 1)?;
    let sum = m.build(modelsmith_ops::all()).op("Add", &[narrow, a])?;
    let squeeze = conv(&mut m, &mut s, sum, [16, 32, 1, 1], 1, 1)?;
    let left = conv(&mut m, &mut s, squeeze, [24, 16, 1, 1], 1, 1)?;
    let right = conv(&mut m, &mut s, squeeze, [24, 16, 3, 3], 1, 1)?;
    let right = conv(&mut m, &mut s, right, [40, 24, 1, 1], 1, 1)?;
    let mut b = m.build(modelsmith_ops::all());
    let joined = b.op_with("Concat", &[left, right], Attrs::new().with("axis", 1i64))?;
    let y = b.op("GlobalAveragePool", &[joined])?;
    m.regions[m.main].results = vec![joined, y];
    Ok(m)
}

/// Layers that each read all results before them, as in DenseNet; the first image is that of a pool.
fn dense(batch: usize) -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(5));
    let x = m.add_param(m.main, "x", Type::tensor(DType::F32, &[batch, 3, 196, 180].map(|n| (n as i64).into())));
    let a = conv(&mut m, &mut s, x, [24, 3, 3, 3], 2, 1)?;
    let window = Attrs::new().with("kernel_shape", [3, 3]).with("strides", [2, 2]).with("pads", [1, 1, 1, 1]);
    let mut images = vec![m.build(modelsmith_ops::all()).op_with("MaxPool", &[a], window)?];
    let mut channels = 24;
    for _ in 0..3 {
        let joined = join(&mut m, &images)?;
        let [scale, shift] = [0, 1].map(|_| s.floats(DType::F32, &[channels, 1, 1], -0.5, 0.5));
        let mut b = m.build(modelsmith_ops::all());
        let (scale, shift) = (b.constant(scale), b.constant(shift));
        let scaled = b.op("Mul", &[joined, scale])?;
        let shifted = b.op("Add", &[scaled, shift])?;
        let shown = b.op("Relu", &[shifted])?;
        let narrow = conv(&mut m, &mut s, shown, [32, channels, 1, 1], 1, 1)?;
        images.push(conv(&mut m, &mut s, narrow, [20, 32, 3, 3], 1, 1)?);
        channels += 20;
    }
    let early = join(&mut m, &images[..2])?;
    let joined = join(&mut m, &images)?;
    let (wide, scale) = (s.floats(DType::F32, &[1, 84, 1, 1], 0.5, 2.0), s.floats(DType::F32, &[44, 1, 1], 0.5, 2.0));
    let mut b = m.build(modelsmith_ops::all());
    let (wide, scale) = (b.constant(wide), b.constant(scale));
    let y = b.op("GlobalAveragePool", &[joined])?;
    // What is made here could take the place of the last image, in which the early one lies that is read after it.
    let shown = b.op("Mul", &[joined, wide])?;
    let shown = b.op_with("MaxPool", &[shown], Attrs::new().with("kernel_shape", [3, 3]))?;
    let late = b.op("Mul", &[early, scale])?;
    m.regions[m.main].results = vec![y, shown, late];
    Ok(m)
}

fn join(m: &mut Model, images: &[ValueId]) -> OpResult<ValueId> {
    match images {
        [one] => Ok(*one),
        many => m.build(modelsmith_ops::all()).op_with("Concat", many, Attrs::new().with("axis", 1i64)),
    }
}

#[test]
fn bands_and_parts_change_nothing() {
    for batch in [1, 2] {
        // The images between the steps of a chain have no place: the widest alone has more bytes.
        let most = batch * 4 * 98 * 90 * (48 + 48 + 64);
        check(&model(batch).unwrap(), batch, most, 1);
    }
}

#[test]
fn images_that_begin_with_another_change_nothing() {
    for batch in [1, 2] {
        // The last image, what leaves the model, and what one layer needs; not all images.
        let most = batch * 4 * 49 * 45 * (84 + 84 + 84 + 32);
        check(&dense(batch).unwrap(), batch, most, 3);
    }
}

/// `most` bytes are held at most, and `copies` made: what leaves in the plain order, and parts not written in place.
fn check(m: &Model, batch: usize, most: usize, copies: usize) {
    let x = [Value::Tensor(Samples::new(9).floats(DType::F32, &[batch, 3, 196, 180], -1.0, 1.0))];
    let reference = Reference.load(m, &Opts::default()).unwrap().run(&x, &mut |_, _| {}).unwrap();
    for isa in ["portable", "avx2", "avx512", "amx"] {
        for threads in [1, 2, 3] {
            let opts = Opts { threads, isa: isa.into(), ..Opts::default() };
            let mut session = modelsmith_engine::open(m, &opts).unwrap();
            let banded = session.run(&x).unwrap();
            let held = session.memory().planned_peak;
            let whole = CpuRunner.load(m, &opts).unwrap().run(&x, &mut |_, _| {}).unwrap();
            for (a, b) in banded.iter().zip(&whole) {
                let same = a.tensor().unwrap().bytes() == b.tensor().unwrap().bytes();
                assert!(same, "{isa}, {threads} threads, batch {batch}");
            }
            for (ours, theirs) in banded.iter().zip(&reference) {
                near(ours, theirs, isa);
            }
            assert!(held < most as u64, "{held} bytes of {most}");
            let (_, times) = session.run_profiled(&x).unwrap();
            let copied = times.iter().filter(|t| t.kernel.contains("copy")).count();
            assert_eq!(copied, copies, "{isa}: {times:?}");
            assert!(times.iter().any(|t| t.kernel.starts_with("bands of ")), "{isa}: nothing ran in bands");
        }
    }
}

fn near(ours: &Value, theirs: &Value, isa: &str) {
    let (ours, theirs) = (ours.tensor().unwrap().to_f64s().unwrap(), theirs.tensor().unwrap().to_f64s().unwrap());
    let largest = theirs.iter().fold(0f64, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max);
    assert!(largest > 0.0 && worst <= 1e-5 * largest, "{isa}: {worst} of {largest}");
}

/// Bands read the weights again for each image: where there are many for images so small, each layer takes all images first.
#[test]
fn many_weights_are_read_once() {
    for (channels, sides, banded) in [(32, 56, true), (384, 14, false)] {
        let mut m = Model::new();
        let main = m.main;
        let mut s = Samples::new(3);
        let x = m.add_param(main, "x", Type::fixed(DType::F32, &[8, channels, sides, sides]));
        let first = conv(&mut m, &mut s, x, [channels, channels, 3, 3], 1, 1).unwrap();
        let second = conv(&mut m, &mut s, first, [channels, channels, 3, 3], 1, 1).unwrap();
        m.regions[main].results = vec![second];
        let mut session = modelsmith_engine::open(&m, &Opts { threads: 1, ..Opts::default() }).unwrap();
        let x = Samples::new(9).floats(DType::F32, &[8, channels, sides, sides], -1.0, 1.0);
        let (_, times) = session.run_profiled(&[Value::Tensor(x)]).unwrap();
        let found = times.iter().any(|t| t.kernel.starts_with("bands of "));
        assert_eq!(found, banded, "{channels} channels: {times:?}");
    }
}
