//! A git repository is fetched by the build itself.

use berth::{
    builds::{BuildRequest, BuildSource},
    domain::BuildCause,
    secret::Secret,
};

use crate::{
    git_server::GitServer,
    support::bench::{image, skipped_on_a_cluster},
    yard::{Ears, Yard, name},
};

const TOKEN: &str = "git-heron-token-5711";

fn request(url: &str, token: Option<&str>) -> BuildRequest {
    let source = BuildSource::Git {
        source: url.parse().unwrap(),
        dockerfile: "Dockerfile".to_owned(),
        token: token.map(|token| Secret::new(token.to_owned())),
    };
    BuildRequest::new(&name(), source).unwrap()
}

fn server(yard: &Yard, token: Option<&str>) -> GitServer {
    let dockerfile = format!("FROM {}\nCOPY page /page\nRUN ls -a . /page\n", image());
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("page", "top\n"),
        ("web/Dockerfile", dockerfile.as_str()),
        ("web/page", "web\n"),
    ];
    GitServer::new(&yard.world.scratch.path().join("git"), &files, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_a_commit_and_a_folder_are_built() {
    if skipped_on_a_cluster("a git server", "it is on this machine's loopback") {
        return;
    }
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let server = server(&yard, None);
    let url = server.url();
    let commit = &server.commit;
    for (reference, is_tag) in [
        ("#main", "main-"),
        (&format!("#{commit}:web"), &commit[..12]),
        ("", "head-"),
    ] {
        let wanted = format!("{url}{reference}");
        let ears = Ears::new();
        let built = yard
            .manager
            .with_events(ears.clone())
            .build(request(&wanted, None))
            .await;
        let built = built.unwrap_or_else(|error| panic!("{error:?} {:?}", ears.lines()));
        assert!(built.record.image.tag().unwrap().starts_with(is_tag));
        assert_eq!(built.record.source, format!("{wanted} at {commit}"));
        assert_eq!(built.record.context_hash, None);
        let lines = ears.lines();
        assert!(lines.contains(&format!("commit {commit}")), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_repository_and_shows_nowhere() {
    if skipped_on_a_cluster("a git server", "it is on this machine's loopback") {
        return;
    }
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let server = server(&yard, Some(TOKEN));
    let url = server.url();
    let ears = Ears::new();
    let built = yard
        .manager
        .with_events(ears.clone())
        .build(request(&url, Some(TOKEN)))
        .await
        .unwrap_or_else(|error| panic!("{error:?} {:?}", ears.lines()));
    assert!(!server.users.lock().unwrap().is_empty());
    let namespace = yard.namespace();
    let seen = yard
        .world
        .bench
        .kubectl(&["get", "secrets", "-o", "name", "-n", &namespace]);
    let secrets = String::from_utf8(seen.stdout).unwrap();
    assert!(!secrets.contains("-git"), "the token is gone: {secrets}");
    let objects = yard.world.bench.kubectl(&[
        "get",
        "jobs,pods,configmaps,events",
        "-o",
        "json",
        "-n",
        &namespace,
    ]);
    let all = format!(
        "{}{:?}{:?}{built:?}",
        String::from_utf8_lossy(&objects.stdout),
        ears.lines(),
        ears.steps()
    );
    assert!(objects.stdout.len() > 1000);
    assert!(!all.contains(TOKEN));

    for (wanted, token, cause) in [
        (url.clone(), Some("wrong"), BuildCause::GitAccess),
        (url.clone(), None, BuildCause::GitAccess),
        (format!("{url}#nosuch"), Some(TOKEN), BuildCause::GitRef),
        (format!("{url}x"), Some(TOKEN), BuildCause::GitAccess),
    ] {
        let failure = yard.failure(request(&wanted, token)).await;
        assert_eq!(failure.cause, cause, "{failure:?}");
        assert!(!format!("{failure:?}").contains("wrong"), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_fetched_or_named() {
    if skipped_on_a_cluster("a git server", "it is on this machine's loopback") {
        return;
    }
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let mut server = server(&yard, Some(TOKEN));
    server.copy("lib");
    let inner = server.commit.clone();
    let dockerfile = format!(
        "FROM {}\nCOPY . /all\nRUN cat /all/libs/a/page && find /all -name .git\n",
        image()
    );
    // A relative URL, with the token of the same host, below a folder.
    let files = [("Dockerfile", dockerfile.as_str())];
    server.commit(&files, &[("libs/a", "../lib", &inner)]);
    let ears = Ears::new();
    let built = yard
        .manager
        .with_events(ears.clone())
        .build(request(&server.url(), Some(TOKEN)))
        .await;
    built.unwrap_or_else(|error| panic!("{error:?} {:?}", ears.lines()));
    let lines = ears.lines();
    assert!(lines.iter().any(|it| it == "top"), "{lines:?}");
    assert!(!lines.iter().any(|it| it.ends_with("/.git")), "{lines:?}");

    server.commit(&[], &[("libs/b", "../nosuch", &inner)]);
    let failure = yard.failure(request(&server.url(), Some(TOKEN))).await;
    assert_eq!(failure.cause, BuildCause::GitAccess, "{failure:?}");
    assert!(failure.message.contains("submodule libs/b"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_missing_in_the_image_is_named() {
    if skipped_on_a_cluster("a git server", "it is on this machine's loopback") {
        return;
    }
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let mut server = server(&yard, None);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let attributes = (
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    // The same text in a file that is none of LFS's.
    server.commit(&[attributes, ("notes.txt", pointer)], &[]);
    let built = yard.manager.build(request(&server.url(), None)).await;
    built.unwrap();
    server.commit(&[("data/\u{fc} 1.bin", pointer)], &[]);
    let failure = yard.failure(request(&server.url(), None)).await;
    assert_eq!(failure.cause, BuildCause::GitAccess, "{failure:?}");
    assert!(
        failure.message.contains("LFS file data/\u{fc} 1.bin"),
        "{failure:?}"
    );

    let heredoc = format!("FROM {}\nRUN true && \\\n  cat <<'EOF'\nx\nEOF\n", image());
    server.commit(&[(".gitattributes", ""), ("web/Dockerfile", &heredoc)], &[]);
    let failure = yard
        .failure(request(&format!("{}#:web", server.url()), None))
        .await;
    assert_eq!(failure.cause, BuildCause::Dockerfile, "{failure:?}");
    assert!(
        failure.message.contains("line 2 has a heredoc"),
        "{failure:?}"
    );
    assert!(failure.message.contains("builder buildkit"), "{failure:?}");

    let short = &server.commit[..10];
    let failure = yard
        .failure(request(&format!("{}#{short}", server.url()), None))
        .await;
    assert_eq!(failure.cause, BuildCause::GitRef, "{failure:?}");
    assert!(failure.message.contains("all 40 digits"), "{failure:?}");
}
