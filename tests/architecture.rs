//! The rules that cargo and the compiler do not know: inside `src/`, imports run downward and each library
//! has its module; `.env.example` says what the code reads. Between the crates cargo holds the layers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

use clap::CommandFactory as _;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The rooms from the top down. A file may use the rooms of lower floors and, on its own floor, its
/// own room alone.
const FLOORS: &[&[&str]] = &[
    &["cli"],
    &["client"],
    &["deployments"],
    &["pods", "builds", "ingress", "registry", "setup"],
    &["engine"],
    &["error"],
    &["context", "manifest"],
    &["config"],
];

/// Each library that only one room may name.
const LIBRARIES: &[(&str, &str)] = &[
    ("shlex", "config"),
    ("tera", "manifest"),
    ("flate2", "context"),
    ("tar", "context"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("indicatif", "cli"),
    ("reqwest", "ingress"),
    ("hyper", "registry"),
    ("hyper_util", "registry"),
    ("http_body_util", "registry"),
    ("tokio_rustls", "registry"),
];

#[test]
fn imports_run_downward() {
    let mut upward = Vec::new();
    for file in sources() {
        let room = room(&file);
        let Some(from) = floor(&room) else { continue };
        for used in rooms_used(&code(&file)) {
            let Some(to) = floor(&used) else { continue };
            if to < from || (to == from && used != room) {
                upward.push(format!("{}: {room} uses {used}", file.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn the_rooms_of_an_import_are_seen() {
    let used = rooms_used(
        "use crate::{a::b, c::{d, e::f}, g}; let x = crate::h::i(); use crate::j::{k, l};",
    );
    assert_eq!(used, ["a", "c", "g", "h", "j"]);
}

#[test]
fn each_library_stays_in_its_room() {
    let mut strays = Vec::new();
    for (room, file, line, code) in code_lines() {
        for (library, home) in LIBRARIES {
            // The program's `main` only hands over to the room.
            let parses_in_main = *library == "clap" && file.ends_with("main.rs");
            if room != *home && !parses_in_main && names(&code, library) {
                strays.push(format!(
                    "{}:{line}: {library} outside {home}",
                    file.display()
                ));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

/// Where the options of other programs are written, and whose they are.
const FOREIGN_OPTIONS: &[(&str, &str)] = &[
    ("src/builds/executor/buildkit.rs", "buildctl"),
    ("src/builds/executor/kaniko.rs", "Kaniko"),
    ("crates/kube/src/host/", "aws"),
    ("crates/kube/src/kubectl/", "kubectl"),
];

/// Other programs whose commands a text may show in backticks.
const FOREIGN_PROGRAMS: &[&str] = &["aws", "docker", "kubectl"];

#[test]
fn no_text_of_the_library_names_a_command_or_an_option_of_the_program() {
    let options = options(&berth::cli::Args::command());
    let mut named = Vec::new();
    for file in all_sources() {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap();
        if path.starts_with("src/cli/") || path == "src/main.rs" || path.ends_with("tests.rs") {
            continue;
        }
        let is_foreign = FOREIGN_OPTIONS
            .iter()
            .any(|(place, _)| path.starts_with(place));
        let text = fs::read_to_string(&file).unwrap();
        let code: String = outside_tests(&text)
            .flat_map(|(_, line)| [line, "\n"])
            .collect();
        for literal in literals(&code) {
            let argument = literal.trim_start();
            let is_argument = argument.starts_with("--") && !argument.contains(' ');
            if names_program(&literal, &options) && !(is_foreign && is_argument) {
                named.push(format!("{path}: {literal:?}"));
            }
        }
    }
    // What a container of a build prints is the library's as well.
    let texts = files_in(root().join("src")).into_iter();
    let texts = texts.chain(files_in(root().join("templates")));
    for file in texts.filter(|it| it.extension().is_none_or(|extension| extension != "rs")) {
        let text = fs::read_to_string(&file).unwrap();
        let printed = text.lines().filter(|line| {
            let words = ["fail ", "echo ", "why="];
            words.iter().any(|word| line.contains(word))
        });
        for line in printed.filter(|line| names_program(line, &options)) {
            named.push(format!("{}: {}", file.display(), line.trim()));
        }
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}

#[test]
fn what_names_the_program_is_seen() {
    let options = options(&berth::cli::Args::command());
    for text in [
        "`berth create` makes one",
        "name it by --dockerfile, or",
        "(--templates)",
        "--builder=buildkit",
        "as in `kubectl get --raw /readyz`, or --timeout",
    ] {
        assert!(names_program(text, &options), "{text}");
    }
    for text in [
        "berth logs in with one key",
        "see `kubectl delete pod --timeout 3s --wait`",
        "--no-such-option",
        "a -- b",
    ] {
        assert!(!names_program(text, &options), "{text}");
    }
    let code = r##"f("a \
        b", 'c', '"', r#"d"e"#, b"f\"g"); // "h"
        /* "i" */ let x: &'static str = "";"##;
    assert_eq!(literals(code), ["a b", "d\"e", "f\\\"g", ""]);
}

/// The long options of the program and of all its commands, with their dashes.
fn options(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_long);
    let own = own.map(|name| format!("--{name}"));
    own.chain(command.get_subcommands().flat_map(options))
        .collect()
}

/// Whether a text names a command of the program, or one of its options outside another program's
/// command.
fn names_program(text: &str, options: &BTreeSet<String>) -> bool {
    if text.contains("`berth ") {
        return true;
    }
    let is_foreign = |command: &str| {
        let program = command.split(' ').next().unwrap_or_default();
        FOREIGN_PROGRAMS.contains(&program)
    };
    // Every second part stands between backticks.
    text.split('`').enumerate().any(|(index, part)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_skipped = index % 2 == 1 && is_foreign(part);
        !is_skipped && part.split(|c| !is_name(c)).any(|it| options.contains(it))
    })
}

/// The string literals of Rust code, in their order. Escapes stay as they are written, but a line that
/// goes on in the next.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (before, from) = rest.split_at(at);
        rest = if let Some(comment) = from.strip_prefix("//") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = from.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else if let Some(inner) = from.strip_prefix('"') {
            let hashes = before.trim_end_matches('#');
            let is_raw = hashes.ends_with('r');
            let end = format!("\"{}", &before[hashes.len()..]);
            let mut ends = inner.match_indices(if is_raw { &end } else { "\"" });
            let escaped = |end: usize| {
                let slashes = inner[..end].bytes().rev().take_while(|it| *it == b'\\');
                !is_raw && slashes.count() % 2 == 1
            };
            let (end, _) = ends.find(|(end, _)| !escaped(*end)).unwrap();
            let mut lines = inner[..end].split("\\\n");
            let first = lines.next().unwrap_or_default().to_owned();
            found.push(lines.fold(first, |text, line| text + line.trim_start()));
            &inner[end + 1..]
        } else if let Some(inner) = from.strip_prefix('\'') {
            // A character, or a lifetime.
            let character = inner.strip_prefix('\\').unwrap_or(inner);
            let length = character.chars().next().map_or(0, char::len_utf8);
            character[length..].strip_prefix('\'').unwrap_or(inner)
        } else {
            &from[1..]
        };
    }
    found
}

/// Each feature, and what is compiled for it alone.
const FEATURES: &[(&str, &[&str])] = &[
    ("cli", &["clap", "clap_complete", "indicatif"]),
    ("sqlite", &["libsqlite3-sys"]),
];

#[test]
fn without_a_feature_its_libraries_are_not_needed() {
    let needed = |feature: &str| {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--offline", "--locked", "--package", "berth"]);
        tree.args(["--no-default-features", "--features", feature]);
        tree.args([
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]);
        let output = tree.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let tree = String::from_utf8(output.stdout).unwrap();
        let names = tree.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    for (feature, libraries) in FEATURES {
        for (other, _) in FEATURES {
            let needed = needed(other);
            for library in *libraries {
                let is_needed = needed.contains(*library);
                assert_eq!(is_needed, feature == other, "{library} for {other}");
            }
        }
    }
}

#[test]
fn every_room_is_on_a_floor() {
    for (room, file, ..) in code_lines() {
        let door = ["lib", "main"].contains(&room.as_str());
        assert!(
            door || floor(&room).is_some(),
            "{} is on no floor",
            file.display()
        );
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in all_sources() {
        let text = fs::read_to_string(&file).unwrap();
        // The tests of a file stand beside it under a name that says whose they are.
        let is_tests = file
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .ends_with("tests");
        assert!(
            is_tests || text.starts_with("//!"),
            "{} has no header",
            file.display()
        );
    }
}

#[test]
fn the_example_settings_are_the_ones_that_are_read() {
    let example = fs::read_to_string(root().join(".env.example")).unwrap();
    let shown: Vec<&str> = example
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            name.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
        .collect();
    let read: Vec<&str> = berth::config::variables::ALL
        .iter()
        .map(|variable| variable.name)
        .collect();
    assert_eq!(shown, read);
    for variable in berth::config::variables::ALL {
        if let Some(default) = variable.default {
            let line = format!("# {}={default}\n", variable.name);
            assert!(
                example.contains(&line),
                "the default should be shown: {line}"
            );
        }
    }
}

/// Variables that are no settings: the log's, the end-to-end suites', and the mark of a command in a
/// pod.
const NO_SETTINGS: &[&str] = &[
    "BERTH_LOG",
    "BERTH_COMMAND",
    "BERTH_E2E",
    "BERTH_REQUIRE_ALL",
    "BERTH_SKIPPED",
    "BERTH_E2E_IMAGE",
    "BERTH_E2E_BUILDER_IMAGE",
    "BERTH_E2E_REGISTRY",
    "BERTH_SANDBOX_CONTROL",
    "BERTH_SANDBOX_DIR",
];

#[test]
fn no_text_names_a_variable_that_is_not_read() {
    let settings = berth::config::variables::ALL.iter().map(|it| it.name);
    let known: Vec<&str> = settings.chain(NO_SETTINGS.iter().copied()).collect();
    let mut unknown = Vec::new();
    for file in all_sources().into_iter().chain(all_docs()) {
        let text = fs::read_to_string(&file).unwrap();
        // A test may misspell a name on purpose.
        for (line, text) in outside_tests(&text) {
            for word in variables_named(text) {
                if !known.contains(&word) {
                    unknown.push(format!("{}:{line}: {word}", file.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn the_reference_names_each_setting() {
    let reference = fs::read_to_string(root().join("docs/reference.md")).unwrap();
    let settings = berth::config::variables::ALL.iter().map(|it| it.name);
    let missing: Vec<_> = settings
        .filter(|name| !reference.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The pages for users and contributors.
fn all_docs() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let pages = docs.map(|it| it.unwrap().path());
    let pages = pages.filter(|it| it.extension().is_some_and(|it| it == "md"));
    let others = ["README.md", "CONTRIBUTING.md"].map(|it| root().join(it));
    pages.chain(others).collect()
}

/// The words that look like a variable of ours; one that ends in `_` stands for many (`K8S_SSH_*`).
fn variables_named(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| word.starts_with("K8S_") || word.starts_with("BERTH_"))
        .filter(|word| !word.ends_with('_'))
}

#[test]
fn the_variables_in_a_text_are_seen() {
    let text = "set K8S_SSH_HOST, not `BERTH_X=1` nor K8S_SSH_* or MY_BERTH_X";
    let seen: Vec<_> = variables_named(text).collect();
    assert_eq!(seen, ["K8S_SSH_HOST", "BERTH_X"]);
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// Room, file, line number and text of each line of code; comments and what is there for tests alone
/// are passed over.
fn code_lines() -> impl Iterator<Item = (String, PathBuf, usize, String)> {
    sources().into_iter().flat_map(|file| {
        let room = room(&file);
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = lines_of_code(&text)
            .map(|(number, line)| (room.clone(), file.clone(), number, line.to_owned()))
            .collect();
        lines
    })
}

/// The numbered lines without comments and tests.
fn lines_of_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    outside_tests(text).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The numbered lines without each item that is marked `#[cfg(test)]`: the item ends with a `;` or a
/// closing brace that is indented as the mark is.
fn outside_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut skipping: Option<usize> = None;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        if let Some(marked) = skipping {
            let is_outer = indent(line) == marked && !line.trim().is_empty();
            if is_outer && line.ends_with([';', '}']) {
                skipping = None;
            }
            return false;
        }
        if line.trim() == "#[cfg(test)]" {
            skipping = Some(indent(line));
        }
        skipping.is_none()
    })
}

#[test]
fn code_behind_tests_is_seen() {
    let text = "a\n#[cfg(test)]\nmod x;\nb\n#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\nc\n    #[cfg(test)]\n    fn g() {\n        d();\n    }\n    // e\n    h\n";
    let seen: Vec<_> = lines_of_code(text)
        .map(|(number, line)| (number, line.trim()))
        .collect();
    assert_eq!(seen, [(1, "a"), (4, "b"), (10, "c"), (16, "h")]);
}

fn room(file: &Path) -> String {
    let inner = file.strip_prefix(root().join("src")).unwrap();
    let first = inner
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file without its comments and its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    lines_of_code(&text)
        .flat_map(|(_, line)| [line, "\n"])
        .collect()
}

/// The rooms that the code names below `crate::`, in their order.
fn rooms_used(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let group = rest.strip_prefix('{');
        let mut depth = 0;
        let mut name = String::new();
        for c in group.unwrap_or(rest).chars() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' if depth == 0 && group.is_some() => rooms.push(std::mem::take(&mut name)),
                '}' | ';' => break,
                c if group.is_none() && !(c.is_alphanumeric() || c == '_') => break,
                c if depth == 0 => name.push(c),
                _ => {}
            }
        }
        rooms.push(name);
    }
    let first = |path: String| {
        path.trim()
            .split("::")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    rooms
        .into_iter()
        .map(first)
        .filter(|room| !room.is_empty())
        .collect()
}

/// Whether `name` stands in the code as a whole path: nothing of a name before or after it.
fn names(code: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        let whole = !before
            .is_some_and(|c| is_name(c) || c == '.' || c == '"' || c == '/' || c == '-')
            && !after.is_some_and(is_name);
        // A library is named by its path; a bare word may be anything.
        whole && (name.contains("::") || code[at + name.len()..].starts_with("::"))
    })
}

/// The sources of the package `berth`.
fn sources() -> Vec<PathBuf> {
    sources_in(root().join("src"))
}

/// The same with those of its crates.
fn all_sources() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let folders = crates.map(|entry| entry.unwrap().path().join("src"));
    sources()
        .into_iter()
        .chain(folders.flat_map(sources_in))
        .collect()
}

fn sources_in(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = files_in(folder);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
}

fn files_in(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
