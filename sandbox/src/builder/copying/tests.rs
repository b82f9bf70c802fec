//! What is copied where.

use super::*;

struct Bench {
    _dir: tempfile::TempDir,
    context: PathBuf,
    tree: Tree,
    ignore: Ignore,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let context = dir.path().join("context");
    fs::create_dir_all(context.join("src/deep")).unwrap();
    for file in ["a.py", "b.py", "c.txt", "src/d.py", "src/deep/e.py"] {
        fs::write(context.join(file), file).unwrap();
    }
    fs::write(context.join(".dockerignore"), "src/deep\n").unwrap();
    let tree = Tree::new(&dir.path().join("root"), &[]).unwrap();
    fs::create_dir(tree.root().join("there")).unwrap();
    let ignore = Ignore::find(&context.join("Dockerfile"), &context);
    Bench {
        _dir: dir,
        context,
        tree,
        ignore,
    }
}

impl Bench {
    fn find(&self, sources: &[&str], destination: &str) -> Outcome<Vec<String>> {
        let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
        self.origin().find(&self.tree, &sources, destination)
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            root: &self.context,
            ignore: &self.ignore,
            owners: None,
        }
    }

    fn copy(&mut self, source: &str, to: &str, wish: Wish) -> Vec<String> {
        let origin = Origin {
            root: &self.context,
            ignore: &self.ignore,
            owners: None,
        };
        let full = origin.full(source);
        let to = destination(&self.tree, &full, to, "/work");
        let written = origin.copy(&mut self.tree, source, &to, wish).unwrap();
        let names = written.iter().map(|path| path.display().to_string());
        names.collect()
    }
}

#[test]
fn wildcards_find_files_of_one_folder() {
    let bench = bench();
    assert_eq!(bench.find(&["*.py"], "/x/").unwrap(), ["a.py", "b.py"]);
    assert_eq!(bench.find(&["src/?.py"], "/x").unwrap(), ["src/d.py"]);
    assert!(bench.find(&["*.rs"], "/x/").unwrap().is_empty());
}

#[test]
fn several_files_need_a_folder_to_go_to() {
    let bench = bench();
    assert!(bench.find(&["*.py"], "/x").is_err());
    assert!(bench.find(&["a.py", "b.py"], "/x").is_err());
    assert!(bench.find(&["a.py", "b.py"], "/there").is_ok());
}

#[test]
fn a_source_that_is_not_there_is_named_in_full() {
    let bench = bench();
    let fault = bench.find(&["nosuch"], "/x").unwrap_err();
    let Cause::NoSource { path, name } = fault.cause else {
        panic!("another fault");
    };
    assert_eq!(path, bench.context.join("nosuch").display().to_string());
    assert_eq!(name, "nosuch");
}

#[test]
fn a_file_goes_into_a_folder_or_becomes_the_destination() {
    let mut bench = bench();
    let plain = Wish::default();
    assert_eq!(bench.copy("a.py", "/there", plain), ["/there/a.py"]);
    assert_eq!(bench.copy("a.py", "/other", plain), ["/other"]);
    assert_eq!(bench.copy("a.py", "/new/", plain), ["/new/a.py"]);
    assert_eq!(bench.copy("a.py", "rel", plain), ["/work/rel"]);
    assert_eq!(bench.copy("a.py", ".", plain), ["/work/a.py"]);
}

#[test]
fn a_folder_is_copied_by_what_is_in_it_and_is_allowed() {
    let mut bench = bench();
    let written = bench.copy("src", "/app", Wish::default());
    assert_eq!(written, ["/app", "/app/d.py"]);
    let written = bench.copy(".", "./", Wish::default());
    assert!(written.contains(&"/work/src/d.py".to_owned()));
    assert!(!written.iter().any(|path| path.contains("deep")));
}

#[test]
fn owner_and_mode_are_as_wished() {
    let mut bench = bench();
    let wish = Wish {
        owner: Some((7, 8)),
        mode: Some(0o711),
    };
    bench.copy("a.py", "/a", wish);
    assert_eq!(bench.tree.owner(Path::new("/a")), (7, 8));
    let mode = fs::metadata(bench.tree.root().join("a")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o7777, 0o711);
}

#[test]
fn a_link_in_the_destination_is_followed_within_the_tree() {
    let mut bench = bench();
    symlink("/there", bench.tree.root().join("link")).unwrap();
    assert_eq!(
        bench.copy("a.py", "/link/", Wish::default()),
        ["/there/a.py"]
    );
}
