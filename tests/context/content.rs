//! What is in a packed context: ignored files, Dockerfiles, and what templates bring.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
};

use berth::{
    context::{ContextError, ContextSource, DOCKERFILE_PATH, RenderedDockerfile, TemplateFile},
    manifest::{DockerfileTemplate, DockerfileTemplates},
};

use crate::{Folder, Item, all_items, file, headers, items, packed, paths};

#[test]
fn the_dockerfile_is_at_its_place_and_out_of_reach_of_copy() {
    let items = all_items(&Folder::new().pack());
    assert_eq!(items[DOCKERFILE_PATH], file("FROM scratch\n"));
    assert_eq!(
        items[&format!("{DOCKERFILE_PATH}.dockerignore")],
        file(".berth\n")
    );
    assert_eq!(
        items["Dockerfile"],
        file("FROM scratch\n"),
        "as with Docker, COPY may take it"
    );
}

#[test]
fn an_ignored_dockerfile_is_still_built_from() {
    let folder = Folder::new()
        .file(".dockerignore", "Dockerfile\n.dockerignore\n")
        .file("a", "a");
    let context = folder.pack();
    assert_eq!(paths(&context), ["a"]);
    assert_eq!(all_items(&context)[DOCKERFILE_PATH], file("FROM scratch\n"));
}

#[test]
fn a_dockerfile_may_be_anywhere_and_may_be_a_link() {
    let outside = Folder::empty().file("Other", "FROM outside\n");
    let folder = Folder::empty()
        .file("a", "a")
        .file("build/prod.Dockerfile", "FROM inner\n")
        .link("linked", "build/prod.Dockerfile");
    for (dockerfile, text) in [
        (outside.at("Other"), "FROM outside\n"),
        (folder.at("linked"), "FROM inner\n"),
        ("build/prod.Dockerfile".into(), "FROM inner\n"),
        ("./build/../linked".into(), "FROM inner\n"),
    ] {
        let context = packed(&folder.with_dockerfile(&dockerfile)).unwrap();
        assert_eq!(
            all_items(&context)[DOCKERFILE_PATH],
            file(text),
            "{}",
            dockerfile.display()
        );
        assert!(!items(&context).contains_key("Other"));
    }
}

#[test]
fn the_ignore_file_beside_the_dockerfile_wins() {
    let folder = Folder::new()
        .file(".dockerignore", "a")
        .file("Dockerfile.dockerignore", "b")
        .file("deploy/Dockerfile", "FROM x\n")
        .file("a", "")
        .file("b", "");
    assert!(paths(&folder.pack()).contains(&"a".to_owned()));
    assert!(!paths(&folder.pack()).contains(&"b".to_owned()));
    let other = packed(&folder.with_dockerfile("deploy/Dockerfile")).unwrap();
    assert!(!paths(&other).contains(&"a".to_owned()));
    assert!(paths(&other).contains(&"b".to_owned()));
}

#[test]
fn what_is_ignored_is_left_out_and_exceptions_come_back_with_their_folders() {
    let folder = Folder::new()
        .file(".dockerignore", "*\n!src/**/*.py\n!docs/keep\n")
        .file("src/a.c", "")
        .file("src/lib/deep/b.py", "b")
        .file("src/empty/c.c", "")
        .file("docs/keep/x", "x")
        .file("docs/drop/y", "y")
        .file("other/z.py", "z");
    assert_eq!(
        paths(&folder.pack()),
        [
            "docs",
            "docs/keep",
            "docs/keep/x",
            "src",
            "src/lib",
            "src/lib/deep",
            "src/lib/deep/b.py"
        ]
    );
}

#[test]
fn all_may_be_ignored() {
    // A Dockerfile that copies nothing needs nothing.
    let context = Folder::new()
        .file(".dockerignore", "*")
        .file("a", "")
        .pack();
    assert_eq!(paths(&context), [""; 0]);
    assert_eq!(all_items(&context)[DOCKERFILE_PATH], file("FROM scratch\n"));
    let outside = Folder::new();
    let empty = Folder::empty();
    let context = packed(&empty.with_dockerfile(outside.at("Dockerfile"))).unwrap();
    assert_eq!(paths(&context), [""; 0]);
}

