//! The record of the format, and telling a checkpoint from other archives and pickles.

use crate::container::{self, Kind};
use crate::{read, write::write};
use modelsmith_format::{FormatDef, Match, Probe};

/// PyTorch checkpoints.
pub static TORCH: FormatDef = FormatDef {
    name: "torch",
    title: "PyTorch checkpoint",
    extensions: &["pt", "pth", "bin", "ckpt", "pkl", "pickle"],
    probe,
    read,
    write: Some(write),
    graphs: false,
    shards: true,
    blocks: false,
};

fn probe(probe: &Probe<'_>) -> Match {
    match container::kind(probe.bytes) {
        Some(Kind::Zip | Kind::Legacy | Kind::Tar | Kind::Objects) => Match::Certain,
        // Two bytes that say `pickle`, or any first instruction: the extension decides.
        Some(Kind::Bare) => Match::Possible,
        None => Match::No,
    }
}
