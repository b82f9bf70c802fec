//! Whom a container runs as: numbers, or names that the image's own files explain.

/// A user by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// `HOME`, when nothing else says.
    pub(crate) home: String,
}

/// What is asked for: the image's word, which the pod's numbers overrule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// `USER` of the image: `uid`, `uid:gid`, `name`, `name:group`, or nothing for root.
    pub(crate) image: &'a str,
    pub(crate) run_as_user: Option<u64>,
    pub(crate) run_as_group: Option<u64>,
}

impl Wanted<'_> {
    /// The user's number, if it is known without the image's files.
    pub(crate) fn number(&self) -> Option<u64> {
        let (user, _) = self.parts();
        match self.run_as_user {
            Some(uid) => Some(uid),
            None if user.is_empty() => Some(0),
            None => user.parse().ok(),
        }
    }

    /// Why it may not run where only others than root may: the kubelet's words, without the pod.
    pub(crate) fn breaks_non_root(&self) -> Option<String> {
        match (self.run_as_user, self.number()) {
            (Some(0), _) => Some("container's runAsUser breaks non-root policy".to_owned()),
            (_, Some(0)) => {
                Some("container has runAsNonRoot and image will run as root".to_owned())
            }
            (_, Some(_)) => None,
            (_, None) => Some(format!(
                "container has runAsNonRoot and image has non-numeric user ({}), \
                 cannot verify user is non-root",
                self.parts().0
            )),
        }
    }

    /// Finds the numbers in the image's `/etc/passwd` and `/etc/group`; the error is containerd's.
    pub(crate) fn find(&self, passwd: &str, group: &str) -> Result<User, String> {
        let (name, group_name) = self.parts();
        let number = self.number();
        let entry = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|entry| match number {
                Some(uid) => entry.get(2) == Some(&uid.to_string().as_str()),
                None => entry.first() == Some(&name),
            });
        let field = |index: usize| entry.as_ref().and_then(|entry| entry.get(index)).copied();
        let uid = number
            .or_else(|| field(2)?.parse().ok())
            .ok_or("no users found")?;
        let of_image = if self.run_as_user.is_some() {
            ""
        } else {
            group_name
        };
        let gid = match (self.run_as_group, of_image) {
            (Some(gid), _) => gid,
            (None, "") => field(3).and_then(|gid| gid.parse().ok()).unwrap_or(0),
            (None, name) => group_number(group, name).ok_or("no groups found")?,
        };
        let home = field(5).filter(|home| !home.is_empty()).unwrap_or("/");
        Ok(User {
            uid,
            gid,
            home: home.to_owned(),
        })
    }

    fn parts(&self) -> (&str, &str) {
        self.image.split_once(':').unwrap_or((self.image, ""))
    }
}

fn group_number(groups: &str, name: &str) -> Option<u64> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let mut entries = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| entry.first() == Some(&name))?;
    entry.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/srv:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:app\n";

    #[test]
    fn names_and_numbers_are_found() {
        for (image, run_as_user, found) in [
            ("", None, Ok((0, 0, "/root"))),
            ("app", None, Ok((1000, 1001, "/srv"))),
            ("1000", None, Ok((1000, 1001, "/srv"))),
            ("app:staff", None, Ok((1000, 50, "/srv"))),
            ("77:88", None, Ok((77, 88, "/"))),
            ("app", Some(0), Ok((0, 0, "/root"))),
            ("ghost", None, Err("no users found")),
            ("app:ghosts", None, Err("no groups found")),
        ] {
            let wanted = Wanted {
                image,
                run_as_user,
                run_as_group: None,
            };
            let user = wanted.find(PASSWD, GROUP);
            let user = user
                .as_ref()
                .map(|user| (user.uid, user.gid, user.home.as_str()));
            assert_eq!(user.map_err(String::as_str), found, "{image}");
        }
    }

    #[test]
    fn a_name_can_t_prove_that_it_is_not_root() {
        let told = |image| {
            let wanted = Wanted {
                image,
                run_as_user: None,
                run_as_group: None,
            };
            wanted.breaks_non_root()
        };
        assert!(told("").is_some_and(|why| why.ends_with("image will run as root")));
        assert!(told("app").is_some_and(|why| why.contains("non-numeric user (app)")));
        assert_eq!(told("1000"), None);
    }
}
