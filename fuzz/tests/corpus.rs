//! Runs every file of the corpora once, without libFuzzer: what was found once stays mended.
//!
//!     cargo test --manifest-path fuzz/Cargo.toml --no-default-features

use std::fs;
use std::path::Path;

use mimeo_fuzz::TARGETS;

#[test]
fn every_input_that_was_kept_is_harmless() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, run) in TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpora.join(name))
            .unwrap_or_else(|error| panic!("corpus/{name}: {error}"))
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "corpus/{name} is empty");
        for file in files {
            eprintln!("{}", file.display());
            run(&fs::read(&file).unwrap());
        }
    }
}
