//! Reads `tests/fixtures/recordings/errors`: what a real kubectl printed, for the tests of this module.

use std::{fs, path::Path};

/// One recorded run of kubectl.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) exit: u32,
}

/// Every recorded run, by name.
pub(super) fn all() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings/errors");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 50);
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Recorded {
    let text = fs::read_to_string(path).unwrap();
    let (_, text) = text.split_once("\n--- stdout\n").unwrap();
    let (stdout, text) = text.split_once("--- stderr\n").unwrap();
    let (stderr, exit) = text.rsplit_once("--- exit ").unwrap();
    Recorded {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        exit: exit.trim().parse().unwrap(),
    }
}
