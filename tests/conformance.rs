//! The backend that runs kubectl over SSH does what every backend must do, on the sandbox or with
//! `BERTH_E2E=cluster` on a real cluster.

mod support;

use berth::cluster::conformance::conformance;

use support::bench::{World, image};

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_that_runs_kubectl_conforms() {
    let world = World::sqlite().await;
    let berth = world.client().await;
    conformance(berth.cluster(), &image(), &[]).await;
    berth.close().await;
}
