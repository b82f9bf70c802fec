//! Folders that can't become a context: each is refused with its path and what to do.

use std::{
    fs,
    io::Write as _,
    ops::ControlFlow,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    process::Command,
};

use berth::context::{ContextError, ContextSource, DockerfileProblem, SpecialKind, pack};

use crate::{Folder, packed};

fn message(error: &ContextError) -> String {
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn the_folder_must_be_one() {
    let folder = Folder::new();
    let at = |path: &str| ContextSource::Folder {
        folder: folder.at(path),
        dockerfile: "Dockerfile".into(),
    };
    for path in ["missing", "Dockerfile/below"] {
        let error = packed(&at(path)).unwrap_err();
        assert!(matches!(error, ContextError::Missing { .. }), "{error:?}");
        assert!(message(&error).contains(path));
    }
    let error = packed(&at("Dockerfile")).unwrap_err();
    assert!(
        matches!(error, ContextError::NotAFolder { .. }),
        "{error:?}"
    );
}

#[test]
fn there_must_be_something_in_it() {
    let error = Folder::empty().error();
    assert!(matches!(error, ContextError::Empty { .. }), "{error:?}");
}

#[test]
fn a_bad_line_of_the_ignore_file_is_named() {
    let error = Folder::new().file(".dockerignore", "a\n[b\n").error();
    let text = message(&error);
    assert!(
        text.ends_with(".dockerignore, line 2: the pattern \"[b\" has a [ without its ]"),
        "{text}"
    );
    let error = Folder::new().folder(".dockerignore").error();
    assert!(error.hint().contains("regular file"), "{}", error.hint());
    assert!(
        matches!(error, ContextError::Unreadable { .. }),
        "{error:?}"
    );
    // As PowerShell's `>` writes it: read as UTF-8 it would exclude nothing.
    let utf_16: Vec<u8> = "\u{feff}a\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let error = Folder::new().file(".dockerignore", &utf_16).error();
    assert!(
        message(&error).ends_with(".dockerignore is UTF-16"),
        "{error}"
    );
    let error = Folder::empty().file("Dockerfile", &utf_16).error();
    assert!(message(&error).contains("is UTF-16"), "{error}");
}

#[test]
fn a_missing_dockerfile_is_told_with_what_may_have_been_meant() {
    let error = Folder::empty()
        .file("dockerfile", "FROM x")
        .file("DockerFile", "")
        .error();
    let text = message(&error);
    assert!(
        text.ends_with("/Dockerfile; did you mean DockerFile or dockerfile?"),
        "{text}"
    );

    let error = Folder::empty().file("Containerfile", "FROM x").error();
    assert!(message(&error).contains("Containerfile"));

    let folder = Folder::empty().file("src/a", "");
    let ContextError::NoDockerfile { path, similar } = folder.error() else {
        panic!("the Dockerfile is missing");
    };
    assert_eq!((path, similar.len()), (folder.at("Dockerfile"), 0));
    for missing in [
        "deploy/Dockerfile",
        "src/a/Dockerfile",
        "/nowhere/Dockerfile",
    ] {
        let error = packed(&folder.with_dockerfile(missing)).unwrap_err();
        assert!(message(&error).contains(missing), "{error}");
    }
}

#[test]
fn a_dockerfile_must_be_a_file_with_an_instruction() {
    let problem = |folder: Folder| match folder.error() {
        ContextError::BadDockerfile { problem, path } => {
            assert!(path.ends_with("Dockerfile"));
            problem
        }
        other => panic!("{other:?}"),
    };
    let empty = Folder::empty;
    assert_eq!(
        problem(empty().folder("Dockerfile")),
        DockerfileProblem::Folder
    );
    for text in ["", "\n \t\r\n", "# only\n  # comments", "\u{feff}# x"] {
        assert_eq!(
            problem(empty().file("Dockerfile", text)),
            DockerfileProblem::Empty
        );
    }
    let long = "#".repeat(1024 * 1024) + "\nFROM x";
    assert_eq!(
        problem(empty().file("Dockerfile", long)),
        DockerfileProblem::TooLong
    );
    assert_eq!(
        problem(empty().link("Dockerfile", "/dev/null")),
        DockerfileProblem::Special
    );
}

#[test]
fn an_ignore_file_that_is_a_fifo_is_refused_at_once() {
    let folder = Folder::new();
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&folder.at(".dockerignore"), mode).unwrap();
    let error = folder.error();
    let ContextError::Unreadable { path, source } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(path, &folder.at(".dockerignore"));
    assert_eq!(source.to_string(), "it is a FIFO, not a regular file");
}

