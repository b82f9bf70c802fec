//! What is in a packed context: ignored files, Dockerfiles, and what templates bring.

use std::collections::BTreeMap;

use berth::{
    context::{ContextError, ContextSource, DOCKERFILE_PATH, RenderedDockerfile, TemplateFile},
    manifest::{DockerfileTemplate, DockerfileTemplates},
};

use crate::{Folder, Item, all_items, file, items, packed, paths};

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
fn nothing_in_an_ignored_folder_is_looked_at() {
    // A socket and a link that leads out would be refused.
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
