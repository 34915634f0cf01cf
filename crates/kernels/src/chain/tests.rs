use super::*;
use crate::gemm::tests::noise;
use crate::{PackFormat, WeightShape, conv, detect, pooling};
use modelsmith_kop::{Activation, Epilogue, PoolKind};

/// A convolution of a channels-last image whose padding keeps `k / 2` at each edge.
fn conv_problem(n: usize, hw: [usize; 2], c: usize, oc: usize, k: usize, s: usize, groups: usize) -> ConvProblem {
    let pad = k / 2;
    ConvProblem {
        n,
        c,
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
    let Stage::Conv(kernel, p) = stage else { return vec![] };
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
    let chain = Chain::new(vec![stage(a), stage(b)], 1).unwrap();
    let mut y = vec![0.0f32; 9 * 9 * 8];
    let args = Args { inputs: &[], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
    let error = chain.run(args, &Pool::new(1)).unwrap_err();
    assert_eq!(error.to_string(), "buffer operands: not as many as the stages take");
}
