//! The change of a deployment to another release: a requested one, an earlier one, or the same with new pods.
//!
//! The steps are in `work`, `rollback` and `wait`; this file says which of them each kind of release takes.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use tokio::time::Instant;

use super::{
    DeployAction, DeployRequest, Deployed, DeploymentManager, failure, foreign,
    manager::existing,
    restart,
    revisions::{self, earlier, revision},
    scene::{Scene, spec_of},
    wait::Outcome,
    work::{Failed, Plan, Rendering, hidden},
};
use crate::{
    domain::{DeploymentName, DeploymentSpec, Image, Invalid, Operation, Owner, Workload},
    engine::{Change, LEASE_TTL, LeaseWait, Work},
    error::Error,
    registry::{Unresolved, UnresolvedKind},
    store::{Claim, Claimed, DeploymentRecord, Holder, NewDeployment, Store, StoreError},
};

/// A deployment that is to have another release.
pub(super) struct Rollout<'a> {
    pub(super) manager: &'a DeploymentManager,
    pub(super) owner: &'a Owner,
    pub(super) name: &'a DeploymentName,
    /// How long the rollout may take.
    pub(super) limit: Duration,
    /// What its record begins with.
    pub(super) new: NewDeployment,
    pub(super) to: Release<'a>,
}

/// Which release it is to have.
pub(super) enum Release<'a> {
    /// The one that is asked for.
    Requested(&'a DeployRequest),
    /// An earlier revision: this one, or the last that was well.
    Revision(Option<i64>),
    /// The one that it has, with new pods.
    Same,
}

impl Release<'_> {
    fn operation(&self) -> Operation {
        match self {
            Self::Requested(_) => Operation::Deploy,
            Self::Revision(_) => Operation::Rollback,
            Self::Same => Operation::Restart,
        }
    }
}

/// What there is, in the cluster and at the image's registry.
pub(super) struct Seen {
    pub(super) scene: Scene,
    requested: Option<Requested>,
}

/// A request with the digest of its image.
struct Requested {
    request: DeployRequest,
    /// What it is put on top of.
    base: DeploymentSpec,
    /// Why the digest is not known.
    unresolved: Option<Unresolved>,
}

#[async_trait]
impl Change for Rollout<'_> {
    type Record = Claimed<DeploymentRecord>;
    type Scene = Seen;
    type Plan = Plan;
    type End = Outcome;
    type Done = Deployed;

    fn operation(&self) -> Operation {
        self.to.operation()
    }

    fn workload(&self) -> Workload {
        Workload::deployment(self.owner, self.name)
    }

    fn time_limit(&self) -> Option<Duration> {
        let phases = match self.to {
            Release::Requested(request) if request.rollback_on_failure => 2,
            _ => 1,
        };
        Some(self.limit * phases)
    }

    fn lease_wait(&self) -> LeaseWait {
        match self.to {
            Release::Requested(request) if request.wait_for_turn => LeaseWait::for_turn(self.limit),
            Release::Same => LeaseWait::for_turn(self.limit),
            _ => LeaseWait::for_the_dead(self.limit),
        }
    }

    async fn claim(
        &self,
        store: &Store,
        holder: &Holder,
    ) -> Result<Claim<Self::Record>, StoreError> {
        store
            .claim_deployment(self.owner, self.name, &self.new, holder, LEASE_TTL)
            .await
    }

    async fn observe(&self, work: &Work<'_>) -> Result<Seen, Error> {
        let scene = self.observe_scene(work).await?;
        let requested = match self.to {
            Release::Requested(request) => {
                let base = self.base(request, &scene)?;
                let (request, unresolved) = self.pin(work, request, &base, &scene).await?;
                Some(Requested {
                    request,
                    base,
                    unresolved,
                })
            }
            Release::Revision(_) | Release::Same => None,
        };
        Ok(Seen { scene, requested })
    }

    fn plan(&self, _: &Self::Record, seen: &Seen) -> Result<Plan, Error> {
        let scene = &seen.scene;
        match (&seen.requested, &self.to) {
            (Some(it), _) => self.plan_request(&it.request, &it.base, scene, false),
            (None, Release::Revision(to)) => self.plan_of(scene, self.revision(scene, *to)?),
            (None, _) => self.plan_restart(scene),
        }
    }

    async fn apply(&self, work: &Work<'_>, seen: &Seen, plan: &mut Plan) -> Result<(), Error> {
        let scene = &seen.scene;
        match self.to {
            Release::Requested(_) => {
                let is_new_host = self.admit(work, scene, plan.exposure.as_ref()).await?;
                let manifests = self.manifests(plan)?;
                self.own(work, scene, foreign::DEPLOY, &manifests).await?;
                self.send(work, scene, plan).await?;
                match &plan.exposure {
                    Some(exposure) if is_new_host => self.confirm_host(work, exposure).await,
                    _ => Ok(()),
                }
            }
            Release::Revision(_) => self.send_back(work, plan, scene).await,
            Release::Same => {
                let manifests = &plan.release.manifests;
                self.own(work, scene, foreign::DEPLOY, manifests).await?;
                work.apply(manifests).await
            }
        }
    }

    async fn watch(&self, work: &Work<'_>, seen: &Seen, plan: &mut Plan) -> Result<Outcome, Error> {
        let (scene, deadline) = (&seen.scene, self.deadline(work));
        let outcome = self.wait(work, plan, scene, deadline).await?;
        // A closed network has images that were put onto its nodes.
        let Some(requested) = &seen.requested else {
            return Ok(outcome);
        };
        let is_unreachable = |it: &&Unresolved| it.kind == UnresolvedKind::Unreachable;
        let Some(unresolved) = requested.unresolved.as_ref().filter(is_unreachable) else {
            return Ok(outcome);
        };
        if !outcome.lacks_registry() {
            return Ok(outcome);
        }
        work.events().warn(format!(
            "the nodes can't reach the registry {} either: using the node's cached copy of {}, which \
             may be outdated",
            unresolved.registry, plan.spec.image
        ));
        *plan = self.plan_request(&requested.request, &requested.base, scene, true)?;
        self.send(work, scene, plan).await?;
        self.wait(work, plan, scene, deadline).await
    }

    async fn record(
        &self,
        work: &Work<'_>,
        claimed: &Self::Record,
        seen: &Seen,
        plan: &Plan,
        outcome: Outcome,
    ) -> Result<Deployed, Error> {
        match outcome {
            Outcome::Done { revision, replicas } => {
                self.save_done(work, plan, revision, replicas).await
            }
            Outcome::Failed {
                diagnosis, serving, ..
            } => {
                let failed = Failed {
                    diagnosis,
                    serving,
                    plan,
                };
                let record = &claimed.record;
                Err(self.give_up(work, &seen.scene, record, failed).await)
            }
            // What another process has rolled out is not rolled back.
            Outcome::Replaced { deleted } => Err(self.replaced(deleted)),
        }
    }

    async fn record_failure(&self, work: &Work<'_>, claimed: &Self::Record, error: &Error) {
        failure::record(work, error, claimed.existed).await;
    }

    fn result(deployed: &Deployed) -> Option<String> {
        Some(deployed.action.to_string())
    }
}

