//! The repository in the registry, where a registry wants it to be made first.

use super::{BuildManager, BuildProgress, BuildStep};
use crate::{
    cluster::EcrOutcome,
    domain::{EcrRegistry, Image},
    error::Error,
};

impl BuildManager {
    /// Makes sure that a repository in Amazon ECR exists. Other registries make theirs by themselves.
    /// A host without `aws` is warned of: the push will tell.
    pub(super) async fn ensure_repository(
        &self,
        image: &Image,
        cache: Option<&Image>,
        progress: &dyn BuildProgress,
    ) -> Result<(), Error> {
        for image in [Some(image), cache].into_iter().flatten() {
            let registry = image.registry().and_then(EcrRegistry::of_host);
            let Some(registry) = registry else { continue };
            progress.step(&BuildStep::EnsuringRepository);
            let cluster = self.cluster();
            let asked = cluster.ensure_ecr_repository(&registry, image.repository());
            if asked.await? == EcrOutcome::NoAws {
                progress.step(&BuildStep::Warning(format!(
                    "the host has no aws to look whether the repository {} exists; a push to a \
                     missing one fails",
                    image.repository()
                )));
                return Ok(());
            }
        }
        Ok(())
    }
}
