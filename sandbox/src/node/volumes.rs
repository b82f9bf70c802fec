//! A pod's volumes, as directories on the host.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::env::data;
use super::json::{integer, is_true, items, name, namespace, strings, text};
use berth_objects::store::Store;

/// One volume, ready to be mounted.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    source: PathBuf,
    /// `ConfigMaps` and the like can't be written to, whatever the mount says.
    read_only: bool,
}

/// One mount of a container.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    /// Where it appears in the container.
    pub(crate) at: PathBuf,
    /// What appears there.
    pub(crate) source: PathBuf,
    pub(crate) read_only: bool,
}

/// Where volumes are kept.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The pod's own folder, which goes with the pod.
    pub(crate) pod: PathBuf,
    /// The node's folder, where claims and host paths outlive pods.
    pub(crate) node: PathBuf,
}

/// Makes every volume of the pod, or says which could not be set up and why, as the kubelet does.
pub(crate) fn prepare(
    store: &Store,
    pod: &Value,
    places: &Places,
) -> Result<HashMap<String, Volume>, String> {
    items(pod, "/spec/volumes")
        .iter()
        .map(|volume| {
            let volume_name = name_of(volume);
            let made = make(store, pod, volume, places).map_err(|reason| {
                format!("MountVolume.SetUp failed for volume \"{volume_name}\" : {reason}")
            })?;
            Ok((volume_name.to_owned(), made))
        })
        .collect()
}

/// The mounts of a container, outer ones first.
pub(crate) fn mounts(
    container: &Value,
    volumes: &HashMap<String, Volume>,
) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for mount in items(container, "/volumeMounts") {
        let Some(volume) = volumes.get(name_of(mount)) else {
            continue;
        };
        let mut source = volume.source.clone();
        let sub_path = text(mount, "/subPath");
        if !sub_path.is_empty() {
            source.push(sub_path);
            if !source.exists() {
                fs::create_dir_all(&source).map_err(|error| error.to_string())?;
            }
        }
        mounts.push(Mount {
            at: PathBuf::from(text(mount, "/mountPath")),
            source,
            read_only: volume.read_only || is_true(mount, "/readOnly"),
        });
    }
    mounts.sort_by_key(|mount| mount.at.components().count());
    Ok(mounts)
}

fn name_of(part: &Value) -> &str {
    text(part, "/name")
}

fn make(store: &Store, pod: &Value, volume: &Value, places: &Places) -> Result<Volume, String> {
    let own = places.pod.join("volumes").join(name_of(volume));
    let has = |kind: &str| volume.get(kind).is_some();
    if has("persistentVolumeClaim") {
        let claim = text(volume, "/persistentVolumeClaim/claimName");
        let source = places
            .node
            .join("claims")
            .join(format!("{}_{claim}", namespace(pod)));
        return directory(source, is_true(volume, "/persistentVolumeClaim/readOnly"));
    }
    if has("hostPath") {
        // The node's own file system is a scratch directory, never the developer's machine.
        let path = Path::new(text(volume, "/hostPath/path"));
        let source = places
            .node
            .join("host")
            .join(path.strip_prefix("/").unwrap_or(path));
        return directory(source, false);
    }
    let projection = Projection {
        store,
        pod,
        dir: own.clone(),
    };
    let mode = |kind: &str| integer(volume, &format!("/{kind}/defaultMode")).unwrap_or(0o644);
    if let Some(source) = volume.get("configMap") {
        projection.keys(source, "/name", false, mode("configMap"))?;
    } else if let Some(source) = volume.get("secret") {
        projection.keys(source, "/secretName", true, mode("secret"))?;
    } else if let Some(source) = volume.get("downwardAPI") {
        projection.downward(source)?;
    } else if has("projected") {
        for source in items(volume, "/projected/sources") {
            projection.source(source, mode("projected"))?;
        }
    } else {
        let empty = directory(own, false)?;
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&empty.source, open).map_err(|error| error.to_string())?;
        return Ok(empty);
    }
    directory(own, true)
}

fn directory(source: PathBuf, read_only: bool) -> Result<Volume, String> {
    fs::create_dir_all(&source).map_err(|error| error.to_string())?;
    Ok(Volume { source, read_only })
}

/// Writes objects' contents as files.
struct Projection<'a> {
    store: &'a Store,
    pod: &'a Value,
    dir: PathBuf,
}

impl Projection<'_> {
    fn source(&self, source: &Value, mode: i64) -> Result<(), String> {
        if let Some(map) = source.get("configMap") {
            return self.keys(map, "/name", false, mode);
        }
        if let Some(secret) = source.get("secret") {
            return self.keys(secret, "/name", true, mode);
        }
        if let Some(downward) = source.get("downwardAPI") {
            return self.downward(downward);
        }
        if let Some(token) = source.get("serviceAccountToken") {
            // No account may do anything here; a program only finds that the file exists.
            let account = text(self.pod, "/spec/serviceAccountName");
            let line = format!("sandbox-token-of-{}-{account}", namespace(self.pod));
            return self.write(text(token, "/path"), line.as_bytes(), mode);
        }
        Ok(())
    }

    fn keys(&self, source: &Value, name_at: &str, secret: bool, mode: i64) -> Result<(), String> {
        let object = text(source, name_at);
        let entries = match data(self.store, namespace(self.pod), object, secret) {
            Ok(entries) => entries,
            // Every namespace has the first in time; the second is only on one vendor's clusters.
            Err(_) if is_true(source, "/optional") || WELL_KNOWN.contains(&object) => return Ok(()),
            Err(missing) => return Err(missing),
        };
        let chosen = items(source, "/items");
        if chosen.is_empty() {
            return entries
                .iter()
                .try_for_each(|(key, value)| self.write(key, value, mode));
        }
        for item in chosen {
            let key = text(item, "/key");
            let Some(value) = entries.get(key) else {
                if is_true(source, "/optional") || WELL_KNOWN.contains(&object) {
                    continue;
                }
                return Err(format!("references non-existent config key: {key}"));
            };
            self.write(
                text(item, "/path"),
                value,
                integer(item, "/mode").unwrap_or(mode),
            )?;
        }
        Ok(())
    }

    fn downward(&self, source: &Value) -> Result<(), String> {
        for item in items(source, "/items") {
            let value = match text(item, "/fieldRef/fieldPath") {
                "metadata.name" => name(self.pod).to_owned(),
                "metadata.namespace" => namespace(self.pod).to_owned(),
                "metadata.uid" => text(self.pod, "/metadata/uid").to_owned(),
                path => {
                    let pointer = format!("/{}", path.replace('.', "/"));
                    strings(self.pod, &pointer).fold(String::new(), |all, (key, value)| {
                        format!("{all}{key}={value:?}\n")
                    })
                }
            };
            self.write(text(item, "/path"), value.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8], mode: i64) -> Result<(), String> {
        let file = self.dir.join(path);
        let write = || -> std::io::Result<()> {
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            let _ = fs::remove_file(&file);
            fs::write(&file, bytes)?;
            fs::set_permissions(
                &file,
                fs::Permissions::from_mode(u32::try_from(mode).unwrap_or(0o644)),
            )
        };
        write().map_err(|error| error.to_string())
    }
}

const WELL_KNOWN: [&str; 2] = ["kube-root-ca.crt", "openshift-service-ca.crt"];
