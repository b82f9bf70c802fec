//! The Dockerfile templates that berth comes with.

use std::collections::BTreeMap;

use crate::domain::TemplateFile;

/// A template's name, its Dockerfile, and the path and text of each other file.
type BuiltIn = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The text of a file of a template.
macro_rules! text {
    ($path:literal) => {
        include_str!(concat!("../../../templates/docker/", $path))
    };
}

pub(super) const BUILT_IN: [BuiltIn; 3] = [
    (
        "test",
        text!("test/Dockerfile"),
        &[
            ("www/health", text!("test/www/health")),
            ("www/index.html", text!("test/www/index.html")),
        ],
    ),
    (
        "simple-api",
        text!("simple-api/Dockerfile"),
        &[
            (".dockerignore", text!("simple-api/.dockerignore")),
            ("app.py", text!("simple-api/app.py")),
        ],
    ),
    (
        "python-agent",
        text!("python-agent/Dockerfile"),
        &[
            (".dockerignore", text!("python-agent/.dockerignore")),
            ("providers/echo.py", text!("python-agent/providers/echo.py")),
            ("requirements.txt", text!("python-agent/requirements.txt")),
            ("server.py", text!("python-agent/server.py")),
        ],
    ),
];

/// The files as a rendered template has them.
pub(super) fn files(files: &[(&str, &str)]) -> BTreeMap<String, TemplateFile> {
    files
        .iter()
        .map(|(path, text)| {
            let file = TemplateFile {
                contents: text.as_bytes().to_vec(),
                executable: false,
            };
            ((*path).to_owned(), file)
        })
        .collect()
}
