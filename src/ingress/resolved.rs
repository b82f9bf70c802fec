//! The addresses behind a name, asked for from here.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use serde::Serialize;

use crate::domain::HostName;

/// How long a look-up may take that no caller bounds.
const LOOK_UP: Duration = Duration::from_secs(5);

/// The addresses of a name, or why there are none.
pub(super) type Looked = Result<BTreeSet<IpAddr>, String>;

/// Looks names up from here. Those below `.localhost` are loopback's, whatever a name server says
/// (RFC 6761, 6.3), and an address is its own.
pub(super) async fn look_up(names: &[String], at_most: Duration) -> Looked {
    let mut found = BTreeSet::new();
    for name in names {
        if let Ok(address) = name.parse::<IpAddr>() {
            found.insert(address);
        } else if name.parse::<HostName>().is_ok_and(|it| it.is_localhost()) {
            found.insert(Ipv4Addr::LOCALHOST.into());
        } else {
            let asked = tokio::net::lookup_host((name.as_str(), 0));
            match tokio::time::timeout(at_most, asked).await {
                Ok(Ok(addresses)) => found.extend(addresses.map(|it| it.ip())),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err(format!("no answer within {} s", at_most.as_secs())),
            }
        }
    }
    if found.is_empty() {
        return Err("it has no address".to_owned());
    }
    Ok(found)
}

/// A name of a load balancer and the addresses that it resolves to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The name, or the address where the load balancer has no name.
    pub name: String,
    /// Its addresses, as resolved on the machine that runs berth.
    pub addresses: Vec<IpAddr>,
    /// Why there are none.
    pub problem: Option<String>,
}

impl Resolved {
    /// Resolves these names, each within 5 s.
    pub(super) async fn all(names: &[String]) -> Vec<Self> {
        let each = names.iter().map(|name| async move {
            let looked = look_up(std::slice::from_ref(name), LOOK_UP).await;
            Self {
                name: name.clone(),
                problem: looked.as_ref().err().cloned(),
                addresses: looked.into_iter().flatten().collect(),
            }
        });
        futures::future::join_all(each).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_below_localhost_and_addresses_are_never_asked_for() {
        let names = ["a.b.localhost".to_owned(), "10.0.0.1".to_owned()];
        let found = look_up(&names, Duration::ZERO).await.unwrap();
        let addresses: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1", "127.0.0.1"]);
        let resolved = Resolved::all(&names).await;
        assert_eq!(resolved[0].addresses, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert_eq!(resolved[1].problem, None);
    }
}
