//! Scans the files named on the command line and prints one line of verdict and the findings of each.

use modelsmith_format::Input;
use std::path::Path;

fn main() {
    for path in std::env::args().skip(1) {
        match Input::open(Path::new(&path)).and_then(|input| modelsmith_scan::scan(&input)) {
            Ok(report) => {
                let worst = report.worst().map_or("nothing", |s| s.name());
                let verdict = if report.is_clean() { "clean" } else { "refused" };
                println!("{verdict} {path}: {}, {worst} found, understood: {}", report.content, report.understood);
                report.findings.iter().for_each(|f| println!("    {f}"));
            }
            Err(e) => println!("error {path}: {e}"),
        }
    }
}
