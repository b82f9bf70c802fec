//! Host names and addresses in settings, and what their users wrote in place of one.

use std::net::{IpAddr, Ipv6Addr};

use super::{reader::Reader, variables::Variable};

/// What else a setting of a host tells its user.
pub(super) struct Rules {
    /// What the setting is for, as a remedy.
    pub(super) remedy: &'static str,
    /// Where a user name belongs.
    pub(super) user: &'static str,
    /// Where a port belongs.
    pub(super) port: &'static str,
    /// Whether an IPv6 address may have a zone, as in `fe80::1%eth0`.
    pub(super) zone: bool,
}

/// Reads a host name or an IP address; IPv6 may be in brackets, and is returned without them.
pub(super) fn read(reader: &mut Reader<'_>, variable: &Variable, rules: &Rules) -> Option<String> {
    let text = reader.text(variable)?;
    let host = text.trim();
    let is_usable = |host: &str| is_name(host) || is_address(host, rules.zone);
    let bare = without_brackets(host);
    if is_usable(bare) {
        return Some(bare.to_owned());
    }
    let remedy = remedy(host, rules, &is_usable);
    let problem = "is neither a host name nor an address";
    reader.refuse(variable, host, problem, remedy);
    None
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= 253 && !name.starts_with('-') && name.split('.').all(label)
}

fn is_address(host: &str, with_zone: bool) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "1"));
    let zone_fits = address.len() == host.len() || (with_zone && !zone.is_empty());
    let is_zone = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !zone_fits || !zone.bytes().all(is_zone) {
        return false;
    }
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => address.len() == host.len(),
        Ok(IpAddr::V6(address)) => !is_with_port(address),
        Err(_) => false,
    }
}

/// Whether an address is `::1` or such with a port behind it: `::1:2222` is an address as well, of
/// a range that is not in use (RFC 4291, 2.5.5.1).
fn is_with_port(address: Ipv6Addr) -> bool {
    let [0, 0, 0, 0, 0, 0, high, low] = address.segments() else {
        return false;
    };
    high != 0 || low > 1
}

fn remedy(host: &str, rules: &Rules, is_usable: &dyn Fn(&str) -> bool) -> String {
    if let Some((scheme, rest)) = host.split_once("://") {
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let rest = rest.rsplit('@').next().unwrap_or_default();
        let name = without_brackets(without_port(rest));
        return if is_usable(name) {
            format!("leave {scheme}:// out, as in {name}")
        } else {
            format!("leave {scheme}:// out")
        };
    }
    if host.contains('@') {
        return rules.user.to_owned();
    }
    if !host.is_ascii() {
        let ascii = idna::domain_to_ascii(host).ok();
        if let Some(ascii) = ascii.filter(|name| is_usable(name)) {
            return format!("write it as {ascii}");
        }
    }
    let name = without_port(host);
    if host.contains(':') && name != host {
        return rules.port.to_owned();
    }
    if host.contains('/') {
        return "leave the path out".to_owned();
    }
    rules.remedy.to_owned()
}

/// The text before the last colon, when a number is behind it.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}
