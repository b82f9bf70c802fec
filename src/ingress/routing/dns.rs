//! Where a host name leads, and where it should.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{
    balancer::Balancer,
    report::{RoutingStep, Rung},
};
use crate::domain::HostName;

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

/// Whether the host name leads to the load balancer; `domain` is the one below which each project has
/// its name.
pub(super) fn dns(
    host: &HostName,
    domain: Option<&HostName>,
    balancer: &Balancer,
    host_leads: &Looked,
    balancer_leads: &Looked,
) -> RoutingStep {
    let step = Rung::Dns;
    let record = format!(
        "make {} for {host}{}",
        balancer.record(),
        wildcard(host, domain)
    );
    let theirs = match balancer_leads {
        Ok(addresses) => addresses,
        Err(problem) => {
            let point = balancer.points.join(", ");
            let seen = format!("the load balancer's own name {point} leads nowhere: {problem}");
            let remedy = "a new load balancer's name takes some minutes to be known: ask again";
            return RoutingStep::fail(step, seen, remedy);
        }
    };
    match host_leads {
        Err(problem) => RoutingStep::fail(step, format!("{host} leads nowhere: {problem}"), record),
        Ok(ours) if ours.is_disjoint(theirs) => {
            let seen = format!(
                "{host} leads to {}, the load balancer is {}",
                listed(ours),
                listed(theirs)
            );
            RoutingStep::fail(step, seen, record)
        }
        Ok(ours) if host.is_localhost() => {
            let seen = format!(
                "{host} is {}, as all names below .localhost are",
                listed(ours)
            );
            RoutingStep::ok(step, seen)
        }
        Ok(ours) => {
            let seen = format!(
                "{host} leads to {}, which is the load balancer",
                listed(ours)
            );
            RoutingStep::ok(step, seen)
        }
    }
}

fn wildcard(host: &HostName, domain: Option<&HostName>) -> String {
    match domain {
        Some(domain) if host.as_str().ends_with(&format!(".{domain}")) => {
            format!(", or one for *.{domain}, once for all projects")
        }
        _ => String::new(),
    }
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let words: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer() -> Balancer {
        Balancer {
            points: vec!["k8s-alb-1.eu-west-1.elb.amazonaws.com".to_owned()],
            http: Some(80),
            https: Some(443),
            internal: false,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what a look-up gives")]
    fn leads(addresses: &[&str]) -> Looked {
        Ok(addresses.iter().map(|it| it.parse().unwrap()).collect())
    }

    fn step(host: &str, host_leads: &Looked, balancer_leads: &Looked) -> String {
        let domain = "deploy.example.com".parse().unwrap();
        let host = host.parse().unwrap();
        let step = dns(
            &host,
            Some(&domain),
            &balancer(),
            host_leads,
            balancer_leads,
        );
        format!("{step} -> {}", step.remedy.as_deref().unwrap_or("-"))
    }

    #[test]
    fn a_name_without_record_is_told_which_to_make() {
        let nowhere = Err("no such host".to_owned());
        insta::assert_snapshot!(step("shop.deploy.example.com", &nowhere, &leads(&["5.6.7.8"])), @"FAIL  dns: shop.deploy.example.com leads nowhere: no such host -> make a CNAME (in Route 53 an ALIAS) to k8s-alb-1.eu-west-1.elb.amazonaws.com for shop.deploy.example.com, or one for *.deploy.example.com, once for all projects");
        insta::assert_snapshot!(step("www.shop.example", &nowhere, &leads(&["5.6.7.8"])), @"FAIL  dns: www.shop.example leads nowhere: no such host -> make a CNAME (in Route 53 an ALIAS) to k8s-alb-1.eu-west-1.elb.amazonaws.com for www.shop.example");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_told_so() {
        insta::assert_snapshot!(step("www.shop.example", &leads(&["1.2.3.4"]), &leads(&["5.6.7.8"])), @"FAIL  dns: www.shop.example leads to 1.2.3.4, the load balancer is 5.6.7.8 -> make a CNAME (in Route 53 an ALIAS) to k8s-alb-1.eu-west-1.elb.amazonaws.com for www.shop.example");
    }

    #[test]
    fn one_common_address_is_enough() {
        let two = leads(&["5.6.7.8", "5.6.7.9"]);
        insta::assert_snapshot!(step("www.shop.example", &leads(&["5.6.7.8"]), &two), @"ok    dns: www.shop.example leads to 5.6.7.8, which is the load balancer -> -");
    }

    #[test]
    fn a_load_balancer_without_address_is_young() {
        let nowhere = Err("no such host".to_owned());
        insta::assert_snapshot!(step("www.shop.example", &leads(&["5.6.7.8"]), &nowhere), @"FAIL  dns: the load balancer's own name k8s-alb-1.eu-west-1.elb.amazonaws.com leads nowhere: no such host -> a new load balancer's name takes some minutes to be known: ask again");
    }

    #[test]
    fn an_address_in_place_of_a_name_asks_for_another_record() {
        let balancer = Balancer {
            points: vec!["10.0.0.1".to_owned()],
            ..balancer()
        };
        assert_eq!(balancer.record(), "an A record to 10.0.0.1");
    }

    #[tokio::test]
    async fn names_below_localhost_and_addresses_are_never_asked_for() {
        let names = ["a.b.localhost".to_owned(), "10.0.0.1".to_owned()];
        let found = look_up(&names, Duration::ZERO).await.unwrap();
        assert_eq!(Ok(found), leads(&["127.0.0.1", "10.0.0.1"]));
    }
}
