//! go-micro's proxy: the environment can send every call somewhere else.
//!
//! With `MICRO_PROXY` set, a client asks for the proxy's nodes instead of the service's, and the proxy finds the
//! service by the path of the call. `MICRO_NETWORK` and `MICRO_NETWORK_ADDRESS` do the same for go-micro's network
//! (go-micro v2 `util/net/net.go`, `Proxy`).
//!
//! # What the caller sees
//! [`Proxy::resolve`] says which service to look up, which addresses to use instead of looking up, and whether
//! anything was changed.
//!
//! # Units and defaults
//! [`Proxy::none`]: nothing is changed. go-micro reads the environment anew for every call; here it is read once, by
//! [`Proxy::from_env`].
//!
//! # Errors
//! None. A proxy that does not exist is found missing when a call looks for it.
//!
//! # Example
//!
//! ```
//! use tower_micro_call::proxy::Proxy;
//!
//! let proxy = Proxy { proxy: Some("10.0.0.1:8081".into()), ..Proxy::none() };
//! let resolved = proxy.resolve("greeter", &[]);
//! assert_eq!(resolved.service, "10.0.0.1:8081");
//! assert_eq!(resolved.addresses, ["10.0.0.1:8081"]);
//! assert!(resolved.proxied);
//! ```
//!
//! # Not here
//! Publishing: only go-micro v1 takes the exchange from `MICRO_PROXY`. HTTP proxies, which are the transport's.

use std::{env, net::IpAddr, slice};

/// The service behind `MICRO_PROXY=service`.
const PROXY_SERVICE: &str = "go.micro.proxy";
/// The service behind `MICRO_NETWORK=service`.
const NETWORK_SERVICE: &str = "go.micro.network";

/// Where calls go instead of to their service. See the [module docs](self) for an example.
///
/// An empty text is as good as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// `MICRO_PROXY`: a service name, an address (anything with a `:`), or `service` for `go.micro.proxy`. It counts
    /// before the other two.
    pub proxy: Option<String>,
    /// `MICRO_NETWORK`: a service name, or `service` for `go.micro.network`.
    pub network: Option<String>,
    /// `MICRO_NETWORK_ADDRESS`: an address.
    pub network_address: Option<String>,
}

/// Where one call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The service to look up, and to name in errors.
    pub service: &'a str,
    /// The addresses to use without looking up, if there are any.
    pub addresses: &'a [String],
    /// Whether the environment changed anything.
    pub proxied: bool,
}

impl Proxy {
    /// No proxy: every call goes to its service.
    pub const fn none() -> Self {
        Self {
            proxy: None,
            network: None,
            network_address: None,
        }
    }

    /// What the environment says at this moment.
    pub fn from_env() -> Self {
        Self::read(|name| {
            // Lossy on purpose: a call to a proxy that cannot be found fails, one that goes past it would not.
            env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            proxy: variable("MICRO_PROXY"),
            network: variable("MICRO_NETWORK"),
            network_address: variable("MICRO_NETWORK_ADDRESS"),
        }
    }

    /// Whether [`resolve`](Self::resolve) would change nothing, for any call.
    pub fn is_none(&self) -> bool {
        [&self.proxy, &self.network, &self.network_address]
            .into_iter()
            .all(|setting| set(setting).is_none())
    }

    /// Where a call of `service` goes that the caller wants to send to `addresses` (none: look the service up).
    ///
    /// A proxy that is an address takes the place of the service's name too, as in go-micro. A proxy that is a name
    /// leaves the caller's addresses as they are, except for `service`, which drops them.
    pub fn resolve<'a>(&'a self, service: &'a str, addresses: &'a [String]) -> Resolved<'a> {
        let direct = Resolved {
            service,
            addresses,
            proxied: false,
        };
        match set(&self.proxy) {
            Some(proxy) => direct.through_proxy(proxy),
            None => direct.through_network(set(&self.network), set(&self.network_address)),
        }
    }
}

impl<'a> Resolved<'a> {
    fn through_proxy(self, proxy: &'a String) -> Self {
        let (service, addresses) = match proxy.as_str() {
            "service" => (PROXY_SERVICE, [].as_slice()),
            address if address.contains(':') => (address, slice::from_ref(proxy)),
            name => (name, self.addresses),
        };
        Self {
            service,
            addresses,
            proxied: true,
        }
    }

    fn through_network(self, network: Option<&'a String>, address: Option<&'a String>) -> Self {
        let service = network.map_or(self.service, |network| match network.as_str() {
            "service" => NETWORK_SERVICE,
            name => name,
        });
        Self {
            service,
            addresses: address.map_or(self.addresses, slice::from_ref),
            proxied: network.is_some() || address.is_some(),
        }
    }
}

