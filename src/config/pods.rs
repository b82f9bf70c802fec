//! What a pod gets that its request does not say.

use super::{reader::Reader, variables};
use crate::domain::{Image, Port, Resources};

/// The image, ports and resources of a pod whose request leaves them open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDefaults {
    /// The image.
    pub image: Image,
    /// The ports.
    pub ports: Vec<Port>,
    /// The resources.
    pub resources: Resources,
}

impl PodDefaults {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let image = reader.parsed(&variables::BERTH_IMAGE);
        let ports = ports(reader);
        let cpu_limit = reader.parsed(&variables::BERTH_CPU_LIMIT);
        let memory_limit = reader.parsed(&variables::BERTH_MEMORY_LIMIT);
        let cpu_request = reader.parsed(&variables::BERTH_CPU_REQUEST);
        let memory_request = reader.parsed(&variables::BERTH_MEMORY_REQUEST);
        let resources = Resources::new(cpu_limit?, memory_limit?, cpu_request?, memory_request?);
        match resources {
            Ok(resources) => Some(Self {
                image: image?,
                ports: ports?,
                resources,
            }),
            Err(refused) => {
                let variable = match refused.field() {
                    "cpu request" => variables::BERTH_CPU_REQUEST,
                    "memory request" => variables::BERTH_MEMORY_REQUEST,
                    _ => variables::BERTH_CPU_LIMIT,
                };
                reader.push(refused.named(variable.name));
                None
            }
        }
    }
}

fn ports(reader: &mut Reader<'_>) -> Option<Vec<Port>> {
    let text = reader.text(&variables::BERTH_PORTS)?;
    if text.trim() == "none" {
        return Some(Vec::new());
    }
    let mut ports = Vec::new();
    for part in text.split(',') {
        match part.trim().parse::<Port>() {
            Ok(port) if ports.contains(&port) => {}
            Ok(port) => ports.push(port),
            Err(refused) => {
                reader.refuse(
                    &variables::BERTH_PORTS,
                    part,
                    "is not a TCP port",
                    format!("{}, with commas between them, or none", refused.remedy()),
                );
                return None;
            }
        }
    }
    Some(ports)
}
