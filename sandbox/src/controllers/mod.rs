//! The control loops: what keeps deployments, replica sets, jobs, claims and the endpoints of
//! services as their objects say.
//!
//! Each loop looks at everything it is responsible for whenever anything of that has changed. That
//! is slow with thousands of objects, of which a sandbox has dozens.

mod claim;
mod deployment;
mod deployment_status;
mod endpoints;
mod job;
mod job_status;
mod node;
mod owned;
mod replicaset;
mod rollout;
mod template;

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use berth_objects::resources::Kind;
use berth_objects::store::Store;

/// Something that brings the world closer to what objects say.
pub(crate) trait Loop: Send + 'static {
    /// The kinds whose changes are reasons to look.
    const KINDS: &'static [Kind];

    /// Looks at everything once; answers when to look again at the latest.
    fn look(&mut self) -> Option<Instant>;
}

/// Starts all loops; claims get their directories in `dir`.
pub(crate) fn start(store: &Store, dir: &Path) {
    node::register(store);
    spawn(store, replicaset::ReplicaSets::new(store));
    spawn(store, deployment::Deployments::new(store));
    spawn(store, endpoints::Endpoints::new(store));
    spawn(store, job::Jobs::new(store));
    spawn(store, claim::Claims::new(store, dir));
    tokio::spawn(node::beat(store.clone()));
}

/// Starts a loop.
pub(crate) fn spawn<L: Loop>(store: &Store, mut controller: L) {
    let mut changes = store.watch_all();
    tokio::spawn(async move {
        loop {
            let again = controller.look();
            let again = again.unwrap_or_else(|| Instant::now() + Duration::from_secs(30));
            let relevant = async {
                loop {
                    match changes.next().await {
                        Ok(change) if !L::KINDS.contains(&change.resource) => {}
                        _ => return,
                    }
                }
            };
            tokio::select! {
                () = relevant => {}
                () = tokio::time::sleep_until(again) => {}
            }
            // Changes come in bursts; one look is enough for all of them.
            while matches!(changes.try_next(), Ok(Some(_)) | Err(_)) {}
        }
    });
}
