//! What a container is to be: its image's configuration, the pod's words over that, and what both
//! refer to.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::container::Plan;
use super::env;
use super::images::Image;
use super::json::{items, name, namespace, text, uid};
use super::pod::Worker;
use super::user::Wanted;
use super::volumes;

/// Why no container can be made, as the kubelet tells it.
#[derive(Debug)]
pub(super) struct Unplanned {
    /// `reason` of the waiting state.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl From<String> for Unplanned {
    fn from(message: String) -> Self {
        Self {
            reason: "CreateContainerConfigError",
            message,
        }
    }
}

/// What the runtime refuses after the kubelet has found nothing wrong.
fn refused(message: String) -> Unplanned {
    Unplanned {
        reason: "CreateContainerError",
        message,
    }
}

impl Worker {
    /// Puts together what will run, or says what is missing for it.
    pub(super) fn plan(&self, index: usize) -> Result<(Arc<Image>, Plan), Unplanned> {
        let slot = self.slots.get(index);
        let slot = slot.ok_or_else(|| "no such container".to_owned())?;
        let image = slot.image.clone();
        let image = image.ok_or_else(|| "the image is gone".to_owned())?;
        let own_env = env::build(env::Context {
            store: &self.node.store,
            pod: &self.pod,
            container: &slot.spec,
            pod_ip: &self.ip,
        })?;
        let security = security(&self.pod, &slot.spec);
        let number = |key: &str| security.get(key).and_then(Value::as_u64);
        let wanted = Wanted {
            image: &image.config.user,
            run_as_user: number("runAsUser"),
            run_as_group: number("runAsGroup"),
        };
        let not_root = security.get("runAsNonRoot") == Some(&Value::Bool(true));
        if let Some(why) = wanted.breaks_non_root().filter(|_| not_root) {
            let (pod, ns, id) = (name(&self.pod), namespace(&self.pod), uid(&self.pod));
            let container = &slot.name;
            return Err(
                format!("{why} (pod: \"{pod}_{ns}({id})\", container: {container})").into(),
            );
        }
        let file = |path: &str| image.file(path).unwrap_or_default();
        let user = wanted
            .find(&file("/etc/passwd"), &file("/etc/group"))
            .map_err(|why| refused(format!("failed to create containerd container: {why}")))?;
        let words = |list: &str| -> Vec<String> {
            let all = items(&slot.spec, list).iter().filter_map(Value::as_str);
            all.map(|word| own_env.expand(word)).collect()
        };
        let argv = image.config.command_line(words("/command"), words("/args"));
        if argv.is_empty() {
            let id = super::start::random_hex();
            return Err(refused(format!(
                "failed to generate container \"{id}\" spec: failed to generate spec: no command specified"
            )));
        }
        let mut mounts = image.mounts().map_err(refused)?;
        mounts.extend(volumes::mounts(&slot.spec, &self.volumes)?);
        let folder = self.places.pod.join(&slot.name).join(slot.runs.to_string());
        let or = |own: &str, other: &str| if own.is_empty() { other } else { own }.to_owned();
        let cwd = or(text(&slot.spec, "/workingDir"), &image.config.working_dir);
        let plan = Plan {
            root: folder.join("root"),
            mounts,
            argv,
            env: own_env.over(&image.config.env, &self.hostname(), &user.home),
            cwd: or(&cwd, "/"),
            user,
            security,
            stand_in: image.stand_in(),
            message_file: folder.join("message"),
            message_path: or(
                text(&slot.spec, "/terminationMessagePath"),
                "/dev/termination-log",
            )
            .into(),
        };
        Ok((image, plan))
    }
}

/// The container's security context over the pod's.
fn security(pod: &Value, container: &Value) -> Value {
    let mut merged = Map::new();
    for source in [
        pod.pointer("/spec/securityContext"),
        container.get("securityContext"),
    ] {
        let fields = source.and_then(Value::as_object).into_iter().flatten();
        merged.extend(fields.map(|(key, value)| (key.clone(), value.clone())));
    }
    json!(merged)
}
