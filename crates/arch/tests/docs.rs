//! The table of the documentation is what the records say.

use modelsmith_arch::FAMILIES;

#[test]
fn every_family_is_in_the_documentation() {
    let path = format!("{}/../../docs/architectures.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    for f in FAMILIES {
        let vocabulary = f.vocabulary.iter().map(|v| v.files()).collect::<Vec<_>>().join(", or ");
        let line = format!("| {} | {} | {} | {vocabulary} |", f.name, f.classes.join(", "), f.gguf);
        assert!(text.lines().any(|l| l == line), "docs/architectures.md lacks the line\n{line}");
    }
}
