//! Operators of vision, of sound and of quantized modules in a program, beside what PyTorch 2.15 and torchvision 0.30 give.

use modelsmith_format::{Archive, Artifact, Content, Input, Output, ReadOptions, WriteOptions};
use modelsmith_format_torch::SCRIPT;
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{Tensor, Value};

const OBJECT: &[u8] = b"\x80\x02c__torch__.t\nM\n)\x81}X\x08\0\0\0training\x89sb.";

/// The model whose method `forward` has this body, and the findings.
fn read_with(body: &str, more: &[(&str, &[u8])]) -> (Artifact, String) {
    let body = body.lines().map(|l| format!("    {l}\n")).collect::<String>();
    let code = format!("class M(Module):\n  def forward(self: __torch__.t.M,\n    x: Tensor) -> Tensor:\n{body}");
    let mut zip = Archive::new();
    let plain = [("m/data.pkl", OBJECT), ("m/code/__torch__/t.py", code.as_bytes()), ("m/version", b"3\n".as_slice())];
    for (name, bytes) in plain.iter().chain(more) {
        zip.add(name, Content { head: bytes.to_vec(), weight: None }).unwrap();
    }
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).unwrap();
    let input = Input::from_bytes("m.pt", output.into_memory().remove(0).1);
    let options = ReadOptions { ranks: vec![("x".to_owned(), 1)], ..ReadOptions::default() };
    let found = (SCRIPT.read)(&input, &options).unwrap();
    let said = found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    (found.artifact, said)
}

/// What the method `forward` with this body gives for `x`, and the findings.
fn run_with(body: &str, x: &[f32], more: &[(&str, &[u8])]) -> (Vec<f64>, String) {
    let (artifact, said) = read_with(body, more);
    let Artifact::Model(model) = artifact else { panic!("a checkpoint") };
    let mut running = Reference.load(&model, &Opts::default()).unwrap_or_else(|e| panic!("{e}\n{said}"));
    let out = running.run(&[Value::from(Tensor::vector(x))], &mut |_, _| {}).unwrap();
    (out[0].tensor().unwrap().to_f64s().unwrap(), said)
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|k| (0.7 * k as f64).sin() as f32).collect()
}

#[track_caller]
fn agrees(body: &str, x: &[f32], wanted: &[f64]) {
    let (got, said) = run_with(body, x, &[]);
    assert_eq!(got.len(), wanted.len(), "{got:?}\n{said}");
    let close = got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2e-5);
    assert!(close, "{got:?}\nwanted {wanted:?}");
}

#[test]
fn suppression_keeps_the_boxes_that_torchvision_keeps() {
    let boxes = [
        [0.0, 0.0, 10.0, 10.0, 0.9],
        [1.0, 1.0, 11.0, 11.0, 0.8],
        [20.0, 20.0, 30.0, 30.0, 0.7],
        [0.0, 0.0, 10.0, 9.0, 0.95],
        [21.0, 21.0, 29.0, 29.0, 0.2],
    ]
    .concat();
    let body = |limit: &str| {
        format!(
            "b = torch.view(x, [5, 5])
return ops.torchvision.nms(torch.slice(b, 1, 0, 4), torch.select(b, 1, 4), {limit})"
        )
    };
    agrees(&body("0.5"), &boxes, &[3.0, 2.0]);
    agrees(&body("0.69999999999999996"), &boxes, &[3.0, 1.0, 2.0, 4.0]);
}

#[test]
fn regions_are_sampled_where_torchvision_samples_them() {
    let rois = [0.0, 0.0, 0.0, 8.0, 6.0, 0.0, 2.5, 1.0, 7.0, 7.5];
    let x = [wave(40), rois.to_vec()].concat();
    let plain = [
        -0.24854, -0.09252, 0.2269, 0.15044, -0.08452, 0.22138, 0.14349, -0.18182, -0.2066, -0.20902, -0.31291,
        0.07202, -0.1186, 0.05169, 0.36871, 0.51625,
    ];
    let aligned = [
        0.03046, 0.38333, 0.26503, 0.09637, 0.3843, 0.0873, 0.08783, -0.23677, -0.21165, -0.14758, 0.15334, 0.20324,
        -0.0288, 0.12769, 0.15625, 0.01512,
    ];
    for (samples, flag, wanted) in
        [(2, "False", plain), (-1, "False", plain), (2, "True", aligned), (-1, "True", aligned)]
    {
        let body = format!(
            "image = torch.view(torch.slice(x, 0, 0, 40), [1, 2, 4, 5])
rois = torch.view(torch.slice(x, 0, 40), [2, 5])
return torch.flatten(ops.torchvision.roi_align(image, rois, 0.5, 2, 2, {samples}, {flag}))"
        );
        agrees(&body, &x, &wanted);
    }
}

