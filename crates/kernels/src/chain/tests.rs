use super::*;
use crate::def::KernelDef;
use crate::eltwise;
use crate::gemm::tests::noise;
use crate::{PackFormat, WeightShape, conv, detect, pooling};
use modelsmith_kop::{
    Activation, BinaryOp, ConvProblem, EltwiseProblem, Epilogue, EpilogueStep, Inst, Lane, Operand, PoolKind,
    PoolProblem, UnaryOp,
};

/// A convolution of a channels-last image whose padding keeps `k / 2` at each edge.
fn conv_problem(n: usize, hw: [usize; 2], c: usize, oc: usize, k: usize, s: usize, groups: usize) -> ConvProblem {
    let pad = k / 2;
    ConvProblem {
        n,
        c,
        depth: modelsmith_kop::Depth::FLAT,
        h: hw[0],
        w: hw[1],
        oc,
        kernel: [k, k],
        stride: [s, s],
        dilation: [1, 1],
        pad: [pad; 4],
        groups,
        oh: (hw[0] + 2 * pad - k) / s + 1,
        ow: (hw[1] + 2 * pad - k) / s + 1,
        transposed: false,
        x_layout: Layout::ChannelsLast,
        y_layout: Layout::ChannelsLast,
        x_stride: c,
        y_stride: oc,
        epilogue: Epilogue { bias: true, steps: vec![EpilogueStep::Act(Activation::Relu)] },
    }
}

/// What a stage takes besides its image.
fn operands(stage: &Stage, seed: u64) -> Vec<Vec<f32>> {
    let (kernel, p) = match stage {
        Stage::Conv(kernel, p) => (kernel, p),
        Stage::Pool(..) => return vec![],
        Stage::Map(_, p, _) => {
            let len = |x: &Operand| p.dims.iter().zip(&x.strides).map(|(d, s)| (d - 1) * s).sum::<usize>() + 1;
            return (seed..).zip(&p.inputs[1..]).map(|(seed, x)| noise(len(x), seed)).collect();
        }
    };
    let shape: WeightShape = conv::weight_shape(p);
    let format = kernel.pack_format(p).unwrap_or(PackFormat::F32Panel16);
    let mut packed = vec![0.0; format.packed_len(&shape).unwrap()];
    format.pack(&shape, &noise(shape.len().unwrap(), seed), &mut packed).unwrap();
    let mut all = vec![packed, noise(p.oc, seed + 1)];
    for i in 0..p.epilogue.operand_count() {
        all.push(noise(p.n * p.oh * p.ow * p.oc, seed + 2 + i as u64));
    }
    all
}

/// Runs the stages after one another, and in bands under several budgets and numbers of threads.
fn check(name: &str, stages: &[Stage], x: &[f32]) {
    let stages = &stage::placed(stages.to_vec()).unwrap()[..];
    let given = (0..).zip(stages).map(|(i, s)| operands(s, 100 * i + 7)).collect::<Vec<_>>();
    let one = Pool::new(1);
    let mut want = x.to_vec();
    for (stage, own) in stages.iter().zip(&given) {
        let (h, row, ..) = stage.output();
        let mut y = vec![7.0; stage.images() * h * row];
        let inputs = std::iter::once(&want).chain(own).map(|v| Src::new(v)).collect::<Vec<_>>();
        stage.run(&inputs, Dst::new(&mut y), &mut vec![0; stage.workspace()], &one).unwrap();
        want = y;
    }
    let flat = given.iter().flatten().map(|v| Src::new(v)).collect::<Vec<_>>();
    let inputs = std::iter::once(Src::new(x)).chain(flat).collect::<Vec<_>>();
    let mut banded = 0;
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.1 && largest.is_finite());
    for budget in [1 << 10, 4 << 10, 8 << 10, 13 << 10, 20 << 10, 40 << 10, 1 << 20] {
        for threads in [1, 2, 3] {
            let chain = match Chain::within(stages.to_vec(), threads, budget) {
                Ok(c) => c,
                Err(e) => {
                    let why = if threads > 1 { "too much twice" } else { "does not fit" };
                    assert!(e.contains("does not fit") || e.contains(why), "{name}, {budget} bytes: {e}");
                    continue;
                }
            };
            banded += usize::from(chain.band_rows() < stages.last().unwrap().output().0);
            let mut y = vec![7.0f32; want.len()];
            let mut work = vec![0; chain.workspace(threads)];
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut work };
            chain.run(args, &Pool::new(threads)).unwrap();
            let far = y.iter().zip(&want).position(|(a, b)| a.to_bits() != b.to_bits());
            assert_eq!(far, None, "{name}, {budget} bytes, {threads} threads: {:?}", chain.kernels());
        }
    }
    assert!(banded > 0, "{name} never ran in bands");
}