#[test]
fn the_ignore_file_may_be_a_link_to_one_outside() {
    let outside = Folder::empty().file("shared", "a\n");
    let folder = Folder::new().file("a", "").file("b", "");
    std::os::unix::fs::symlink(outside.at("shared"), folder.at(".dockerignore")).unwrap();
    assert_eq!(paths(&folder.pack()), [".dockerignore", "Dockerfile", "b"]);
}

#[test]
fn an_ignored_folder_need_not_be_readable() {
    for exceptions in ["!*.md", "!**/*.md", "!d*/[ab]"] {
        let folder = Folder::new()
            .file(".dockerignore", format!("data\n{exceptions}\n"))
            .file("data/x", "")
            .file("a.md", "");
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(folder.at("data"), closed).unwrap();
        let context = folder.pack();
        std::fs::set_permissions(folder.at("data"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        let wanted = [".dockerignore", "Dockerfile", "a.md"];
        assert_eq!(paths(&context), wanted, "{exceptions}");
    }
}

#[test]
fn links_are_packed_wherever_they_lead() {
    let targets = [
        "/etc/passwd",
        "../../x",
        "nowhere",
        "/no/such",
        ".",
        "l4/l4",
    ];
    let mut folder = Folder::new();
    for (number, target) in targets.iter().enumerate() {
        folder = folder.link(&format!("l{number}"), target);
    }
    let items = items(&folder.pack());
    for (number, target) in targets.iter().enumerate() {
        let link = Item::Link((*target).to_owned());
        assert_eq!(items[&format!("l{number}")], link);
    }
}

#[test]
fn names_are_kept_byte_for_byte() {
    let odd = OsStr::from_bytes(b"caf\xe9.txt");
    let folder = Folder::new().folder("d");
    std::fs::write(folder.at("d").join(odd), "x").unwrap();
    std::os::unix::fs::symlink(odd, folder.at("l")).unwrap();
    let packed_paths = |folder: &Folder| -> Vec<Vec<u8>> {
        let headers = headers(&folder.pack());
        headers.into_keys().collect()
    };
    let wanted = b"d/caf\xe9.txt".to_vec();
    assert!(packed_paths(&folder).contains(&wanted));
    // A pattern names it, also byte for byte.
    for pattern in [&b"d/*.txt"[..], b"d/caf?.txt", b"d/caf\xe9.txt"] {
        let folder = Folder::new().folder("d").file(".dockerignore", pattern);
        std::fs::write(folder.at("d").join(odd), "x").unwrap();
        assert!(!packed_paths(&folder).contains(&wanted), "{pattern:?}");
    }
}

#[test]
fn modes_are_kept() {
    let folder = Folder::new()
        .folder("open")
        .folder("kept/inner")
        .file(".dockerignore", "kept\n!kept/*/x\n");
    let modes = [
        ("a", 0o600),
        ("b", 0o640),
        ("c", 0o4755),
        ("d", 0o664),
        ("kept/inner/x", 0o400),
    ];
    for (name, mode) in modes {
        std::fs::write(folder.at(name), "").unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.at(name), mode).unwrap();
    }
    let folders = [("open", 0o1777), ("kept/inner", 0o750), ("kept", 0o700)];
    for (name, mode) in folders {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.at(name), mode).unwrap();
    }
    let headers = headers(&folder.pack());
    for (name, mode) in modes {
        assert_eq!(headers[name.as_bytes()].0, mode, "{name}");
    }
    for (name, mode) in folders {
        let name = format!("{name}/");
        assert_eq!(headers[name.as_bytes()].0, mode, "{name}");
    }
}

#[test]
fn what_changes_has_another_time() {
    let folder = || {
        Folder::new()
            .file("page", "one")
            .file("same", "x")
            .link("l", "a")
            .file("d/a", "")
    };
    let before = headers(&folder().pack());
    let other = Folder::new()
        .file("page", "two")
        .file("same", "x")
        .link("l", "b")
        .file("d/b", "");
    let after = headers(&other.pack());
    for (path, changed) in [
        ("page", true),
        ("same", false),
        ("l", true),
        ("d/", true),
        ("Dockerfile", false),
    ] {
        let (before, after) = (before[path.as_bytes()].1, after[path.as_bytes()].1);
        assert_eq!(before != after, changed, "{path}");
    }
    assert_eq!(before, headers(&folder().pack()));
}

