//! Dockerfile templates of one's own, read from a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::DockerfileTemplateError;
use crate::{domain::TemplateFile, files};

/// The most bytes that the files of one template may have: they are held in memory.
const MOST_BYTES: usize = 8 * 1024 * 1024;
const DOCKERFILE: &str = "Dockerfile";

/// A template as its folder has it.
pub(super) struct Read {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) dockerfile: String,
    pub(super) files: BTreeMap<String, TemplateFile>,
}

/// Reads every template in `folder`: the folders in it, but for those whose names begin with `.`. A
/// folder that does not exist has none.
pub(super) fn read(folder: &Path) -> Result<Vec<Read>, DockerfileTemplateError> {
    let mut templates = Vec::new();
    if !folder
        .try_exists()
        .map_err(|source| unreadable(folder, source))?
    {
        return Ok(templates);
    }
    for (name, path) in entries(folder)? {
        if name.starts_with('.') {
            continue;
        }
        if !path.is_dir() {
            return Err(misplaced(&path, "is no folder of a template"));
        }
        let mut files = BTreeMap::new();
        let mut left = MOST_BYTES;
        collect(&path, "", &mut files, &mut left)?;
        let path = path.join(DOCKERFILE);
        let Some(dockerfile) = files.remove(DOCKERFILE) else {
            return Err(misplaced(&path, "is missing"));
        };
        let dockerfile =
            String::from_utf8(dockerfile.contents).map_err(|_| misplaced(&path, "is not UTF-8"))?;
        templates.push(Read {
            name,
            path,
            dockerfile,
            files,
        });
    }
    Ok(templates)
}

/// Adds the files in the folder and in its folders, by their path behind `prefix`.
fn collect(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, TemplateFile>,
    left: &mut usize,
) -> Result<(), DockerfileTemplateError> {
    for (name, path) in entries(folder)? {
        let failed = |source| unreadable(&path, source);
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        let inner = format!("{prefix}{name}");
        if metadata.is_dir() {
            collect(&path, &format!("{inner}/"), files, left)?;
            continue;
        }
        if !metadata.is_file() {
            return Err(misplaced(&path, "is neither a file nor a folder"));
        }
        let bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        *left = left
            .checked_sub(bytes)
            .ok_or_else(|| misplaced(&path, "makes the template larger than 8 MiB"))?;
        let file = TemplateFile {
            contents: files::read(&path).map_err(failed)?,
            executable: metadata.permissions().mode() & 0o100 != 0,
        };
        files.insert(inner, file);
    }
    Ok(())
}

/// The folder's entries, in the order of their names.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, DockerfileTemplateError> {
    let read = || -> io::Result<Vec<_>> {
        fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| (entry.file_name(), entry.path())))
            .collect()
    };
    let mut entries = read()
        .map_err(|source| unreadable(folder, source))?
        .into_iter()
        .map(|(name, path)| match name.into_string() {
            Ok(name) => Ok((name, path)),
            Err(_) => Err(misplaced(&path, "has a name that is not UTF-8")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}

fn misplaced(path: &Path, problem: &'static str) -> DockerfileTemplateError {
    DockerfileTemplateError::Misplaced {
        path: path.to_owned(),
        problem,
    }
}

fn unreadable(path: &Path, source: io::Error) -> DockerfileTemplateError {
    DockerfileTemplateError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