/// For every kernel of convolutions that takes all problems, and those that some want instead.
fn check_convs(name: &str, problems: &[ConvProblem], pool: Option<PoolProblem>) {
    let mut x = noise(problems[0].n * problems[0].h * problems[0].w * problems[0].c, 3);
    x[5] = 0.0;
    for preferred in conv::KERNELS.iter().filter(|k| detect().contains(k.isa)) {
        let pick = |p: &ConvProblem| {
            let fits = |k: &&KernelDef<ConvProblem>| detect().contains(k.isa) && k.accepts(p).is_ok();
            Some(preferred).filter(fits).or_else(|| conv::KERNELS.iter().rev().find(fits)).unwrap()
        };
        let mut stages = problems.iter().map(|p| Stage::Conv(pick(p), p.clone())).collect::<Vec<_>>();
        if let Some(p) = &pool {
            let kernel = pooling::KERNELS.iter().find(|k| detect().contains(k.isa)).unwrap();
            stages.insert(1, Stage::Pool(kernel, p.clone()));
        }
        check(name, &stages, &x);
    }
}

#[test]
fn bands_change_nothing() {
    let expand = conv_problem(1, [13, 9], 8, 24, 1, 1, 1);
    let mut project = conv_problem(1, [13, 9], 24, 10, 1, 1, 1);
    project.epilogue.steps = vec![EpilogueStep::Add { operand: 0, row_stride: 10 }];
    check_convs("inverted residual", &[expand, conv_problem(1, [13, 9], 24, 24, 3, 1, 24), project], None);
    let deep = [
        conv_problem(2, [23, 11], 32, 32, 3, 1, 1),
        conv_problem(2, [23, 11], 32, 40, 5, 2, 1),
        conv_problem(2, [12, 6], 40, 33, 3, 1, 1),
        conv_problem(2, [12, 6], 33, 16, 1, 2, 1),
    ];
    check_convs("deep, two images", &deep, None);
    let mut joined = deep.to_vec();
    joined[3].y_stride += 9;
    check_convs("a part of wider pixels", &joined, None);
    let mut first = conv_problem(1, [31, 30], 3, 16, 7, 2, 1);
    first.x_layout = Layout::Plain;
    let pooled = PoolProblem {
        kind: PoolKind::Max,
        n: 1,
        c: 16,
        h: 16,
        w: 15,
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        pad: [1, 1, 1, 1],
        oh: 8,
        ow: 8,
        layout: Layout::ChannelsLast,
    };
    check_convs("head", &[first, conv_problem(1, [8, 8], 16, 32, 3, 1, 1)], Some(pooled.clone()));
    let mean = PoolProblem { kind: PoolKind::Avg { count_include_pad: false }, ..pooled };
    check_convs(
        "means",
        &[conv_problem(1, [16, 15], 5, 16, 1, 1, 1), conv_problem(1, [8, 8], 16, 7, 3, 1, 1)],
        Some(mean),
    );
}

