//! Faults planted into real models, each of which `compare`, `convert` and `optimize` must refuse with the inputs that
//! they draw by themselves.
//!
//! Models: the digits example, and those of the corpus and the zoo that are there. A fault changes one thing of the
//! hub form. For `compare` it stands in the second model; for `convert` in what is about to be written; for `optimize`
//! in what the passes made, as if one of them were wrong. All sides are run by the reference, so that inputs and rule of
//! agreement are on trial and nothing else.

mod planted {
    pub mod faults;
}

use modelsmith::Model;
use modelsmith::compare::{CompareOptions, Comparison, Verdict, compare};
use modelsmith::judge::{Backend, Judge};
use modelsmith::optimize::{Passes, simplify};
use modelsmith::write::{Verify, compare_options, format_for, target_opsets, write};
use planted::faults::{Planted, WANTED, plant};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of these, faults that may be missed.
const MISSED: usize = 3;
/// Zoo models that the reference runs in a moment.
const ZOO: [&str; 6] = ["lstm", "gate", "combined", "seed_gate", "seed_combined", "squeezenet1_1"];
/// Corpus models with trained weights that the reference runs in a moment.
const CORPUS: [&str; 10] = [
    "OAID__Tengine__tengine_mnist.onnx",
    "opencv__open_model_zoo__samplenet.onnx",
    "robertknight__rten__mnist.onnx",
    "google__mediapipe__hand_recrop.onnx",
    "google__magika__standard_v1.onnx",
    "Linzaer__Ultra-Light-Fast-Generic-Face-Detector-1MB__version-RFB-320_without_postprocessing.onnx",
    "yanorepuser4__onnxruntime__cnn_mnist_pytorch.onnx",
    "yanorepuser4__onnxruntime__bert_toy_optimized.onnx",
    "webonnx__wonnx__opt-mnist.onnx",
    "sonos__tract__keras_example.onnx",
];

fn models() -> Vec<Model> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("examples/digits/digits.onnx")];
    assert!(paths[0].exists(), "the digits example is part of the repository");
    if let Some(dir) = modelsmith_testkit::corpus() {
        paths.extend(CORPUS.iter().map(|n| dir.join("onnx").join(n)));
    }
    if let Some(dir) = modelsmith_testkit::zoo() {
        paths.extend(ZOO.iter().map(|n| dir.join(n).join("model.onnx")));
    }
    let mut out = Vec::new();
    for path in paths.iter().filter(|p| p.exists()) {
        let model = Model::open(path).unwrap();
        // What does not run, or proves nothing by itself, can hold no fault on trial.
        match compare(&model, &model, &compare_options(&Verify::default())) {
            Ok(c) if c.verdict == Verdict::Agree => out.push(model),
            Ok(c) => println!("skipped {}: {}", path.display(), c.reason),
            Err(e) => println!("skipped {}: {e}", path.display()),
        }
    }
    out
}

fn options(samples: usize) -> CompareOptions {
    let reference = Judge::Backend(Backend::Reference);
    CompareOptions { samples, a: reference.clone(), b: reference, ..CompareOptions::default() }
}

/// Plants faults into `hubs`, forms of `models`, and holds how many of them `missed` reports against the bound.
fn trial(
    what: &str,
    models: &[Model],
    hubs: &[modelsmith_ir::Model],
    missed: impl Fn(&Model, &Planted) -> Option<Comparison>,
) {
    let planted = plant(hubs);
    let mut kinds = BTreeMap::<_, usize>::new();
    planted.iter().for_each(|(_, f)| *kinds.entry(f.kind).or_default() += 1);
    let mut misses = 0;
    for (i, fault) in &planted {
        if let Some(found) = missed(&models[*i], fault) {
            misses += 1;
            let name = models[*i].path().file_name().unwrap_or_default().to_string_lossy();
            println!("{what} missed: {} in {name}: {}: {}", fault.kind, fault.place, explanation(&found));
        }
    }
    let refused = planted.len() - misses;
    println!("{what} refused {refused} of {} faults in {} models: {kinds:?}", planted.len(), models.len());
    assert!(!planted.is_empty(), "no fault could be planted");
    assert!(misses * WANTED <= MISSED * planted.len(), "{what}: {misses} of {} were missed", planted.len());
}

/// Why a comparison does not see a fault: by how much it moves the outputs.
fn explanation(c: &Comparison) -> String {
    let share = c.outputs.iter().map(|o| o.max_abs / o.largest.max(f64::MIN_POSITIVE)).fold(0.0, f64::max);
    let kinds = c.samples.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>().join(", ");
    match share {
        0.0 => format!("no output changes in any bit ({kinds})"),
        x => format!("no output moves by more than {x:.1e} of its largest value ({kinds}; {})", c.tolerance),
    }
}

#[test]
fn compare_refuses_planted_faults() {
    let models = models();
    let hubs = models.iter().map(|m| m.hub().clone()).collect::<Vec<_>>();
    trial("compare", &models, &hubs, |original, fault| {
        let broken = original.with_hub(fault.model.clone());
        // The samples of a longer comparison begin with those of a shorter one.
        for n in [2, 10] {
            match compare(original, &broken, &options(n)) {
                Ok(c) if c.verdict == Verdict::Differ => return None,
                Ok(c) if n == 10 => return (c.verdict == Verdict::Agree).then_some(c),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
        None
    });
}

/// Writes a faulty graph as a command would; what the verification found where the file was kept.
fn written(original: &Model, fault: &Planted, dir: &Path) -> Option<Comparison> {
    let path = dir.join("out.onnx");
    let (format, opsets) = (format_for(&path, None).unwrap(), target_opsets(original, None));
    let done = write(original, &fault.model, &path, format, opsets, false, Some(&Verify::default()));
    let kept = done.as_ref().is_ok_and(|w| w.kept);
    assert_eq!(path.exists(), kept, "a file that was refused is there: {} {}", fault.kind, fault.place);
    let _ = std::fs::remove_file(&path);
    done.ok().filter(|w| w.kept).and_then(|w| w.verification)
}

#[test]
fn convert_refuses_planted_faults() {
    let models = models();
    let hubs = models.iter().map(|m| m.hub().clone()).collect::<Vec<_>>();
    let dir = scratch("convert");
    trial("convert", &models, &hubs, |original, fault| written(original, fault, &dir));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn optimize_refuses_planted_faults() {
    let models = models();
    let hubs = models.iter().map(|m| simplify(m, &Passes::default()).unwrap().0).collect::<Vec<_>>();
    let dir = scratch("optimize");
    trial("optimize", &models, &hubs, |original, fault| written(original, fault, &dir));
    std::fs::remove_dir_all(dir).unwrap();
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("modelsmith-planted-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
