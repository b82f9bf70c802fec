use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use tempfile::TempDir;

use super::*;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn render(name: &str, pairs: &[(&str, &str)]) -> Result<RenderedDockerfile, String> {
    let templates = DockerfileTemplates::built_in().unwrap();
    templates.render(name, &values(pairs)).map_err(|error| {
        assert!(!error.hint().is_empty());
        error.to_string()
    })
}

/// A folder of templates with these files below `docker`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(FOLDER).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &TempDir) -> Result<DockerfileTemplates, String> {
    DockerfileTemplates::load(Some(folder.path())).map_err(|error| {
        assert!(!error.hint().is_empty());
        error.to_string()
    })
}

#[test]
fn the_test_template_with_values() {
    let rendered = render("test", &[("port", "9090"), ("base", "alpine:3")]).unwrap();
    insta::assert_snapshot!(rendered.text, @r##"
# A tiny web server that answers / and /health, to see that a build and the way to it work.
# A folder www of your own replaces its pages; keep a file health there.
# variable base = busybox:1.37: an image with busybox, its httpd among its programs
# variable port = 8080: the port to listen on
FROM alpine:3
WORKDIR /srv/www
COPY www/ ./
EXPOSE 9090
USER 10001:10001
# It keeps nothing, and as a container's first process it would not hear a SIGTERM.
STOPSIGNAL SIGKILL
CMD ["httpd", "-f", "-p", "9090", "-h", "/srv/www"]
"##);
    let files: Vec<_> = rendered.files.keys().collect();
    assert_eq!(files, ["www/health", "www/index.html"]);
}

#[test]
fn the_simple_api_template_with_its_defaults() {
    insta::assert_snapshot!(render("simple-api", &[]).unwrap().text, @r##"
# A JSON API in Python's standard library; app.py is yours to replace.
# variable base = python:3.13-alpine: an image with Python 3.9 or newer
# variable port = 8080: the port to listen on
# variable title = "Simple API": what the API calls itself
FROM python:3.13-alpine
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV PORT=8080
ENV TITLE="Simple API"
WORKDIR /app
COPY . .
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=3s CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
CMD ["python3", "app.py"]
"##);
}

#[test]
fn the_python_agent_template_with_its_defaults() {
    insta::assert_snapshot!(render("python-agent", &[]).unwrap().text, @r##"
# A Python agent from instance files: server.py, requirements.txt and providers/.
# variable base = python:3.13-slim: an image with Python 3.9 or newer, and pip if there are requirements
# variable port = 8080: the port to listen on
# variable server = server.py: the program to run
# variable title = "Python agent": what the agent calls itself
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV PORT=8080
ENV TITLE="Python agent"
WORKDIR /app
# Before the rest, so that a change there does not install everything again.
COPY requirements.txt ./
RUN if grep -q '^[[:space:]]*[^#[:space:]]' requirements.txt; then pip install --no-cache-dir --disable-pip-version-check -r requirements.txt; fi
COPY . .
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
CMD ["python3", "server.py"]
"##);
}

#[test]
fn every_built_in_template_says_what_it_is_and_has_all_its_files() {
    let on_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/docker");
    let read = folder::read(&on_disk).unwrap();
    let templates = DockerfileTemplates::built_in().unwrap();
    assert_eq!(read.len(), templates.iter().count());
    for (read, built_in) in read.iter().zip(templates.iter()) {
        assert_eq!(read.name, built_in.name());
        assert_eq!(read.files, built_in.files, "{}", read.name);
        assert!(!built_in.summary().is_empty());
        // All of them run without a value from the user, and not as root.
        let text = render(built_in.name(), &[]).unwrap().text;
        assert!(text.contains("\nUSER 10001:10001\n"), "{text}");
        assert!(built_in.variables().iter().all(|it| it.default.is_some()));
    }
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    assert_eq!(
        render("nodejs", &[]).unwrap_err(),
        "there is no Dockerfile template \"nodejs\"; there are python-agent, simple-api, test"
    );
    assert_eq!(
        render("test", &[("prot", "1")]).unwrap_err(),
        "the template test has no variable \"prot\"; there are base, port"
    );
}

#[test]
fn values_that_can_not_be_are_refused_by_name() {
    assert_eq!(
        render("test", &[("port", "80a")]).unwrap_err(),
        "the variable \"port\" of the template test can't be \"80a\": it must be a whole number"
    );
    let error = render("test", &[("base", "x\nRUN rm -rf /")]).unwrap_err();
    assert_eq!(
        error,
        "the variable \"base\" of the template test can't be \"x\\nRUN rm -rf /\": it has a line break \
         or a control character"
    );
    let long = render("simple-api", &[("title", &"\"".repeat(1000))]).unwrap_err();
    assert!(long.len() < 400, "{long}");
}

#[test]
fn a_folder_replaces_and_adds_templates() {
    let folder = folder(&[
        ("test/Dockerfile", "# Mine.\nFROM mine\n"),
        (
            "web/Dockerfile",
            "# variable who: whose\nLABEL who=\"{{ who }}\"\n",
        ),
        ("web/bin/start", "#!/bin/sh\n"),
        ("web/.config/x", ""),
        (".hidden/x", ""),
    ]);
    let start = folder.path().join("docker/web/bin/start");
    fs::set_permissions(start, fs::Permissions::from_mode(0o755)).unwrap();
    let templates = load(&folder).unwrap();
    let names: Vec<_> = templates.iter().map(DockerfileTemplate::name).collect();
    assert_eq!(names, ["python-agent", "simple-api", "test", "web"]);

    let test = templates.render("test", &values(&[])).unwrap();
    assert_eq!(
        (test.text.as_str(), test.files.len()),
        ("# Mine.\nFROM mine\n", 0)
    );

    let web = templates.render("web", &values(&[("who", "me")])).unwrap();
    assert!(web.text.ends_with("LABEL who=\"me\"\n"));
    assert!(web.files["bin/start"].executable && !web.files[".config/x"].executable);
    let error = templates
        .render("web", &values(&[]))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "the template web needs the variable \"who\": whose");
}

#[test]
fn a_folder_of_manifest_templates_may_hold_dockerfile_templates() {
    let folder = folder(&[("web/Dockerfile", "FROM x\n")]);
    assert!(super::super::Templates::with_overrides(folder.path()).is_ok());
    let without = tempfile::tempdir().unwrap();
    assert_eq!(load(&without).unwrap().iter().count(), 3);
}

#[test]
fn templates_that_can_not_be_used_are_named() {
    for (files, problem) in [
        (&[("web", "")][..], "/docker/web is no folder of a template"),
        (&[("web/x", "")], "/docker/web/Dockerfile is missing"),
        (
            &[("web/Dockerfile", "# variable a\nFROM x")],
            "/docker/web/Dockerfile, line 1: no declaration",
        ),
        (
            &[("web/Dockerfile", "FROM x\nRUN {{ a")],
            "/docker/web/Dockerfile, line 2: ",
        ),
        (
            &[("web/Dockerfile", "FROM x\n\nRUN {{ undeclared }}")],
            "/docker/web/Dockerfile, line 3: ",
        ),
    ] {
        let error = load(&folder(files)).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    let linked = folder(&[("web/Dockerfile", "FROM x")]);
    symlink("Dockerfile", linked.path().join("docker/web/link")).unwrap();
    assert!(
        load(&linked)
            .unwrap_err()
            .ends_with("link is neither a file nor a folder")
    );

    let large = folder(&[("web/Dockerfile", "FROM x")]);
    let file = fs::File::create(large.path().join("docker/web/large")).unwrap();
    file.set_len(9 * 1024 * 1024).unwrap();
    assert!(
        load(&large)
            .unwrap_err()
            .ends_with("makes the template larger than 8 MiB")
    );
}
