//! A context that no `ConfigMap` holds streams into the pod.

use berth::builds::BuildStep;
use sha2::{Digest as _, Sha256};

use crate::yard::{Ears, Yard};

#[tokio::test(flavor = "multi_thread")]
async fn a_large_context_arrives_whole() {
    let yard = Yard::sqlite().await;
    let mut noise = vec![0; 3 * 1024 * 1024];
    getrandom::fill(&mut noise).unwrap();
    let hash: [u8; 32] = Sha256::digest(&noise).into();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    yard.dockerfile("COPY noise /noise\nRUN sha256sum /noise");
    yard.file("noise", &noise);
    let ears = Ears::default();
    let built = yard.manager.build(yard.request(), &ears).await;
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
            BuildStep::Uploading { sent, total } if sent == total => Some(*total),
            _ => None,
        })
        .unwrap();
    assert!(total > 3 * 1024 * 1024);
}
