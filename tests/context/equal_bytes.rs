//! The same content packed on two machines at two times has the same bytes and hash.

use std::{
    fs::{self, FileTimes},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use crate::{Folder, Item, items, packed};

/// Something in a tree: its path and how it is made.
type Step = (String, Box<dyn Fn(&Path)>);

/// A tree with a file of each kind, as steps that may be done in any order.
fn steps() -> Vec<Step> {
    fn step(path: &str, make: impl Fn(&Path) + 'static) -> Step {
        (path.to_owned(), Box::new(make))
    }
    let write = |path, text: &'static str| step(path, move |path| fs::write(path, text).unwrap());
    let folder = |path| step(path, |path| fs::create_dir_all(path).unwrap());
    let link = |path, target: String| step(path, move |path| symlink(&target, path).unwrap());
    let long = "a-name-of-more-than-a-hundred-characters/".repeat(4) + "end";
    vec![
        write("Dockerfile", "FROM scratch\nCOPY . .\n"),
        write("a", "a"),
        write("a-b", "sorts before what is in a folder a"),
        write("b/x", "x"),
        write("b/y/z", ""),
        write("b.txt", "sorts before b/x"),
        folder("empty"),
        folder("x"),
        link("link", ".//b/./x".to_owned()),
        link("long-link", "x/../".repeat(40)),
        write(&long, "deep"),
        write("Übung 1\n\"", "umlaut"),
        step("run", |path| {
            fs::write(path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }),
    ]
}

fn tree<'a>(steps: impl Iterator<Item = &'a Step>) -> Folder {
    let folder = Folder::empty();
    for (path, make) in steps {
        let path = folder.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make(&path);
    }
    folder
}

/// Calls `change` for everything below the folder, innermost first.
fn each(folder: &Path, change: &dyn Fn(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            each(&entry.path(), change);
        }
        change(&entry.path());
    }
}

#[test]
fn the_order_of_creation_does_not_matter() {
    let steps = steps();
    let first = tree(steps.iter()).pack();
    let second = tree(steps.iter().rev()).pack();
    let third = tree(steps.iter().skip(5).chain(steps.iter().take(5))).pack();
    assert_eq!(first.bytes(), second.bytes());
    assert_eq!(first.hash(), second.hash());
    assert_eq!(first.hash(), third.hash());
}

#[test]
fn times_do_not_matter() {
    let steps = steps();
    let folder = tree(steps.iter());
    let before = folder.pack();
    for seconds in [0, 1_000_000_007, 4_000_000_000] {
        each(folder.path(), &|path| {
            let metadata = fs::symlink_metadata(path).unwrap();
            if metadata.is_symlink() {
                return;
            }
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::open(path)
                .unwrap()
                .set_times(FileTimes::new().set_modified(time).set_accessed(time))
                .unwrap();
        });
        assert_eq!(before.hash(), folder.pack().hash());
    }
}

#[test]
fn owners_do_not_matter() {
    let steps = steps();
    let folder = tree(steps.iter());
    let before = folder.pack();
    // Only root can give files away; for others there is nothing to compare.
    if chown(folder.at("a"), Some(4242), Some(4243)).is_ok() {
        each(folder.path(), &|path| {
            std::os::unix::fs::lchown(path, Some(4242), Some(4243)).unwrap();
        });
    }
    assert_eq!(before.hash(), folder.pack().hash());
}

#[test]
fn hard_links_and_holes_do_not_matter() {
    let copies = Folder::new()
        .file("a", "same")
        .file("b", "same")
        .file("c", [0; 9000]);
    let linked = Folder::new().file("a", "same");
    fs::hard_link(linked.at("a"), linked.at("b")).unwrap();
    fs::File::create(linked.at("c"))
        .unwrap()
        .set_len(9000)
        .unwrap();
    assert_eq!(copies.pack().hash(), linked.pack().hash());
}

#[test]
fn every_difference_in_content_is_another_hash() {
    let base = || Folder::new().file("a", "1").folder("f").link("l", "a");
    let mut hashes = vec![
        base().pack().hash(),
        base().file("a", "2").pack().hash(),
        base().file("b", "1").pack().hash(),
        base().program("a", "1").pack().hash(),
        base().folder("g").pack().hash(),
        base().link("m", "a").pack().hash(),
        Folder::new()
            .file("a", "1")
            .folder("f")
            .link("l", "f")
            .pack()
            .hash(),
        base().file("Dockerfile", "FROM other\n").pack().hash(),
        packed(&base().file("D2", "FROM x\n").with_dockerfile("D2"))
            .unwrap()
            .hash(),
    ];
    let all = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), all);
}

#[test]
fn what_is_unpacked_is_the_tree() {
    let steps = steps();
    let folder = tree(steps.iter());
    let items = items(&folder.pack());
    for (path, item) in &items {
        let full = folder.at(path);
        let metadata = fs::symlink_metadata(&full).unwrap();
        let expected = if metadata.is_dir() {
            Item::Folder
        } else if metadata.is_symlink() {
            Item::Link(
                fs::read_link(&full)
                    .unwrap()
                    .into_os_string()
                    .into_string()
                    .unwrap(),
            )
        } else {
            let text = fs::read_to_string(&full).unwrap();
            match metadata.permissions().mode() & 0o100 {
                0 => Item::File(text),
                _ => Item::Program(text),
            }
        };
        assert_eq!(*item, expected, "{path}");
    }
    let there = std::cell::Cell::new(0);
    each(folder.path(), &|_| there.set(there.get() + 1));
    assert_eq!(items.len(), there.get());
}

#[test]
fn the_bytes_stay_what_they_are_from_one_version_to_the_next() {
    // If this fails, every context has a new hash: that is a change to tell in the changelog.
    let context = Folder::new()
        .program("run", "#!/bin/sh\nexec true\n")
        .link("l", "run")
        .pack();
    assert_eq!(
        context.hash().to_string(),
        "29cab9972f97624ccbe80adf97c2d764a458c61c344abdb4273e99742298cdc7"
    );
    let header = &context.bytes().unwrap()[..10];
    assert_eq!(header, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}
