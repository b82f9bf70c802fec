//! Where a host name leads, and where it should.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    super::resolved::Looked,
    balancer::Balancer,
    report::{RoutingStep, Rung},
};
use crate::domain::HostName;

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
}
