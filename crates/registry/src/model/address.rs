//! Whether an address can be dialled.

use std::{borrow::Cow, net::Ipv6Addr};

use super::Node;

/// `address` as it may be shown: what stands before an `@`, where some write a password, is left out.
///
/// ```
/// use tower_micro_registry::without_user;
///
/// assert_eq!(without_user("10.0.0.7:8080"), "10.0.0.7:8080");
/// assert_eq!(without_user("admin:s3cret@10.0.0.7:8080"), "…@10.0.0.7:8080");
/// ```
pub fn without_user(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}").into(),
        None => address.into(),
    }
}

/// An address that cannot be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node:?} has the address {address:?}, which {flaw}")]
pub struct InvalidAddress {
    node: String,
    address: String,
    flaw: Flaw,
}

impl InvalidAddress {
    pub(super) fn new(node: &Node, flaw: Flaw) -> Self {
        Self {
            node: node.id.clone(),
            address: without_user(&node.address).into_owned(),
            flaw,
        }
    }

    /// The id of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The address as it was given, [without a user](without_user).
    pub fn address(&self) -> &str {
        &self.address
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("is empty; write host:port, as in 10.0.0.7:8080")]
    Empty,
    #[error("has no port; write host:port, as in 10.0.0.7:8080")]
    NoPort,
    #[error("has a port that is no number from 1 to 65535; write the port in digits, as in :8080")]
    BadPort,
    #[error("has no host; write host:port, as in 10.0.0.7:8080")]
    NoHost,
    #[error("has no brackets around its IPv6 host; write [host]:port, as in [::1]:8080")]
    NoBrackets,
    #[error(
        "has something in brackets that is no IPv6 address; write [host]:port, as in [::1]:8080"
    )]
    BadIpv6,
    #[error(
        "has a host with a character other than A-Z a-z 0-9 . _ -; write a name or an IP address only"
    )]
    BadHost,
}

pub(super) fn check(address: &str) -> Result<(), Flaw> {
    if address.is_empty() {
        return Err(Flaw::Empty);
    }
    match address.strip_prefix('[') {
        Some(rest) => check_bracketed(rest),
        None => check_plain(address),
    }
}

fn check_bracketed(rest: &str) -> Result<(), Flaw> {
    let (host, rest) = rest.split_once(']').ok_or(Flaw::BadIpv6)?;
    host.parse::<Ipv6Addr>().map_err(|_| Flaw::BadIpv6)?;
    check_port(rest.strip_prefix(':').ok_or(Flaw::NoPort)?)
}

fn check_plain(address: &str) -> Result<(), Flaw> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(if is_host(address) {
            Flaw::NoPort
        } else {
            Flaw::BadHost
        });
    };
    if host.contains(':')
        && address
            .parse::<Ipv6Addr>()
            .or_else(|_| host.parse())
            .is_ok()
    {
        return Err(Flaw::NoBrackets);
    }
    check_host(host)?;
    check_port(port)
}

fn check_host(host: &str) -> Result<(), Flaw> {
    match host {
        "" => Err(Flaw::NoHost),
        host if is_host(host) => Ok(()),
        _ => Err(Flaw::BadHost),
    }
}

// Stricter than a URI: `user@host` and `host/path` would make the dialled host another than the one that is seen.
fn is_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn check_port(port: &str) -> Result<(), Flaw> {
    if port.is_empty() {
        return Err(Flaw::NoPort);
    }
    // `u16::from_str` would take `+80` too.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err(Flaw::BadPort),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_ip_addresses_with_a_port_can_be_dialled() {
        let addresses = [
            "localhost:1",
            "10.0.0.7:65535",
            "[::1]:80",
            "[fe80::1]:8080",
            "a_b.c-d:5001",
        ];
        for address in addresses {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn each_flaw_has_its_own_words() {
        let cases = [
            ("", Flaw::Empty),
            ("10.0.0.7", Flaw::NoPort),
            ("10.0.0.7:", Flaw::NoPort),
            ("[::1]", Flaw::NoPort),
            ("[::1]8080", Flaw::NoPort),
            ("host:0", Flaw::BadPort),
            ("host:65536", Flaw::BadPort),
            ("host:+80", Flaw::BadPort),
            ("host:http", Flaw::BadPort),
            (":8080", Flaw::NoHost),
            ("::1", Flaw::NoBrackets),
            ("fe80::1:8080", Flaw::NoBrackets),
            ("[::1:8080", Flaw::BadIpv6),
            ("[10.0.0.7]:80", Flaw::BadIpv6),
            ("user@host:80", Flaw::BadHost),
            ("http://host:80", Flaw::BadHost),
            ("host/path", Flaw::BadHost),
            ("ho st:80", Flaw::BadHost),
            ("host:80\r\n", Flaw::BadPort),
        ];
        for (address, flaw) in cases {
            assert_eq!(check(address), Err(flaw), "{address:?}");
        }
    }

    #[test]
    fn the_error_tells_which_node_and_which_address() {
        let error = Node::new("n-1", "host\n").check_address().unwrap_err();
        assert_eq!((error.node(), error.address()), ("n-1", "host\n"));
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn a_password_in_an_address_is_told_to_nobody() {
        let node = Node::new("greeter-1", "admin:s3cret@10.0.0.7:8080");
        let error = node.check_address().unwrap_err();
        let told = format!("{error} {error:?} {} {node} {node:?}", error.address());
        assert!(
            !told.contains("s3cret") && !told.contains("admin"),
            "{told}"
        );
        assert!(told.contains("@10.0.0.7:8080"), "{told}");
    }

    proptest! {
        #[test]
        fn every_host_and_every_port_fit_together(host in "[a-z0-9._-]{1,20}", port in 1..=u16::MAX) {
            prop_assert_eq!(check(&format!("{host}:{port}")), Ok(()));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = check(&text);
        }

        #[test]
        fn what_is_accepted_ends_with_a_port(text in "[\\[\\]:a01.]{0,8}(:[01]{1,2})?") {
            if check(&text).is_ok() {
                let port = text.rsplit(':').next().unwrap();
                prop_assert!(port.parse::<u16>().is_ok_and(|port| port > 0));
            }
        }
    }
}
