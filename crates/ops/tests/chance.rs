//! Operators of chance draw from the distributions that the specification names. Which numbers come is left to the
//! program, so whole draws are judged: by the Kolmogorov-Smirnov distance from the distribution, by moments, by counts
//! and by what neighbours have to do with each other. Seeds are given, so that the judgement is the same on every run.

use modelsmith_ir::{Attrs, Model, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_ops::special::erf;
use modelsmith_tensor::{DType, Tensor, Value};

/// Numbers in one draw.
const COUNT: usize = 40_000;
/// A sample of the distribution itself is farther from it, in units of the root of the count, once in a thousand times.
const FAR: f64 = 1.95;
/// Standard deviations by which a mean or a count may be off.
const SIGMAS: f64 = 4.0;

/// All results of an operator.
fn results(op: &str, attrs: Attrs, inputs: &[Tensor], outputs: usize) -> Vec<Tensor> {
    let mut model = Model::new();
    let typed = inputs.iter().map(|t| Type::fixed(t.dtype(), t.shape()));
    let params = typed.map(|ty| Some(model.add_param(model.main, "", ty))).collect::<Vec<_>>();
    let made = model.build(modelsmith_ops::all()).node("", op, &params, attrs, outputs).expect("the operator exists");
    model.regions[model.main].results = made;
    let values = inputs.iter().cloned().map(Value::Tensor).collect::<Vec<_>>();
    let mut running = Reference.load(&model, &Opts::default()).expect("it loads");
    let out = running.run(&values, &mut |_, _| {}).expect("it runs");
    out.into_iter().map(|v| v.tensor().expect("a tensor").clone()).collect()
}

fn draw(op: &str, attrs: Attrs, inputs: &[Tensor]) -> Vec<f64> {
    results(op, attrs, inputs, 1)[0].to_f64s().expect("numbers")
}

/// Largest distance between the share of draws below a number and the chance of one there, times the root of the count.
fn distance(draws: &[f64], chance: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = draws.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let at = |(i, &x): (usize, &f64)| (chance(x) - i as f64 / n).abs().max((chance(x) - (i + 1) as f64 / n).abs());
    sorted.iter().enumerate().map(at).fold(0.0, f64::max) * n.sqrt()
}

/// Mean of a power of what is left of the draws after `mean` and division by `scale`.
fn moment(draws: &[f64], mean: f64, scale: f64, power: i32) -> f64 {
    draws.iter().map(|x| ((x - mean) / scale).powi(power)).sum::<f64>() / draws.len() as f64
}

/// How much neighbours go together, in standard deviations of what chance would give.
fn follows(draws: &[f64], mean: f64, scale: f64) -> f64 {
    let pairs = draws.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
    pairs / (scale * scale) / (draws.len() as f64).sqrt()
}

fn many(dtype: DType) -> Tensor {
    Tensor::zeros(dtype, &[COUNT]).expect("it fits")
}

#[test]
fn uniform_draws_are_even_between_their_bounds() {
    let bounds = |seed: f32| Attrs::new().with("low", -3.0f32).with("high", 5.0f32).with("seed", seed);
    for seed in [0.0f32, 1.0, 1e-3, 12345.0] {
        for dtype in [DType::F32, DType::F64] {
            let given = bounds(seed).with("shape", [200i64, 200]).with("dtype", dtype);
            for draws in [draw("RandomUniform", given, &[]), draw("RandomUniformLike", bounds(seed), &[many(dtype)])] {
                assert_eq!(draws.len(), COUNT);
                assert!(draws.iter().all(|x| (-3.0..=5.0).contains(x)));
                let d = distance(&draws, |x| (x + 3.0) / 8.0);
                assert!(d < FAR, "seed {seed}: {d}");
                let r = follows(&draws, 1.0, 8.0 / 12f64.sqrt());
                assert!(r.abs() < SIGMAS, "seed {seed}: neighbours {r}");
            }
        }
    }
}

#[test]
fn normal_draws_follow_the_bell_curve() {
    let curve = |seed: f32| Attrs::new().with("mean", 1.5f32).with("scale", 2.0f32).with("seed", seed);
    for seed in [0.0f32, 1.0, 1e-3, 12345.0] {
        let given = curve(seed).with("shape", [COUNT as i64]);
        for draws in [draw("RandomNormal", given, &[]), draw("RandomNormalLike", curve(seed), &[many(DType::F64)])] {
            let d = distance(&draws, |x| 0.5 * (1.0 + erf((x - 1.5) / 2.0 / 2f64.sqrt())));
            assert!(d < FAR, "seed {seed}: {d}");
            // Of a normal sample the powers 1 to 4 have these means and variances.
            for (power, wanted, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
                let off = (moment(&draws, 1.5, 2.0, power) - wanted) / (variance / COUNT as f64).sqrt();
                assert!(off.abs() < SIGMAS, "seed {seed}: power {power} is off by {off}");
            }
            let r = follows(&draws, 1.5, 2.0);
            assert!(r.abs() < SIGMAS, "seed {seed}: neighbours {r}");
        }
    }
}

#[test]
fn first_draws_of_many_seeds_are_even_too() {
    let first = |seed: f32| draw("RandomUniform", Attrs::new().with("seed", seed).with("shape", [1i64]), &[])[0];
    let draws = (0..4000).map(|i| first(i as f32)).collect::<Vec<_>>();
    let d = distance(&draws, |x| x);
    assert!(d < FAR, "{d}");
    assert_eq!(first(7.0), first(7.0));
}

/// Deviation of a count of chances `p` from what is expected, in standard deviations.
fn off(count: usize, n: usize, p: f64) -> f64 {
    (count as f64 - n as f64 * p) / (n as f64 * p * (1.0 - p)).sqrt()
}

#[test]
fn bernoulli_draws_are_one_as_often_as_the_operand_says() {
    for (seed, p) in [(0.0f32, 0.1), (1.0, 0.5), (2.0, 0.93)] {
        let chances = Tensor::from_f64s(DType::F64, &[COUNT], &[p; COUNT]).expect("it fits");
        let draws = draw("Bernoulli", Attrs::new().with("seed", seed), &[chances]);
        assert!(draws.iter().all(|&x| x == 0.0 || x == 1.0));
        let sigmas = off(draws.iter().filter(|&&x| x == 1.0).count(), COUNT, p);
        assert!(sigmas.abs() < SIGMAS, "p {p}: {sigmas}");
        let r = follows(&draws, p, (p * (1.0 - p)).sqrt());
        assert!(r.abs() < SIGMAS, "p {p}: neighbours {r}");
    }
    let certain = Tensor::vector(&[0.0f32, 1.0, 0.0, 1.0]);
    assert_eq!(draw("Bernoulli", Attrs::new(), &[certain]), [0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn dropout_in_training_drops_as_often_as_the_ratio_says_and_scales_the_rest() {
    for (seed, ratio) in [(0i64, 0.25f32), (5, 0.5), (9, 0.75)] {
        let x = Tensor::vector(&(0..COUNT).map(|i| 1.0 + i as f32 / COUNT as f32).collect::<Vec<_>>());
        let operands = [x.clone(), Tensor::scalar(ratio), Tensor::from_bools(&[], vec![true]).expect("one")];
        let out = results("Dropout", Attrs::new().with("seed", seed), &operands, 2);
        let (y, mask) = (out[0].to_f64s().expect("numbers"), out[1].to_bools().expect("booleans"));
        for ((x, y), &kept) in x.to_f64s().expect("numbers").iter().zip(&y).zip(&mask) {
            let wanted = if kept { x / (1.0 - f64::from(ratio)) } else { 0.0 };
            assert!((y - wanted).abs() <= 1e-6 * wanted, "{y} for {x}");
        }
        let sigmas = off(mask.iter().filter(|&&kept| !kept).count(), COUNT, ratio.into());
        assert!(sigmas.abs() < SIGMAS, "ratio {ratio}: {sigmas}");
    }
}

#[test]
fn multinomial_draws_classes_as_often_as_their_weights_say() {
    let weights = [0.5f64, 0.2, 0.0, 0.3];
    let logs = weights.map(f64::ln);
    let x = Tensor::from_f64s(DType::F32, &[2, 4], &[logs, logs].concat()).expect("eight elements");
    let attrs = Attrs::new().with("sample_size", COUNT as i64).with("seed", 3.0f32).with("dtype", DType::I64);
    let draws = draw("Multinomial", attrs, &[x]);
    for row in draws.chunks(COUNT) {
        for (class, &p) in weights.iter().enumerate() {
            let count = row.iter().filter(|&&c| c == class as f64).count();
            match p {
                0.0 => assert_eq!(count, 0),
                p => assert!(off(count, COUNT, p).abs() < SIGMAS, "class {class}: {count}"),
            }
        }
    }
}
