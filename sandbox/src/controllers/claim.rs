//! Claims for storage: bound at once, to a directory that lives as long as the claim.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Loop;
use crate::host::guard::remove_tree;
use crate::node::json::{is_deleting, name, namespace, text, uid};
use berth_objects::json::{as_map, child};
use berth_objects::resources::{Kind, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES};
use berth_objects::store::Store;

/// The controller.
pub(super) struct Claims {
    store: Store,
    dir: PathBuf,
    known: HashSet<(String, String, String)>,
}

impl Claims {
    pub(super) fn new(store: &Store, dir: &Path) -> Self {
        Self {
            store: store.as_manager("kube-controller-manager"),
            dir: dir.join("claims"),
            known: HashSet::new(),
        }
    }

    fn bind(&self, claim: &Value) {
        let volume = format!("pvc-{}", uid(claim));
        let size = claim
            .pointer("/spec/resources/requests")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let modes = claim
            .pointer("/spec/accessModes")
            .cloned()
            .unwrap_or_else(|| json!([]));
        let directory = self
            .dir
            .join(format!("{}_{}", namespace(claim), name(claim)));
        let _ = fs::create_dir_all(&directory);
        let _ = self.store.create(
            &PERSISTENTVOLUMES,
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": { "name": volume },
                "spec": {
                    "accessModes": modes,
                    "capacity": size,
                    "claimRef": {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "name": name(claim),
                        "namespace": namespace(claim),
                        "uid": uid(claim),
                    },
                    "hostPath": { "path": format!("/var/lib/sandbox/{volume}"), "type": "" },
                    "persistentVolumeReclaimPolicy": "Delete",
                    "storageClassName": text(claim, "/spec/storageClassName"),
                    "volumeMode": "Filesystem",
                },
            }),
        );
        let _ = self
            .store
            .update(&PERSISTENTVOLUMES, "", &volume, |volume| {
                as_map(volume).insert("status".to_owned(), json!({ "phase": "Bound" }));
            });
        let _ = self.store.update(
            &PERSISTENTVOLUMECLAIMS,
            namespace(claim),
            name(claim),
            |claim| {
                child(claim, "spec").insert("volumeName".to_owned(), volume.clone().into());
                let status = json!({ "accessModes": modes, "capacity": size, "phase": "Bound" });
                as_map(claim).insert("status".to_owned(), status);
            },
        );
    }

    /// The claim is gone, and what it held with it.
    fn reclaim(&self, (ns, claim, id): &(String, String, String)) {
        let _ = self
            .store
            .remove(&PERSISTENTVOLUMES, "", &format!("pvc-{id}"));
        remove_tree(&self.dir.join(format!("{ns}_{claim}")));
    }
}

impl Loop for Claims {
    const KINDS: &'static [Kind] = &[&PERSISTENTVOLUMECLAIMS];

    fn look(&mut self) -> Option<Instant> {
        let claims = self.store.list(&PERSISTENTVOLUMECLAIMS, None);
        for claim in claims.iter().filter(|claim| !is_deleting(claim)) {
            if text(claim, "/status/phase") != "Bound" {
                self.bind(claim);
            }
        }
        let present: HashSet<_> = claims
            .iter()
            .map(|claim| {
                (
                    namespace(claim).to_owned(),
                    name(claim).to_owned(),
                    uid(claim).to_owned(),
                )
            })
            .collect();
        for gone in self.known.difference(&present) {
            self.reclaim(gone);
        }
        self.known = present;
        None
    }
}
