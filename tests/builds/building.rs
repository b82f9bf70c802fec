//! From a folder to a digest, and what can go wrong on the way.

use std::time::{Duration, Instant};

use berth::{
    builds::BuildStep,
    domain::{BuildCause, BuildStatus},
};

use crate::{
    support::{bench::World, on_both_databases},
    yard::{Ears, Yard, manifest_of},
};

on_both_databases! {
    async fn a_folder_becomes_an_image_whose_digest_is_the_registrys(world: World) {
        let yard = Yard::on(world).await;
        yard.dockerfile("COPY hello /hello\nRUN cat /hello && echo ran > /ran\nCMD [\"/bin/cat\", \"/ran\"]");
        yard.file("hello", "good morning\n");
        let ears = Ears::default();
        let request = yard.request();
        let built = yard.manager.build(request, &ears).await.unwrap();

        assert_eq!(built.record.status, BuildStatus::Succeeded);
        assert_eq!(built.record.digest.as_ref(), Some(&built.digest));
        assert_eq!(built.image.digest(), Some(built.digest.as_str()));
        let hash = built.record.context_hash.clone().unwrap();
        let tag = built.record.image.tag().unwrap();
        assert!(hash.starts_with(tag), "{tag} {hash}");
        let registry = built.record.image.registry().unwrap();
        let (status, digest) = manifest_of(registry, built.record.image.repository(), tag);
        assert_eq!((status, digest.as_deref()), (200, Some(built.digest.as_str())));

        let lines = ears.lines();
        assert!(lines.iter().any(|line| line == "good morning"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
        let steps = ears.steps();
        assert!(steps.contains(&BuildStep::Seen("building".to_owned())), "{steps:?}");
        assert_eq!(built.cache.hits, 0);
        assert!(built.cache.misses > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_dockerfile_is_told_with_its_line() {
    let yard = Yard::sqlite().await;
    yard.dockerfile("COPYY a b");
    let begun = Instant::now();
    let failure = yard.failure(yard.request()).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(failure.cause, BuildCause::Dockerfile);
    assert!(failure.message.contains("line 2"), "{failure}");
    assert_eq!(failure.exit_code, Some(1));
}
