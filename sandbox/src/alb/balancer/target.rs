//! Targets: who they are, and how they are reached.

use std::fmt;
use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::super::model::{TargetGroup, TargetKind};
use crate::node::Node;
use crate::node::json::{integer, is_true, items, strings, text};
use crate::node::stream::PodStream;
use berth_objects::resources::ENDPOINTSLICES;
use berth_objects::store::Store;

/// Something that requests are sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::alb) enum Target {
    /// A port of a pod.
    Pod {
        namespace: String,
        pod: String,
        ip: String,
        port: u16,
    },
    /// A port of the node.
    Node { port: u16 },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { ip, port, .. } => write!(f, "{ip}:{port}"),
            Self::Node { port } => write!(f, "127.0.0.1:{port}"),
        }
    }
}

/// A connection to a target.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Target {
    /// Connects to the target, at another port if one is given.
    pub(super) async fn connect(
        &self,
        node: &Node,
        other: Option<u16>,
    ) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Pod {
                namespace,
                pod,
                ip,
                port,
            } => {
                let stream = PodStream::open(node, (namespace, pod), ip, other.unwrap_or(*port))?;
                Ok(Box::new(stream))
            }
            Self::Node { port } => {
                let address = ("127.0.0.1", other.unwrap_or(*port));
                Ok(Box::new(TcpStream::connect(address).await?))
            }
        }
    }
}

/// The targets of a group: the service's ready endpoints, or the node.
pub(in crate::alb) fn registered(store: &Store, group: &TargetGroup) -> Vec<Target> {
    let port_name = match &group.kind {
        TargetKind::Instance { node_port } => return vec![Target::Node { port: *node_port }],
        TargetKind::Ip { port_name } => port_name,
    };
    let slices = store.list(&ENDPOINTSLICES, Some(&group.namespace));
    slices
        .iter()
        .filter(|slice| {
            strings(slice, "/metadata/labels").any(|(key, value)| {
                key == "kubernetes.io/service-name" && value == group.service.as_str()
            })
        })
        .filter_map(|slice| {
            let port = items(slice, "/ports")
                .iter()
                .find(|port| text(port, "/name") == port_name.as_str())?;
            let port = u16::try_from(integer(port, "/port")?).ok()?;
            Some((slice, port))
        })
        .flat_map(|(slice, port)| {
            let ready = items(slice, "/endpoints").iter();
            ready
                .filter(|endpoint| is_true(endpoint, "/conditions/ready"))
                .filter_map(move |endpoint| pod(endpoint, &group.namespace, port))
        })
        .collect()
}

/// An endpoint that is no pod can't be reached from here.
fn pod(endpoint: &Value, namespace: &str, port: u16) -> Option<Target> {
    let ip = items(endpoint, "/addresses").first()?.as_str()?;
    if text(endpoint, "/targetRef/kind") != "Pod" {
        return None;
    }
    Some(Target::Pod {
        namespace: namespace.to_owned(),
        pod: text(endpoint, "/targetRef/name").to_owned(),
        ip: ip.to_owned(),
        port,
    })
}
