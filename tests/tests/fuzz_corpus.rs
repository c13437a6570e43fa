//! The fuzz corpus, on stable Rust: every input that ever mattered goes through the same checks as
//! under libFuzzer.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

#[test]
fn every_envelope_of_the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/envelope");
    let mut inputs = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is checked in") {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        checks::envelope(&data);
        // Cut anywhere, and with any one bit turned, it must hold as well.
        for at in 0..data.len().min(400) {
            checks::envelope(&data[..at]);
            let mut damaged = data.clone();
            damaged[at] ^= 1 << (at % 8);
            checks::envelope(&damaged);
        }
        inputs += 1;
    }
    assert!(inputs >= 20, "only {inputs} inputs in {}", corpus.display());
}
