//! AWS credentials, from variables or from the files of the AWS CLI.
//!
//! Follows <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>.

use std::path::{Path, PathBuf};

use ini::Ini;

use crate::{
    domain::{Invalid, aws_region},
    secret::Secret,
};

/// How builds get access to AWS.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AwsAccess {
    /// By access keys, which are kept in a Secret.
    Keys {
        /// The keys.
        keys: AwsCredentials,
        /// Where they come from, as a phrase.
        source: String,
        /// Whether they were not named, but found as the AWS CLI's default profile. A role that is
        /// there already stays.
        is_default: bool,
    },
    /// By the IAM role with this ARN, which the builder's service account names.
    Role(String),
}

/// The files of the AWS CLI, which need not exist.
#[derive(Debug, Clone)]
pub struct AwsFiles {
    credentials: PathBuf,
    config: PathBuf,
}

impl AwsFiles {
    /// The files that the AWS CLI reads: those of `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE`,
    /// or those below the home folder.
    #[must_use]
    pub fn new(home: &Path, credentials: Option<String>, config: Option<String>) -> Self {
        let file = |set: Option<String>, usual: &str| match set {
            Some(set) => match set.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None => PathBuf::from(set),
            },
            None => home.join(usual),
        };
        Self {
            credentials: file(credentials, ".aws/credentials"),
            config: file(config, ".aws/config"),
        }
    }
}

/// Credentials for AWS. Nothing of them prints but the key's id.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    /// The access key's id, which is no secret.
    pub key_id: String,
    /// The key itself.
    pub key: Secret<String>,
    /// The session, when the credentials are temporary.
    pub session_token: Option<Secret<String>>,
    /// The region, when it is known.
    pub region: Option<String>,
}

impl AwsCredentials {
    /// The credentials of a profile in the files of the AWS CLI.
    ///
    /// # Errors
    /// When the files can't be read, or the profile has no keys in them.
    pub fn of_profile(files: &AwsFiles, profile: &str) -> Result<Self, Invalid> {
        let found = Self::find_profile(files, profile)?;
        found.ok_or_else(|| {
            refused(
                profile,
                format!("is not in {}", files.credentials.display()),
                "name another profile, or create it with `aws configure`",
            )
        })
    }

    /// The same, or none when neither file has the profile.
    ///
    /// # Errors
    /// When the files can't be read, or the profile is there and has no keys in them.
    pub fn find_profile(files: &AwsFiles, profile: &str) -> Result<Option<Self>, Invalid> {
        let credentials = read(&files.credentials)?.unwrap_or_default();
        let config = read(&files.config)?.unwrap_or_default();
        let sections = [
            credentials.section(Some(profile)),
            match profile {
                "default" => config.section(Some("default")),
                named => config.section(Some(format!("profile {named}"))),
            },
        ];
        if sections.iter().all(Option::is_none) {
            return Ok(None);
        }
        let value = |name: &str| sections.iter().flatten().find_map(|it| text(it, name));
        // Those of one file belong together.
        let keys = sections.iter().flatten().find_map(|section| {
            let key_id = text(section, "aws_access_key_id")?;
            let key = text(section, "aws_secret_access_key")?;
            Some((key_id, key, text(section, "aws_session_token")))
        });
        let Some((key_id, key, token)) = keys else {
            return Err(without_keys(profile, &files.credentials, value));
        };
        Self::new(
            key_id,
            key.to_owned().into(),
            token.map(|token| token.to_owned().into()),
            value("region").map(str::to_owned),
        )
        .map(Some)
    }

    /// Credentials as they are given.
    ///
    /// # Errors
    /// When one of them has characters that the AWS CLI's files can't hold.
    pub fn new(
        key_id: &str,
        key: Secret<String>,
        session_token: Option<Secret<String>>,
        region: Option<String>,
    ) -> Result<Self, Invalid> {
        if let Some(odd) = key_id.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(Invalid::new(
                "AWS access key id",
                "",
                format!("has the character {odd:?}"),
                "copy the id again: it is letters and digits, such as AKIAIOSFODNN7EXAMPLE",
            ));
        }
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let token_is_plain = session_token.iter().all(|it| is_plain(it.expose()));
        if !is_plain(key_id) || !is_plain(key.expose()) || !token_is_plain {
            return Err(Invalid::new(
                "AWS credentials",
                // The value is secret.
                "",
                "have spaces or other characters that no AWS key has",
                "copy the key again, without quotes and line breaks",
            ));
        }
        if let Some(region) = &region {
            aws_region(region)?;
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            key,
            session_token,
            region,
        })
    }

    /// The file `credentials` of the AWS CLI with these as its default.
    pub(super) fn credentials_file(&self) -> Secret<String> {
        let mut text = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            self.key_id,
            self.key.expose()
        );
        if let Some(token) = &self.session_token {
            text.push_str(&format!("aws_session_token = {}\n", token.expose()));
        }
        text.into()
    }

    /// The file `config` of the AWS CLI.
    pub(super) fn config_file(&self) -> Secret<String> {
        let region = self.region.as_deref().unwrap_or_default();
        let line = if region.is_empty() {
            String::new()
        } else {
            format!("region = {region}\n")
        };
        format!("[default]\n{line}").into()
    }
}

