//! Opening a build's context.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::fault::{Calling as _, Fault, Outcome};

/// Lays out what `--context` names; the folder that holds it.
pub(crate) fn open(context: &str, sub_path: &str, work: &Path) -> Outcome<PathBuf> {
    if context.is_empty() {
        return Err(Fault::said(
            "please specify a path to the build context with the --context flag or a bucket \
             with the --bucket flag",
        ));
    }
    let root = match context.split_once("://") {
        // A bare path is taken as it is, without the sub path.
        None => return Ok(PathBuf::from(context)),
        Some(("dir", path)) => PathBuf::from(path),
        Some(("tar", path)) => unpack(path, &work.join("buildcontext"))?,
        Some(("git" | "https" | "s3" | "gs", _)) => {
            return Err(Fault::said(format!(
                "this stand-in has no contexts like {context}, only dir:// and tar://"
            )));
        }
        Some(_) => {
            return Err(Fault::said(
                "unknown build context prefix provided, please use one of the following: gs://, \
                 dir://, tar://, s3://, git://, https://",
            ));
        }
    };
    if sub_path.is_empty() {
        return Ok(root);
    }
    let below = root.join(sub_path);
    fs::metadata(&below).calling("stat", &below)?;
    Ok(below)
}

fn unpack(path: &str, folder: &Path) -> Outcome<PathBuf> {
    fs::create_dir_all(folder).calling("mkdir", folder)?;
    let bytes: Box<dyn io::Read> = match path {
        "stdin" => Box::new(io::stdin()),
        path => Box::new(File::open(path).calling("open", Path::new(path))?),
    };
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    archive.set_preserve_permissions(true);
    archive
        .unpack(folder)
        .map_err(|error| Fault::said(go_words(&error)))?;
    Ok(folder.to_owned())
}

/// What Go's readers say to the same bytes.
fn go_words(error: &io::Error) -> String {
    let said = format!("{error} {}", chain(error));
    if said.contains("gzip header") {
        "gzip: invalid header".to_owned()
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        "unexpected EOF".to_owned()
    } else {
        chain(error)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(inner) => format!("{error}: {}", chain(inner)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Cause;
    use super::*;

    fn refusal(context: &str, sub_path: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        match open(context, sub_path, dir.path()).unwrap_err().cause {
            Cause::Said(words) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_archive_is_laid_out_with_its_modes() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(packed);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(1);
        archive
            .append_data(&mut header, "sub/a", &b"x"[..])
            .unwrap();
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let path = dir.path().join("context.tar.gz");
        fs::write(&path, bytes).unwrap();
        let found = open(&format!("tar://{}", path.display()), "sub", dir.path()).unwrap();
        let file = fs::metadata(found.join("a")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn what_can_not_be_opened_is_named() {
        assert_eq!(
            refusal("tar:///no/such.tar.gz", ""),
            "open /no/such.tar.gz: no such file or directory"
        );
        assert!(refusal("dir:///", "no/such").starts_with("stat /no/such"));
        assert!(refusal("ftp://x", "").starts_with("unknown build context prefix"));
        assert!(refusal("git://x", "").contains("stand-in"));
    }
}