impl DeploymentManager {
    /// Gives a deployment that exists another release. `record` says what its record begins with: the image,
    /// and how many pods.
    pub(super) async fn change_existing(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        to: Release<'_>,
        record: impl FnOnce(&Scene, &Deployment) -> Result<(Image, u16), Error>,
    ) -> Result<Deployed, Error> {
        let this = self.on(self.site().steady(None));
        // Read before the lease is taken, so that no record is made of what does not exist.
        let found = this.look(owner).await;
        let found = found.and_then(|scene| record(&scene, existing(&scene, owner, name)?));
        let ssh = self.site().place().clone();
        let new = |(image, replicas): (Image, u16)| NewDeployment {
            image,
            host: None,
            replicas: replicas.into(),
            ssh,
        };
        match found.map(new) {
            Ok(new) => {
                let rollout = Rollout {
                    manager: &this,
                    owner,
                    name,
                    limit: self.settings().limits.rollout,
                    new,
                    to,
                };
                this.site().perform(&rollout).await
            }
            Err(error) => {
                let workload = Workload::deployment(owner, name);
                self.site().refuse(to.operation(), workload, error).await
            }
        }
    }
}

impl Rollout<'_> {
    /// When the limit is reached: all that the rollout waits for counts.
    pub(super) fn deadline(&self, work: &Work<'_>) -> Instant {
        work.begun() + self.limit
    }

    /// The revision that is meant.
    fn revision<'s>(&self, scene: &'s Scene, to: Option<i64>) -> Result<&'s ReplicaSet, Error> {
        let deployment = existing(scene, self.owner, self.name)?;
        let current = revisions::number(&deployment.metadata);
        let sets = scene.replica_sets(self.name);
        Ok(match to {
            Some(number) => revision(&sets, number, current)?,
            None => earlier(&sets, current).ok_or_else(|| {
                Invalid::new(
                    "revision",
                    "",
                    "before the current one is not there any more",
                    "deploy the image that is wanted",
                )
            })?,
        })
    }

    fn plan_restart(&self, scene: &Scene) -> Result<Plan, Error> {
        let deployment = existing(scene, self.owner, self.name)?;
        let before = spec_of(&deployment.metadata).ok_or(Error::SpecUnknown)?;
        let scale = foreign::Scale::of(deployment);
        let mut spec = before.clone();
        scale.keep(&mut spec, Some(&before));
        let exposure = self.manager.exposure(self.owner, &spec).unwrap_or_default();
        let how = Rendering {
            foreign_replicas: scale.is_foreign,
            use_node_copy: restart::uses_node_copy(deployment),
        };
        let release = self.render(&spec, exposure.as_ref(), scene, how)?;
        Ok(Plan {
            hidden: hidden(&spec, scene),
            exposure,
            spec,
            release,
            restored: None,
            action: DeployAction::Restarted,
            replicas: scale.live,
        })
    }
}