fn set(setting: &Option<String>) -> Option<&String> {
    setting.as_ref().filter(|value| !value.is_empty())
}

/// A port as a number or as a text; go-micro treats an absent one of each kind differently. See [`host_port`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port<'a> {
    /// A number. 0 is no port, unless the host is an IPv4 address.
    Number(u16),
    /// A text, taken as it is. Empty is no port.
    Text(&'a str),
}

impl From<u16> for Port<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Port<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

/// Joins a host and a port into an address (go-micro v2 `util/net/net.go`, `HostPort`).
///
/// A host with a `:` is put in brackets, even if it has some already: `[::1]` gives `[[::1]]:80`, as in go-micro, so
/// give it without. Without a port the host stands alone: go-micro takes it for the name of a queue then.
///
/// ```
/// use tower_micro_call::proxy::host_port;
///
/// assert_eq!(host_port("10.0.0.1", 80), "10.0.0.1:80");
/// assert_eq!(host_port("::1", "80"), "[::1]:80");
/// assert_eq!(host_port("events", 0), "events");
/// ```
pub fn host_port<'a>(host: &str, port: impl Into<Port<'a>>) -> String {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match port.into() {
        Port::Text("") => host,
        Port::Number(0) if host.parse::<IpAddr>().is_err() => host,
        Port::Text(port) => format!("{host}:{port}"),
        Port::Number(port) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(settings: [&str; 3]) -> Proxy {
        let names = ["MICRO_PROXY", "MICRO_NETWORK", "MICRO_NETWORK_ADDRESS"];
        Proxy::read(|wanted| {
            let at = names.iter().position(|name| *name == wanted)?;
            Some(settings[at].to_owned())
        })
    }

    fn resolved(settings: [&str; 3], addresses: &[&str]) -> (String, Vec<String>, bool) {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let proxy = proxy(settings);
        let resolved = proxy.resolve("svc", &addresses);
        assert_eq!(resolved.proxied, !proxy.is_none());
        (
            resolved.service.to_owned(),
            resolved.addresses.to_vec(),
            resolved.proxied,
        )
    }

    fn expected(service: &str, addresses: &[&str]) -> (String, Vec<String>, bool) {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        (service.to_owned(), addresses, true)
    }

    #[test]
    fn without_a_proxy_a_call_goes_to_its_service() {
        let direct = ("svc".to_owned(), vec!["a:1".to_owned()], false);
        assert_eq!(resolved([""; 3], &["a:1"]), direct);
        assert!(Proxy::none().is_none());
        assert_eq!(Proxy::none(), Proxy::default());
    }

    #[test]
    fn a_named_proxy_leaves_the_addresses_of_the_caller() {
        assert_eq!(
            resolved(["p", "n", "n:1"], &["a:1"]),
            expected("p", &["a:1"])
        );
    }

    #[test]
    fn the_proxy_service_drops_the_addresses_of_the_caller() {
        assert_eq!(
            resolved(["service", "", ""], &["a:1"]),
            expected("go.micro.proxy", &[])
        );
    }

    #[test]
    fn a_proxy_with_a_colon_is_name_and_address() {
        assert_eq!(
            resolved(["p:1", "", ""], &["a:1"]),
            expected("p:1", &["p:1"])
        );
    }

    #[test]
    fn the_network_has_a_name_and_an_address_of_its_own() {
        assert_eq!(
            resolved(["", "service", ""], &["a:1"]),
            expected("go.micro.network", &["a:1"])
        );
        assert_eq!(resolved(["", "n:1", ""], &[]), expected("n:1", &[]));
        assert_eq!(
            resolved(["", "", "n:1"], &["a:1"]),
            expected("svc", &["n:1"])
        );
    }

    #[test]
    fn a_port_of_nothing_leaves_the_host_alone() {
        assert_eq!(host_port("events", 0), "events");
        assert_eq!(host_port("events", ""), "events");
        assert_eq!(host_port("events", "0"), "events:0");
        assert_eq!(host_port("1.2.3.4", 0), "1.2.3.4:0");
        assert_eq!(host_port("::1", 0), "[::1]");
    }

    #[test]
    fn a_host_with_a_colon_is_put_in_brackets_even_twice() {
        assert_eq!(host_port("::1", 80), "[::1]:80");
        assert_eq!(host_port("[::1]", 80), "[[::1]]:80");
    }
}
