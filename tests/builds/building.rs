//! From a folder to a digest, and what can go wrong on the way.

use std::time::{Duration, Instant};

use berth::{
    Kind, Step,
    builds::{BuildRequest, BuildSource},
    config::Builder,
    context::Dockerfile,
    domain::{BuildCause, BuildStatus},
};

use crate::{
    support::{
        bench::{World, image, skipped_on_a_cluster},
        on_both_databases,
    },
    yard::{Ears, Yard, digest_in_registry, name},
};

on_both_databases! {
    async fn a_folder_becomes_an_image_whose_digest_is_the_registrys(world: World) {
        let Some(yard) = Yard::on(world).await else {
            return;
        };
        yard.dockerfile("COPY hello /hello\nRUN cat /hello && echo ran > /ran\nCMD [\"/bin/cat\", \"/ran\"]");
        yard.file("hello", "good morning\n");
        let ears = Ears::new();
        let request = yard.request();
        let built = yard.manager.with_events(ears.clone()).build(request).await.unwrap();

        assert_eq!(built.record.status, BuildStatus::Succeeded);
        assert_eq!(built.record.digest.as_ref(), Some(&built.digest));
        assert_eq!(built.image.digest(), Some(built.digest.as_str()));
        let hash = built.record.context_hash.clone().unwrap();
        let tag = built.record.image.tag().unwrap();
        assert!(hash.starts_with(tag), "{tag} {hash}");
        if let Some(digest) = digest_in_registry(&built.record.image) {
            assert_eq!(digest, built.digest.as_str());
        }

        let lines = ears.lines();
        assert!(lines.iter().any(|line| line == "good morning"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
        let steps = ears.steps();
        assert!(steps.contains(&Step::Waiting { state: "building".to_owned() }), "{steps:?}");
        assert_eq!(built.cache.hits, 0);
        assert!(built.cache.misses > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_dockerfile_is_told_with_its_line() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("COPYY a b");
    let begun = Instant::now();
    let failure = yard.failure(yard.request()).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(failure.cause, BuildCause::Dockerfile);
    assert!(failure.message.contains("line 2"), "{failure}");
    assert_eq!(failure.exit_code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn buildkit_builds_the_same_folder() {
    if skipped_on_a_cluster("BuildKit", "its image may not be there") {
        return;
    }
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("COPY hello /hello\nRUN cat /hello");
    yard.file("hello", "good morning\n");
    let ears = Ears::new();
    let request = yard.request().builder(Builder::BuildKit);
    let built = yard.manager.with_events(ears.clone()).build(request).await;
    let built = built.unwrap_or_else(|error| panic!("{error:?} {:?}", ears.lines()));
    let digest = digest_in_registry(&built.record.image);
    assert_eq!(digest.as_deref(), Some(built.digest.as_str()));
    assert_eq!(built.record.builder, "buildkit");
    yard.dockerfile("RUN exit 9");
    let request = yard.request().builder(Builder::BuildKit);
    assert_eq!(yard.failure(request).await.cause, BuildCause::RunFailed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_built_without_a_folder() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let source = |variables: &[(&str, &str)]| BuildSource::Folder {
        folder: None,
        dockerfile: Dockerfile::Template {
            name: "test".to_owned(),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        },
    };
    let base = image();
    let request = BuildRequest::new(&name(), source(&[("base", &base)])).unwrap();
    let built = yard.manager.build(request).await.unwrap();
    assert_eq!(built.record.source, "template test");
    let request = BuildRequest::new(&name(), source(&[("nosuch", "1")])).unwrap();
    let error = yard.manager.build(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_within_two_seconds_of_the_pods_end() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo the end is near; exit 3");
    let ears = Ears::new();
    let error = yard
        .manager
        .with_events(ears.clone())
        .build(yard.request())
        .await
        .unwrap_err();
    let said = ears.when("the end is near").unwrap().elapsed();
    // The line comes before the pod's end: so this is more than is asked for.
    assert!(said < Duration::from_secs(2), "{said:?}");
    assert_eq!(error.build_failure().unwrap().exit_code, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_every_manifest() {
    let mut world = World::sqlite().await;
    world.set("IMAGE_REGISTRY", "registry.example/team");
    let yard = Yard::set_up(world).await;
    yard.dockerfile("CMD [\"true\"]");
    let small = yard.request();
    let git = |token: Option<&str>| {
        let source = BuildSource::Git {
            source: "https://git.example/team/app#main:web".parse().unwrap(),
            dockerfile: "Dockerfile".to_owned(),
            token: token.map(|token| token.to_owned().into()),
        };
        BuildRequest::new(&name(), source).unwrap()
    };
    let mut requests = vec![
        small
            .clone()
            .platform("linux/arm64")
            .unwrap()
            .without_cache(),
        small.clone().build_arg("A", "$(B) $$ \n\"'").unwrap(),
        git(None),
        git(Some("a-token")),
    ];
    let mut noise = vec![0; 2 * 1024 * 1024];
    getrandom::fill(&mut noise).unwrap();
    for request in &requests {
        yard.manager.check(request).await.unwrap();
    }
    yard.file("noise", &noise);
    requests.push(small);
    for request in requests {
        let request = request.builder(Builder::BuildKit);
        yard.manager.check(&request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heredoc_is_refused_before_anything_is_sent() {
    let mut world = World::sqlite().await;
    world.set("IMAGE_REGISTRY", "registry.example/team");
    let yard = Yard::set_up(world).await;
    yard.dockerfile("RUN <<'EOF'\ntrue\nEOF");
    let ears = Ears::new();
    let error = yard
        .manager
        .with_events(ears.clone())
        .build(yard.request())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput, "{error:?}");
    assert!(error.to_string().contains("heredoc in line 2"), "{error}");
    assert_eq!(ears.id(), None);
    let buildkit = yard.request().builder(Builder::BuildKit);
    yard.manager.check(&buildkit).await.unwrap();
}
