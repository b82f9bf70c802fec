//! What the kernel says of a program that exists and may be executed, and still can't be: of
//! another machine, or without the interpreter or loader that it names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::view::View;

/// Enough for a script's first line, and for the headers of every usual program.
const HEAD: u64 = 16 * 1024;
/// `PT_INTERP`: the segment that names the loader.
const INTERPRETER: usize = 3;

/// The kernel's word against the program at a path of the container, if it has one.
pub(super) fn fault(view: &View, program: &Path) -> Option<&'static str> {
    fault_of(view, program, 4)
}

fn fault_of(view: &View, program: &Path, depth: u32) -> Option<&'static str> {
    const MISSING: Option<&str> = Some("no such file or directory");
    const FORMAT: Option<&str> = Some("exec format error");
    let Some(file) = view.resolve(program) else {
        return MISSING;
    };
    let mut head = Vec::new();
    let read = File::open(file).map(|file| file.take(HEAD).read_to_end(&mut head));
    if read.is_err() {
        // An ordinary user's sandbox may not be able to look; let the kernel decide.
        return None;
    }
    let interpreter = match head.as_slice() {
        [b'#', b'!', line @ ..] if depth > 0 => {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            line.split_whitespace().next().map(str::to_owned)
        }
        [0x7f, b'E', b'L', b'F', ..] if is_of_this_machine(&head) => {
            return match loader(&head) {
                Some(loader) if view.resolve(Path::new(&loader)).is_none() => MISSING,
                _ => None,
            };
        }
        _ => return FORMAT,
    };
    match interpreter {
        Some(interpreter) => fault_of(view, Path::new(&interpreter), depth - 1),
        None => FORMAT,
    }
}

/// `e_machine`; 32-bit programs run on their 64-bit successors.
fn is_of_this_machine(head: &[u8]) -> bool {
    let machine = number(head, 18, 2).unwrap_or(0);
    match std::env::consts::ARCH {
        "x86_64" => matches!(machine, 62 | 3),
        "aarch64" => matches!(machine, 183 | 40),
        _ => true,
    }
}

/// The loader that a 64-bit program names.
fn loader(head: &[u8]) -> Option<String> {
    if head.get(4) != Some(&2) {
        return None;
    }
    let (table, size, count) = (
        number(head, 32, 8)?,
        number(head, 54, 2)?,
        number(head, 56, 2)?,
    );
    let segment = (0..count)
        .map(|index| table + index * size)
        .find(|at| number(head, *at, 4) == Some(INTERPRETER))?;
    let (from, length) = (
        number(head, segment + 8, 8)?,
        number(head, segment + 32, 8)?,
    );
    let name = head.get(from..from.checked_add(length)?)?;
    Some(
        String::from_utf8_lossy(name)
            .trim_end_matches('\0')
            .to_owned(),
    )
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let number = bytes
        .iter()
        .rev()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::fault;
    use crate::node::view::View;

    #[test]
    fn what_can_t_run_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut foreign = own.clone();
        foreign[18] = 8;
        for (name, content) in [
            ("own", own.as_slice()),
            ("foreign", &foreign),
            ("script", b"#!/bin/nosuch -x\n"),
            ("text", b"echo hello\n"),
            ("empty", b""),
            ("loop", b"#!/loop\n"),
        ] {
            fs::write(root.path().join(name), content).unwrap();
        }
        let view = View::new(root.path().to_owned(), Vec::new());
        for (name, word) in [
            ("/own", "no such file or directory"),
            ("/foreign", "exec format error"),
            ("/script", "no such file or directory"),
            ("/text", "exec format error"),
            ("/empty", "exec format error"),
            ("/loop", "exec format error"),
        ] {
            assert_eq!(fault(&view, Path::new(name)), Some(word), "{name}");
        }
        let machine = View::new("/".into(), Vec::new());
        assert_eq!(fault(&machine, &std::env::current_exe().unwrap()), None);
    }
}
