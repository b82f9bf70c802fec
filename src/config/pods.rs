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
        let resources = reader.resources([
            &variables::BERTH_CPU_LIMIT,
            &variables::BERTH_MEMORY_LIMIT,
            &variables::BERTH_CPU_REQUEST,
            &variables::BERTH_MEMORY_REQUEST,
        ]);
        Some(Self {
            image: image?,
            ports: ports?,
            resources: resources?,
        })
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
