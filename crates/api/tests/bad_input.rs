//! Real model files cut off and with flipped bits: what `modelsmith inspect` does with each is read it, or say which file
//! is damaged and at which byte. It neither panics nor takes more than 512 MiB beyond the file.
//!
//! `MODELSMITH_CHANGES` sets how many truncations, and as many flips, each file gets.

use modelsmith::inspect::{inspect, text, weights};
use modelsmith::random::Random;
use modelsmith::{Kind, Model};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Files of the corpus, from all producers in it, with weights inside and beside the file.
const FILES: [&str; 20] = [
    "snakers4__silero-vad__silero_vad.onnx",
    "snakers4__silero-vad__silero_vad_half.onnx",
    "Linzaer__Ultra-Light-Fast-Generic-Face-Detector-1MB__version-RFB-320.onnx",
    "google__magika__standard_v1.onnx",
    "OAID__Tengine__tengine_mnist.onnx",
    "google__mediapipe__face_detection_short_range.onnx",
    "yanorepuser4__onnxruntime__bert_toy_optimized.onnx",
    "opencv__open_model_zoo__samplenet.onnx",
    "spotify__basic-pitch__nmp.onnx",
    "yanorepuser4__onnxruntime__qdq_with_multi_consumer_dq_nodes.onnx",
    "google__mediapipe__hand_recrop.onnx",
    "robertknight__rten__mnist.onnx",
    "robertknight__rten__mnist-external__mnist.onnx",
    "onnx__onnx__light_resnet50.onnx",
    "sonos__tract__keras_example.onnx",
    "sonos__tract__lgbm_classifier_tensor__model.onnx",
    "yanorepuser4__onnxruntime__test_voice_commands__model.onnx",
    "sonos__tract__qlstm_3-2-3_T3_S1__model.onnx",
    "NVIDIA__TensorRT__inspect__09_inspecting_tensorrt_static_onnx_support__nested_local_function.onnx",
    "onnx__onnx__simple__test_sequence_model1__model.onnx",
];

/// Bytes that reading may take beyond those of the file.
const ALLOWED: u64 = 512 << 20;
/// A read that takes this long hangs. It is no measure of speed.
const HANG: Duration = Duration::from_secs(900);

/// A place in a file of `len` bytes: as often in its structure, which lies at the ends, as in the weights between.
fn place(numbers: &mut Random, len: usize) -> usize {
    let edge = len.min(4096);
    match below(numbers, 4) {
        0 => below(numbers, edge),
        1 => len - 1 - below(numbers, edge),
        _ => below(numbers, len),
    }
}

fn below(numbers: &mut Random, n: usize) -> usize {
    (numbers.next() % n.max(1) as u64) as usize
}

/// Most bytes of memory that this process had at once since [`reset_peak`]; `None` where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[derive(Default)]
struct Tally {
    read: usize,
    refused: usize,
    slowest: Duration,
    largest: u64,
    wrong: Vec<String>,
}

/// Reads and inspects the file at `path`, which somebody changed in the way that `how` says.
fn judge(path: &Path, how: &str, tally: &mut Tally) {
    let begun = Instant::now();
    match Model::open(path) {
        Ok(model) => {
            let all = (inspect(&model), weights(&model), text(&model));
            assert!(all.0.file_bytes == std::fs::metadata(path).unwrap().len());
            tally.read += 1;
        }
        Err(e) => {
            tally.refused += 1;
            let said = e.to_string();
            let place = e.place();
            let named = place.file.is_some() && (place.offset.is_some() || e.kind() == Kind::Unsupported);
            if !named || !matches!(e.kind(), Kind::Damaged | Kind::Unsupported) {
                tally.wrong.push(format!("{how}: {said}"));
            }
        }
    }
    let took = begun.elapsed();
    tally.slowest = tally.slowest.max(took);
    assert!(took < HANG, "{how}: {took:?}");
}

#[test]
fn damaged_files_are_read_or_named() {
    let Some(corpus) = modelsmith_testkit::corpus() else { return };
    let changes = std::env::var("MODELSMITH_CHANGES").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let dir = std::env::temp_dir().join(format!("modelsmith-bad-input-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("damaged.onnx");
    let mut tally = Tally::default();
    let mut files = 0;
    for name in FILES {
        let Some(good) = read(&corpus.join("onnx").join(name)) else { continue };
        files += 1;
        let mut numbers = Random::new(files, &[name]);
        for i in 0..2 * changes {
            let mut bytes = good.clone();
            let how = if i % 2 == 0 {
                bytes.truncate(place(&mut numbers, good.len()));
                format!("{name} cut to {} bytes", bytes.len())
            } else {
                let (at, bit) = (place(&mut numbers, good.len()), below(&mut numbers, 8));
                bytes[at] ^= 1 << bit;
                format!("{name} with bit {bit} of byte {at} flipped")
            };
            std::fs::write(&path, &bytes).unwrap();
            drop(bytes);
            reset_peak();
            let before = peak();
            judge(&path, &how, &mut tally);
            if let (Some(before), Some(after)) = (before, peak()) {
                let grown = after.saturating_sub(before);
                tally.largest = tally.largest.max(grown);
                assert!(grown <= ALLOWED + good.len() as u64, "{how}: {grown} bytes of memory");
            }
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
    println!(
        "{files} files, {changes} truncations and {changes} flips each: {} read, {} refused; slowest {:?}, at most {} KiB of memory more",
        tally.read,
        tally.refused,
        tally.slowest,
        tally.largest >> 10
    );
    assert!(
        tally.wrong.is_empty(),
        "{} errors name no file and offset:\n{}",
        tally.wrong.len(),
        tally.wrong.join("\n")
    );
}

fn read(path: &PathBuf) -> Option<Vec<u8>> {
    let found = std::fs::read(path).ok();
    if found.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    found
}
