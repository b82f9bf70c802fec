//! A context that no `ConfigMap` holds streams into the pod.

use berth::{Step, domain::BuildCause};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    support::bench::{World, skipped_on_a_cluster, until},
    yard::{Ears, Yard},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_large_context_arrives_whole() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let mut noise = vec![0; 3 * 1024 * 1024];
    getrandom::fill(&mut noise).unwrap();
    let hash: [u8; 32] = Sha256::digest(&noise).into();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    yard.dockerfile("COPY noise /noise\nRUN sha256sum /noise");
    yard.file("noise", &noise);
    let ears = Ears::new();
    let built = yard
        .manager
        .with_events(ears.clone())
        .build(yard.request())
        .await;
    let built = built.unwrap_or_else(|error| panic!("{error:?} {:?}", ears.lines()));
    let lines = ears.lines();
    assert!(
        lines.iter().any(|line| line.starts_with(&hash)),
        "{lines:?}"
    );
    assert!(built.record.context_hash.is_some());
    let steps = ears.steps();
    let total = steps
        .iter()
        .find_map(|step| match step {
            Step::Uploading { total, .. } => Some(*total),
            _ => None,
        })
        .unwrap();
    assert!(total > 3 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_fails_the_build_aloud() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let Some(yard) = Yard::on(World::with_sandbox(&[]).await).await else {
        return;
    };
    let mut noise = vec![0; 24 * 1024 * 1024];
    getrandom::fill(&mut noise).unwrap();
    yard.dockerfile("COPY noise /noise");
    yard.file("noise", &noise);
    let ears = Ears::new();
    let (manager, request, heard) = (yard.manager.clone(), yard.request(), ears.clone());
    let task = tokio::spawn(async move {
        manager
            .with_events(heard.clone())
            .build(request)
            .await
            .map(|_| ())
    });
    let is_underway =
        |step: &Step| matches!(step, Step::Uploading { sent, total } if sent > &0 && sent < total);
    until("the step", || {
        ears.steps().iter().any(is_underway) || task.is_finished()
    })
    .await;
    let bench = &yard.world.bench;
    bench.control("POST", "/link", &json!("cut"));
    let error = task.await.unwrap().unwrap_err();
    let failure = error.build_failure().unwrap();
    assert_eq!(failure.cause, BuildCause::ContextLost, "{failure:?}");
}
