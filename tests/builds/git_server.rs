//! A git server on loopback: git's own `http-backend` behind a few lines of HTTP, with a token if wanted.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Serves the repository `app`; ends when it is dropped.
pub struct GitServer {
    pub address: String,
    pub commit: String,
    /// The users that gave the right token.
    pub users: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
    is_over: Arc<AtomicBool>,
}

impl GitServer {
    /// With these files in the one commit of the branch `main`.
    pub fn new(folder: &Path, files: &[(&str, &str)], token: Option<&str>) -> Self {
        let commit = repository(folder, files);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let is_over = Arc::new(AtomicBool::new(false));
        let users = Arc::new(Mutex::new(Vec::new()));
        let (over, seen) = (is_over.clone(), users.clone());
        let (root, token) = (folder.to_owned(), token.map(str::to_owned));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (root, token, seen) = (root.clone(), token.clone(), seen.clone());
                thread::spawn(move || serve(stream.unwrap(), &root, token.as_deref(), &seen));
            }
        });
        Self {
            address,
            commit,
            users,
            folder: folder.to_owned(),
            is_over,
        }
    }

    /// Serves what there is now as a second repository.
    pub fn copy(&self, name: &str) {
        git(&self.folder, &["clone", "--quiet", "--bare", "app", name]);
        let bare = self.folder.join(name);
        git(
            &bare,
            &["config", "uploadpack.allowReachableSHA1InWant", "true"],
        );
    }

    /// Adds a commit with these files, and with submodules: path, URL and commit.
    pub fn commit(&mut self, files: &[(&str, &str)], submodules: &[(&str, &str, &str)]) {
        let work = self.folder.join("work");
        write(&work, files);
        for (path, url, commit) in submodules {
            let key = |name: &str| format!("submodule.{path}.{name}");
            git(&work, &["config", "-f", ".gitmodules", &key("path"), path]);
            git(&work, &["config", "-f", ".gitmodules", &key("url"), url]);
            std::fs::create_dir_all(work.join(path)).unwrap();
            let entry = format!("160000,{commit},{path}");
            git(&work, &["update-index", "--add", "--cacheinfo", &entry]);
        }
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "more"]);
        git(&work, &["push", "--quiet", "../app", "main"]);
        self.commit = git(&work, &["rev-parse", "HEAD"]);
    }

    pub fn url(&self) -> String {
        format!("http://{}/app", self.address)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes the bare repository `app`, and returns its commit.
fn repository(folder: &Path, files: &[(&str, &str)]) -> String {
    let work = folder.join("work");
    std::fs::create_dir_all(&work).unwrap();
    write(&work, files);
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    let commit = git(&work, &["rev-parse", "HEAD"]);
    git(folder, &["clone", "--quiet", "--bare", "work", "app"]);
    let bare = folder.join("app");
    git(
        &bare,
        &["config", "uploadpack.allowReachableSHA1InWant", "true"],
    );
    commit
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn serve(stream: TcpStream, root: &PathBuf, token: Option<&str>, users: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap_or("/"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let mut stream = reader.into_inner();
    if let Some(token) = token {
        let given = header("authorization").trim_start_matches("Basic ");
        let given = String::from_utf8(STANDARD.decode(given).unwrap_or_default()).unwrap();
        match given.split_once(':') {
            Some((user, password)) if password == token => {
                users.lock().unwrap().push(user.to_owned());
            }
            _ => {
                let _ = stream.write_all(
                    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
                      Content-Length: 0\r\nConnection: close\r\n\r\n",
                );
                return;
            }
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).unwrap();
    let answer = backend.wait_with_output().unwrap().stdout;
    let head = String::from_utf8_lossy(&answer).into_owned();
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n");
    let _ = stream.write_all(&answer);
}