/// `relu(a · b + c)` over pixels of `c` channels, of views with these strides.
fn map(pixels: usize, c: usize, views: [[usize; 2]; 3]) -> Stage {
    let operand = |strides: [usize; 2]| Operand { lane: Lane::F32, strides: strides.to_vec() };
    let binary = |op, a, b| Inst::Binary { op, lane: Lane::F32, dst: 3, a, b };
    let p = EltwiseProblem {
        dims: vec![pixels, c],
        inputs: views.map(operand).to_vec(),
        outputs: vec![operand([c, 1])],
        registers: 4,
        code: vec![
            Inst::Load { dst: 0, input: 0 },
            Inst::Load { dst: 1, input: 1 },
            Inst::Load { dst: 2, input: 2 },
            binary(BinaryOp::Mul, 0, 1),
            binary(BinaryOp::Add, 3, 2),
            Inst::Unary { op: UnaryOp::Act(Activation::Relu), lane: Lane::F32, dst: 3, a: 3 },
            Inst::Store { output: 0, a: 3 },
        ],
    };
    let kernel = eltwise::KERNELS.iter().find(|k| detect().contains(k.isa)).unwrap();
    let (stage, image) = Stage::map(kernel, &p).unwrap();
    assert_eq!(image, views.iter().position(|v| v[0] > 0).unwrap());
    stage
}

/// Programs before and between convolutions: with factors of channels after or before the image, and with a second image.
#[test]
fn programs_run_in_bands() {
    let kernel = conv::KERNELS.iter().find(|k| detect().contains(k.isa) && k.name.contains("pixels")).unwrap();
    let conv = |p: ConvProblem| Stage::Conv(kernel, p);
    for n in [1, 2] {
        let narrow = || conv(conv_problem(n, [14, 9], 24, 16, 1, 1, 1));
        let wide = || conv(conv_problem(n, [14, 9], 16, 24, 3, 1, 1));
        let pixels = n * 14 * 9;
        let normed = map(pixels, 24, [[24, 1], [0, 1], [0, 1]]);
        let x = noise(pixels * 24, 3);
        check("normalised", &[normed, narrow(), wide()], &x);
        let gated = map(pixels, 24, [[0, 1], [24, 1], [0, 0]]);
        check("gates first", &[gated, narrow()], &x);
        let summed = map(pixels, 16, [[0, 1], [16, 1], [16, 1]]);
        check("a second image", &[narrow(), summed, wide()], &x);
    }
}

#[test]
fn what_cannot_be_a_chain_is_refused() {
    let stage = |p: ConvProblem| Stage::Conv(conv::KERNELS.last().unwrap(), p);
    let (a, b) = (conv_problem(1, [9, 9], 8, 16, 3, 1, 1), conv_problem(1, [9, 9], 16, 8, 3, 1, 1));
    let refusal = |stages: Vec<Stage>| Chain::new(stages, 1).err().unwrap_or_default();
    assert_eq!(refusal(vec![]), "no stages");
    let wider = ConvProblem { y_stride: 20, ..a.clone() };
    assert!(refusal(vec![stage(wider), stage(b.clone())]).contains("dense"));
    let upside = ConvProblem { transposed: true, ..b.clone() };
    assert!(refusal(vec![stage(a.clone()), stage(upside)]).contains("no windows"));
    let twice = [10, 20].map(|row_stride| EpilogueStep::Add { operand: 0, row_stride });
    let odd = ConvProblem { epilogue: Epilogue { bias: false, steps: twice.to_vec() }, ..b.clone() };
    assert!(refusal(vec![stage(a.clone()), stage(odd)]).contains("two ways"));
    let over = |pixels| map(pixels, 8, [[8, 1], [0, 1], [0, 1]]);
    assert!(refusal(vec![stage(b.clone()), over(81)]).contains("comes last"));
    assert!(refusal(vec![over(80), stage(a.clone())]).contains("row by row"));
    let part = map(81, 8, [[20, 1], [0, 1], [0, 1]]);
    assert!(refusal(vec![part, stage(a.clone())]).contains("row by row"));
    assert!(refusal(vec![over(162), stage(a.clone())]).contains("dense"));
    let chain = Chain::new(vec![stage(a), stage(b)], 1).unwrap();
    let mut y = vec![0.0f32; 9 * 9 * 8];
    let args = Args { inputs: &[], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
    let error = chain.run(args, &Pool::new(1)).unwrap_err();
    assert_eq!(error.to_string(), "buffer operands: not as many as the stages take");
}
