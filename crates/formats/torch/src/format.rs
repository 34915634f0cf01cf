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
    hub: false,
    shards: true,
    blocks: false,
};

fn probe(probe: &Probe<'_>) -> Match {
    // A program is the more of the two, whatever the file is called; its reader gives the checkpoint too.
    if container::is_script(probe.bytes) {
        return Match::Likely;
    }
    match container::kind(probe.bytes) {
        Some(Kind::Zip | Kind::Legacy | Kind::Tar | Kind::Objects) => Match::Certain,
        // Two bytes that say `pickle`, or any first instruction: the extension decides.
        Some(Kind::Bare) => Match::Possible,
        None => Match::No,
    }
}