#[test]
fn what_no_image_can_hold_is_named() {
    let folder = Folder::new();
    let _socket = UnixListener::bind(folder.at("s")).unwrap();
    let error = folder.error();
    assert!(
        matches!(&error, ContextError::Special { path, kind: SpecialKind::Socket } if path == "s"),
        "{error:?}"
    );

    let folder = Folder::new().folder("run");
    assert!(
        Command::new("mkfifo")
            .arg(folder.at("run/f"))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        message(&folder.error()),
        "\"run/f\" is a named pipe, which no image can hold"
    );

    let folder = Folder::new();
    let made = Command::new("mknod")
        .arg(folder.at("null"))
        .args(["c", "1", "3"])
        .output()
        .unwrap();
    // Only root can make one.
    if made.status.success() {
        assert_eq!(
            message(&folder.error()),
            "\"null\" is a device, which no image can hold"
        );
    }
}

#[test]
fn the_reserved_name_is_refused() {
    let error = Folder::new().file(".berth/x", "").error();
    assert!(matches!(error, ContextError::Reserved { .. }), "{error:?}");
    Folder::new()
        .file(".berth/x", "")
        .file(".dockerignore", ".berth")
        .pack();
}

#[test]
fn what_can_not_be_read_is_named() {
    for name in ["secret", "folder"] {
        let folder = Folder::new().file("secret", "x").folder("folder");
        fs::set_permissions(folder.at(name), fs::Permissions::from_mode(0o000)).unwrap();
        let is_root =
            fs::read_dir(folder.at("folder")).is_ok() && fs::read(folder.at("secret")).is_ok();
        // Nothing is closed to root.
        if is_root {
            folder.pack();
            continue;
        }
        let error = folder.error();
        let ContextError::Unreadable { path, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*path, folder.at(name));
        fs::set_permissions(folder.at(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// Packs a folder with a file `big` of 256 KiB, and does something when `big` has been begun.
fn packed_meanwhile(meanwhile: impl Fn(&Path)) -> Result<(), ContextError> {
    let folder = Folder::new().file("big", vec![7; 256 * 1024]);
    // Long ago: a file system's clock may be too coarse to tell two writes apart that follow at once.
    let big = fs::File::open(folder.at("big")).unwrap();
    big.set_modified(std::time::UNIX_EPOCH).unwrap();
    let mut done = false;
    pack(&folder.source(), |progress| {
        if progress.bytes > 0 && !done {
            done = true;
            meanwhile(&folder.at("big"));
        }
        ControlFlow::Continue(())
    })
    .map(|_| ())
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_named() {
    let changes: [&dyn Fn(&Path); 4] = [
        &|big| {
            let file = fs::OpenOptions::new().write(true).open(big).unwrap();
            file.set_len(70_000).unwrap();
        },
        &|big| {
            let mut file = fs::OpenOptions::new().append(true).open(big).unwrap();
            file.write_all(b"more").unwrap();
        },
        &|big| fs::write(big, vec![8; 256 * 1024]).unwrap(),
        &|big| fs::write(big, "").unwrap(),
    ];
    for change in changes {
        let error = packed_meanwhile(change).unwrap_err();
        assert_eq!(message(&error), "\"big\" changed while it was packed");
    }
    packed_meanwhile(|_| ()).unwrap();
}

#[test]
fn a_file_that_is_gone_or_replaced_before_its_turn_is_named() {
    let changes: [&dyn Fn(&Path); 5] = [
        &|later| fs::remove_file(later).unwrap(),
        &|later| fs::write(later, "longer than before").unwrap(),
        &|later| {
            fs::remove_file(later).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", later).unwrap();
        },
        // To open it would wait for a writer.
        &|later| {
            fs::remove_file(later).unwrap();
            nix::unistd::mkfifo(later, nix::sys::stat::Mode::S_IRWXU).unwrap();
        },
        &|later| {
            fs::remove_file(later).unwrap();
            fs::create_dir(later).unwrap();
        },
    ];
    for change in changes {
        let folder = Folder::new().file("later", "x");
        let mut done = false;
        let result = pack(&folder.source(), |progress| {
            if progress.bytes > 0 && !done {
                done = true;
                change(&folder.at("later"));
            }
            ControlFlow::Continue(())
        });
        let error = result.unwrap_err();
        assert!(
            matches!(&error, ContextError::Changed { path } if path == "later"),
            "{error:?}"
        );
    }
}