#[test]
fn a_deformable_convolution_samples_and_weighs_as_torchvision_does() {
    let x = [wave(32), wave(16), wave(72), wave(36), wave(2)].concat();
    let body = |masked: &str| {
        format!(
            "image = torch.view(torch.slice(x, 0, 0, 32), [1, 2, 4, 4])
weight = torch.view(torch.slice(x, 0, 32, 48), [2, 2, 2, 2])
offset = torch.view(torch.slice(x, 0, 48, 120), [1, 8, 3, 3])
mask = torch.view(torch.slice(x, 0, 120, 156), [1, 4, 3, 3])
bias = torch.slice(x, 0, 156)
return torch.flatten(ops.torchvision.deform_conv2d(image, weight, offset, mask, bias, 1, 1, 0, 0, 1, 1, 1, 1, {masked}))"
        )
    };
    let masked = [
        -0.05364, 0.49711, 0.79284, -0.5702, 0.25374, -0.10704, -0.20938, -0.87998, -0.1316, 0.59084, 1.31708, 1.55481,
        -0.4539, 0.98688, 0.42694, 0.19007, -0.9541, 0.37845,
    ];
    let plain = [
        -1.17036, 0.73252, 0.79972, -0.68025, 0.87369, 0.27114, 0.23207, 0.90514, 0.21991, -1.4163, 1.65132, 1.56498,
        -0.64759, 1.77513, 1.2308, 1.15738, 2.28046, 1.07601,
    ];
    agrees(&body("True"), &x, &masked);
    agrees(&body("False"), &x, &plain);
}

#[test]
fn spectra_and_their_inverse_are_pytorchs() {
    let x = wave(10);
    let magnitudes = "z = torch.stft(x, 4, 2, 4, torch.hann_window(4), False, True, True)
return torch.flatten(torch.abs(z))";
    let wanted =
        [1.73916, 0.5912, 1.53819, 1.11409, 0.99151, 0.6933, 0.92704, 0.80507, 0.23174, 0.07878, 0.20496, 0.14845];
    agrees(magnitudes, &x, &wanted);
    let centered = "z = torch.stft(x, 4, 3, 3, torch.hamming_window(3), True, \"reflect\", True, None, True)
return torch.flatten(torch.view_as_real(z))";
    let wanted = [
        0.28744, 0.0, 0.7375, 0.0, -0.45721, 0.0, -0.27586, 0.0, 0.03942, -0.24802, -0.30657, -0.3794, 0.34896,
        0.13505, -0.04577, 0.24304, -0.20861, 0.0, -0.02129, 0.0, -0.18711, 0.0, 0.21021, 0.0,
    ];
    agrees(centered, &x, &wanted);
    let back = "w = torch.hann_window(4)
z = torch.stft(x, 4, 1, 4, w, True, \"reflect\", False, None, True)
return torch.istft(torch.mul(z, torch.abs(z)), 4, 1, 4, w)";
    let wanted = [0.04704, 0.69209, 1.25114, 1.02352, 0.31547, -0.33301, -1.03811, -1.24519, -0.67266, -0.06194];
    agrees(back, &x, &wanted);
}

#[test]
fn windows_are_pytorchs() {
    let body = "return torch.cat([torch.hann_window(5, False), torch.hamming_window(4), torch.blackman_window(4), \
                torch.bartlett_window(4), torch.slice(x, 0, 0, 0)])";
    let wanted = [0.0, 0.5, 1.0, 0.5, 0.0, 0.08, 0.54, 1.0, 0.54, 0.0, 0.34, 1.0, 0.34, 0.0, 0.5, 1.0, 0.5];
    agrees(body, &wave(1), &wanted);
}

#[test]
fn what_complex_numbers_cannot_do_is_said() {
    let body = "z = torch.stft(x, 4, 2, 4, None, False, True, True)\nreturn torch.abs(torch.exp(z))";
    let (_, said) = read_with(body, &[]);
    assert!(said.contains("code/__torch__/t.py, line 5): exp of complex numbers"), "{said}");
}

#[test]
fn quantized_tensors_lie_on_their_grids() {
    let x = wave(10);
    let add = "q = torch.quantize_per_tensor(x, 0.10000000000000001, 3, 13)
return torch.dequantize(ops.quantized.add(q, torch.relu(q), 0.20000000000000001, 5))";
    agrees(add, &x, &[0.0, 1.2, 2.0, 1.8, 0.6, -0.4, -0.4, -0.4, -0.4, 0.0]);
    let pooled = "q = torch.view(torch.quantize_per_tensor(x, 0.10000000000000001, 3, 13), [1, 1, 2, 5])
return torch.dequantize(torch.flatten(torch.avg_pool2d(q, [2, 2])))";
    agrees(pooled, &x, &[0.0, 0.3]);
    let joined = "q = torch.quantize_per_tensor(x, 0.10000000000000001, 3, 13)
m = ops.quantized.mul(q, torch.relu(q), 0.050000000000000003, 7)
return torch.dequantize(ops.quantized.cat([q, m], 0, None, None))";
    let wanted =
        [0.0, 0.6, 1.0, 0.9, 0.3, -0.3, -0.3, -0.3, -0.3, 0.0, 0.0, 0.4, 1.0, 0.8, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0];
    agrees(joined, &x, &wanted);
}

#[test]
fn a_mobile_archive_is_read_by_its_code() {
    // What `_save_for_lite_interpreter` adds to an archive: the same program as instructions of the interpreter.
    let (got, _) = run_with("return torch.mul(x, 2)", &[1.5], &[("m/bytecode.pkl", b"\x80\x02(K\x07t.")]);
    assert_eq!(got, [3.0]);
}
