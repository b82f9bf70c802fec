//! Users and groups of an image, by name or number.

use std::fs;

use super::tree::{Owner, Tree};

/// A user as `/etc/passwd` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) owner: Owner,
    pub(crate) home: String,
}

/// Looks a user up. A number needs no entry; its home is then `/`.
pub(crate) fn user(tree: &Tree, name: &str) -> Result<User, String> {
    let passwd = read(tree, "/etc/passwd");
    let entry = |column: usize| {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
            (*fields.get(column)? == name).then(|| User {
                owner: (uid, gid),
                home: (*fields.get(5).unwrap_or(&"/")).to_owned(),
            })
        })
    };
    if let Some(found) = entry(0).or_else(|| entry(2)) {
        return Ok(found);
    }
    let number = name
        .parse()
        .map_err(|_| format!("user {name} is not a uid and does not exist on the system"))?;
    Ok(User {
        owner: (number, number),
        home: "/".to_owned(),
    })
}

/// What `--chown=USER:GROUP` means. Without a group it is the number of the user.
pub(crate) fn owner(tree: &Tree, words: &str) -> Result<Owner, String> {
    let (name, group) = words.split_once(':').unwrap_or((words, ""));
    let uid = user(tree, name)?.owner.0;
    if group.is_empty() {
        return Ok((uid, uid));
    }
    let listed = read(tree, "/etc/group").lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let gid = fields.get(2)?.parse().ok()?;
        (*fields.first()? == group).then_some(gid)
    });
    let gid = match listed {
        Some(gid) => gid,
        None => group
            .parse()
            .map_err(|_| format!("strconv.ParseUint: parsing {group:?}: invalid syntax"))?,
    };
    Ok((uid, gid))
}

fn read(tree: &Tree, file: &str) -> String {
    fs::read_to_string(tree.real(file.as_ref(), true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_and_numbers_need_no_entry() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("root"), &[]).unwrap();
        fs::create_dir(tree.root().join("etc")).unwrap();
        fs::write(
            tree.root().join("etc/passwd"),
            "app:x:10:20::/srv:/bin/sh\n",
        )
        .unwrap();
        fs::write(tree.root().join("etc/group"), "staff:x:50:\n").unwrap();
        assert_eq!(user(&tree, "app").unwrap().home, "/srv");
        assert_eq!(user(&tree, "1000").unwrap().owner, (1000, 1000));
        assert_eq!(owner(&tree, "app").unwrap(), (10, 10));
        assert_eq!(owner(&tree, "app:staff").unwrap(), (10, 50));
        assert_eq!(owner(&tree, "7:8").unwrap(), (7, 8));
        assert!(user(&tree, "nobody").unwrap_err().contains("nobody"));
    }
}
