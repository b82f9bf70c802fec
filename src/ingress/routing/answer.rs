//! What an answer over HTTP means, and what the lack of one does.

use super::{
    balancer::Balancer,
    report::{RoutingStep, Rung},
};

/// How a question over HTTP ended, after the redirects that were followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// The URL of the last question.
    pub(super) url: String,
    /// Status and place of each redirect that was followed.
    pub(super) redirects: Vec<(u16, String)>,
    pub(super) end: End,
}

/// The end of a question over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// An answer that is no redirect.
    Answer {
        status: u16,
        /// The header `Server`; an ALB's own answers have `awselb/2.0`.
        server: Option<String>,
        /// The beginning of the body.
        body: String,
    },
    /// A redirect to another host, which was not followed.
    Elsewhere(u16, String),
    /// A redirect that leads to no place that can be asked.
    BadRedirect(u16, String),
    /// More redirects than anybody follows.
    Loop,
    /// The certificate is not good for the host.
    Certificate(Problem),
    /// No connection.
    NoConnection(String),
    /// No answer in time, in seconds.
    TimedOut(u64),
    /// Something else.
    Broken(String),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    Expired,
    NotYetValid,
    OtherName,
    UnknownIssuer,
    Other(String),
}

/// What the answer means for the way to it.
pub(super) fn answer(rung: Rung, balancer: &Balancer, heard: &Heard) -> RoutingStep {
    let hops: Vec<_> = heard
        .redirects
        .iter()
        .map(|(status, place)| format!("{status} to {place}, "))
        .collect();
    let url = &heard.url;
    let seen = |words: String| format!("{}{words}", hops.concat());
    match &heard.end {
        End::Answer {
            status,
            server,
            body,
        } => {
            let (mut words, advice) = (
                format!("{status} from {url}"),
                advice(*status, server.as_deref()),
            );
            if !body.is_empty() && advice.is_some() {
                words = format!("{words}: {body}");
            }
            match advice {
                None => RoutingStep::ok(rung, seen(words)),
                Some((true, remedy)) => RoutingStep::fail(rung, seen(words), remedy),
                Some((false, remedy)) => RoutingStep::warn(rung, seen(words), remedy),
            }
        }
        End::Elsewhere(status, place) => {
            let words = format!("{status} from {url} to another host, {place}; not followed");
            RoutingStep::ok(rung, seen(words))
        }
        End::BadRedirect(status, place) => {
            let words = format!("{status} from {url} to {place:?}, which can't be asked");
            RoutingStep::fail(rung, seen(words), "mend where the application redirects to")
        }
        End::Loop => {
            let remedy = "an application that redirects to https by itself must heed the header \
                          X-Forwarded-Proto";
            RoutingStep::fail(rung, seen("and so on without an end".to_owned()), remedy)
        }
        End::Certificate(problem) => {
            let words = format!("{url}: {}", certificate(problem));
            RoutingStep::fail(rung, seen(words), certificate_remedy(problem))
        }
        End::NoConnection(problem) => {
            let words = format!("{url}: no connection: {problem}");
            RoutingStep::fail(rung, seen(words), unreachable(balancer))
        }
        End::TimedOut(seconds) => {
            let words = format!("{url}: no answer within {seconds} s");
            RoutingStep::fail(rung, seen(words), unreachable(balancer))
        }
        End::Broken(problem) => {
            let remedy = "see whether the application speaks HTTP on the Service's target port";
            RoutingStep::fail(rung, seen(format!("{url}: {problem}")), remedy)
        }
    }
}

/// Whether a status means that the way is broken, and what to do. None: an answer as any other.
///
/// The load balancer's own are explained in
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>.
fn advice(status: u16, server: Option<&str>) -> Option<(bool, &'static str)> {
    let by_itself = server.is_some_and(|it| it.starts_with("awselb"));
    Some(match status {
        404 if by_itself => (
            true,
            "the load balancer has no rule for this host and path yet: ask again, then read the \
             controller's warnings in the status of the group",
        ),
        502 => (
            true,
            "the pod closed the connection or sent no HTTP: see its log, and that it listens on the \
             Service's target port",
        ),
        503 => (
            true,
            "no target is registered or healthy: see that the pods answer the health check's path \
             with 200",
        ),
        504 => (
            true,
            "the pod did not answer in time: see its log, and that the security groups let the load \
             balancer reach the pods",
        ),
        500.. => (
            false,
            "the route is good, the application fails: see its log",
        ),
        404 => (
            false,
            "the route is good; request a path that the application has",
        ),
        400.. => (
            false,
            "the route is good; the application refuses this request",
        ),
        _ => return None,
    })
}

fn certificate(problem: &Problem) -> String {
    let words = match problem {
        Problem::Expired => "the certificate has expired",
        Problem::NotYetValid => "the certificate is not valid yet",
        Problem::OtherName => "the certificate is for other names",
        Problem::UnknownIssuer => "the certificate's issuer is not trusted here",
        Problem::Other(words) => return format!("the certificate can't be used: {words}"),
    };
    words.to_owned()
}

fn certificate_remedy(problem: &Problem) -> &'static str {
    match problem {
        Problem::Expired | Problem::NotYetValid => {
            "renew it in ACM; also check the clock of this machine"
        }
        Problem::OtherName => {
            "name one that covers the host with ALB_CERTIFICATE_ARN (such as one for *.DOMAIN), or \
             make one in ACM for the controller to find"
        }
        Problem::UnknownIssuer | Problem::Other(_) => {
            "use a certificate of a public authority; or let SSL_CERT_FILE name your own authority's"
        }
    }
}

fn unreachable(balancer: &Balancer) -> &'static str {
    if balancer.internal {
        "the load balancer is internal: ask from within its network"
    } else {
        "see that its security group lets these ports in, and that nothing here keeps them from \
         getting out"
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