/// The file's content; none when there is no such file.
fn read(file: &Path) -> Result<Option<Ini>, Invalid> {
    let shown = file.display().to_string();
    let text = match crate::files::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Invalid::new(
                "AWS file",
                &shown,
                format!("can't be read: {error}"),
                "check its permissions",
            ));
        }
    };
    Ini::load_from_str_noescape(&text)
        .map(Some)
        .map_err(|error| {
            // Not the parser's words: they may repeat a line.
            Invalid::new(
                "AWS file",
                &shown,
                format!(
                    "is not written as the AWS CLI writes it (line {})",
                    error.line + 1
                ),
                "mend it, or make it again with `aws configure`",
            )
        })
}

/// What a section says of a name, unless that is blank.
fn text<'a>(section: &'a ini::Properties, name: &str) -> Option<&'a str> {
    let text = section.get(name).map(str::trim);
    text.filter(|text| !text.is_empty())
}

fn without_keys<'a>(
    profile: &str,
    file: &Path,
    value: impl Fn(&str) -> Option<&'a str>,
) -> Invalid {
    const BORROWED: [&str; 5] = [
        "sso_session",
        "sso_start_url",
        "role_arn",
        "credential_process",
        "web_identity_token_file",
    ];
    match BORROWED.into_iter().find(|key| value(key).is_some()) {
        Some(key) => refused(
            profile,
            format!("has no keys of its own but {key}"),
            "export its present keys with `aws configure export-credentials --format env`",
        ),
        None => refused(
            profile,
            format!("has no keys in {}", file.display()),
            "name another profile, or create it with `aws configure`",
        ),
    }
}

fn refused(profile: &str, problem: String, remedy: &str) -> Invalid {
    Invalid::new("AWS profile", profile, problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(home: &tempfile::TempDir) -> AwsFiles {
        AwsFiles::new(home.path(), None, None)
    }

    fn home(credentials: &str, config: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aws");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("credentials"), credentials).unwrap();
        std::fs::write(folder.join("config"), config).unwrap();
        home
    }

    #[test]
    fn a_profile_has_its_keys_and_its_region() {
        let home = home(
            "[default]\naws_access_key_id=AKIA\naws_secret_access_key = a/b+c=\\d\n\n\
             [work]\naws_access_key_id = ASIA\naws_secret_access_key = hunter2\n\
             aws_session_token = token==\n",
            "[default]\nregion = eu-west-1\n[profile work]\nregion = us-east-1\n",
        );
        let files = files(&home);
        let default = AwsCredentials::of_profile(&files, "default").unwrap();
        assert_eq!(default.key.expose(), "a/b+c=\\d");
        assert_eq!(default.region.as_deref(), Some("eu-west-1"));
        let work = AwsCredentials::of_profile(&files, "work").unwrap();
        assert_eq!(
            work.credentials_file().expose(),
            "[default]\naws_access_key_id = ASIA\naws_secret_access_key = hunter2\n\
             aws_session_token = token==\n"
        );
        assert_eq!(
            work.config_file().expose(),
            "[default]\nregion = us-east-1\n"
        );
        assert!(!format!("{work:?}").contains("hunter2"));
    }

    #[test]
    fn a_profile_without_keys_is_refused_with_the_remedy() {
        let home = home("[a]\nregion = x\n", "[profile sso]\nsso_session = corp\n");
        let files = self::files(&home);
        let refused = |profile: &str| AwsCredentials::of_profile(&files, profile).unwrap_err();
        assert!(refused("sso").to_string().contains("but sso_session"));
        assert!(refused("sso").remedy().contains("export-credentials"));
        assert!(refused("a").to_string().contains("has no keys in"));
        assert!(refused("none").remedy().contains("another profile"));
    }

    #[test]
    fn the_files_are_those_that_the_aws_cli_reads() {
        let nowhere = tempfile::tempdir().unwrap();
        let missing = AwsCredentials::find_profile(&files(&nowhere), "default").unwrap();
        assert!(missing.is_none());
        let missing = AwsCredentials::of_profile(&files(&nowhere), "default").unwrap_err();
        assert!(missing.to_string().contains("is not in"), "{missing}");
        // Keys may stand in `config` too, and the files elsewhere.
        let home = home(
            "",
            "[profile work]\naws_access_key_id = AKIA\naws_secret_access_key = k\n",
        );
        let config = home.path().join(".aws/config").display().to_string();
        let named = AwsFiles::new(Path::new("/"), None, Some(config));
        let work = AwsCredentials::of_profile(&named, "work").unwrap();
        assert_eq!(work.key_id, "AKIA");
    }

    #[test]
    fn no_message_repeats_a_secret() {
        let home = home("[default]\nhunter2\n[", "");
        let error = AwsCredentials::of_profile(&files(&home), "default").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let odd = AwsCredentials::new("AKIA", "hunter2\n".to_owned().into(), None, None);
        assert!(!format!("{odd:?}").contains("hunter2"));
    }
}
