//! The repository in the registry, where a registry wants it to be made first.

use super::BuildManager;
use crate::{
    cluster::{ClusterError, EcrOutcome},
    domain::{EcrRegistry, Image, Step},
    engine::Events,
    error::Error,
};

impl BuildManager {
    /// Makes sure that a repository in Amazon ECR exists. Other registries make theirs by themselves.
    /// Of a host whose `aws` can't tell is warned: the push will.
    pub(super) async fn ensure_repository(
        &self,
        image: &Image,
        cache: Option<&Image>,
        events: &Events,
    ) -> Result<(), Error> {
        for image in [Some(image), cache].into_iter().flatten() {
            let registry = image.registry().and_then(EcrRegistry::of_host);
            let Some(registry) = registry else { continue };
            events.step(Step::EnsuringRepository);
            let host = self.site().host();
            let asked = host.ensure_ecr_repository(&registry, image.repository());
            // The builder has credentials of its own: the host's need not do.
            let why = match asked.await {
                Ok(EcrOutcome::Existed | EcrOutcome::Created) => continue,
                Ok(EcrOutcome::NoAws) => "the host has no aws".to_owned(),
                Err(error @ ClusterError::Aws { .. }) => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            events.warn(format!(
                "could not check that repository {} exists; the push fails if it does not: {why}",
                image.repository()
            ));
        }
        Ok(())
    }
}