#[test]
fn nothing_in_an_ignored_folder_is_looked_at() {
    // A socket would be refused.
    let folder = Folder::new()
        .file(".dockerignore", "ignored")
        .folder("ignored/deep")
        .link("ignored/out", "/etc");
    let _socket = std::os::unix::net::UnixListener::bind(folder.at("ignored/deep/s")).unwrap();
    assert_eq!(paths(&folder.pack()), [".dockerignore", "Dockerfile"]);
}

fn template(files: &[(&str, &str)]) -> RenderedDockerfile {
    RenderedDockerfile {
        text: "FROM template\n".to_owned(),
        files: files
            .iter()
            .map(|(path, text)| {
                let file = TemplateFile {
                    contents: text.as_bytes().to_vec(),
                    executable: text.starts_with("#!"),
                };
                ((*path).to_owned(), file)
            })
            .collect::<BTreeMap<_, _>>(),
    }
}

#[test]
fn a_template_brings_its_files_and_the_users_own_win() {
    let rendered = template(&[
        ("server.py", "default"),
        ("start", "#!/bin/sh"),
        ("providers/echo.py", "echo"),
        ("www/a/b", "b"),
        (".dockerignore", "*.log\n"),
    ]);
    let folder = Folder::new()
        .file("server.py", "mine")
        .file("providers/own.py", "own")
        .file("x.log", "");
    let context = packed(&folder.with_template(rendered.clone())).unwrap();
    let items = all_items(&context);
    assert_eq!(items[DOCKERFILE_PATH], file("FROM template\n"));
    assert_eq!(items["server.py"], file("mine"));
    assert_eq!(items["start"], Item::Program("#!/bin/sh".to_owned()));
    assert_eq!(items["www/a/b"], file("b"));
    assert_eq!(items["www/a"], Item::Folder);
    for absent in ["providers/echo.py", "x.log", ".dockerignore"] {
        assert!(!items.contains_key(absent), "{absent}");
    }

    let folder = folder.file(".dockerignore", "server.py");
    let context = packed(&folder.with_template(rendered)).unwrap();
    let items = all_items(&context);
    assert_eq!(
        items["server.py"],
        file("default"),
        "an ignored file is none"
    );
    assert!(
        items.contains_key("x.log"),
        "the user's own ignore file wins"
    );
}

#[test]
fn a_template_needs_no_folder_and_no_files() {
    let rendered = template(&[("a", "a")]);
    let alone = packed(&ContextSource::Template {
        folder: None,
        rendered: rendered.clone(),
    })
    .unwrap();
    let with_empty = packed(&Folder::empty().with_template(rendered)).unwrap();
    assert_eq!(alone.hash(), with_empty.hash());
    assert_eq!(paths(&alone), ["a"]);
    assert_eq!((alone.files(), alone.unpacked_bytes()), (3, 1 + 14 + 7));
}

#[test]
fn a_template_has_no_files_in_the_reserved_folder() {
    let error = packed(&Folder::empty().with_template(template(&[(".berth/x", "")]))).unwrap_err();
    assert!(matches!(error, ContextError::Reserved { .. }), "{error:?}");
}

#[test]
fn every_built_in_template_brings_what_it_copies() {
    let templates = DockerfileTemplates::built_in().unwrap();
    for name in templates.iter().map(DockerfileTemplate::name) {
        let rendered = templates.render(name, &BTreeMap::new()).unwrap();
        let text = rendered.text.clone();
        let context = packed(&ContextSource::Template {
            folder: None,
            rendered,
        })
        .unwrap();
        assert!(context.fits_config_map());
        let items = items(&context);
        let copied = text.lines().filter_map(|line| line.strip_prefix("COPY "));
        for source in copied.map(|words| words.split(' ').next().unwrap()) {
            let source = source.trim_end_matches('/');
            assert!(
                source == "." || items.contains_key(source),
                "{name}: {source}"
            );
        }
        assert!(!items.is_empty());
    }
}
