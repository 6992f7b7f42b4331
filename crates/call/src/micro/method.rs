//! Method names: go-micro's `Foo.Bar` and gRPC's `/package.Foo/Bar`.

use std::borrow::Cow;

use thiserror::Error;

/// A method as go-micro's server sees it: the last part of the gRPC service, and the method.
///
/// ```
/// use tower_micro_call::micro::ServiceMethod;
///
/// let called = ServiceMethod::parse("/helloworld.Greeter/SayHello")?;
/// assert_eq!((called.service, called.method), ("Greeter", "SayHello"));
/// assert_eq!(ServiceMethod::parse("Greeter.SayHello")?, called);
/// # Ok::<(), tower_micro_call::micro::MalformedMethod>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceMethod<'a> {
    /// The service, without its package.
    pub service: &'a str,
    /// The method.
    pub method: &'a str,
}

/// A method name that is neither `Foo.Bar` nor `/package.Foo/Bar`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed method name: {name:?}")]
pub struct MalformedMethod {
    name: String,
}

impl<'a> ServiceMethod<'a> {
    /// Reads `Foo.Bar`, `/Foo/Bar` or `/a.package.Foo/Bar` (go-micro v2 `util/grpc/grpc.go`, `ServiceMethod`).
    ///
    /// Neither part of a path may be empty, while `Foo.` is taken, as go-micro takes it.
    ///
    /// # Errors
    /// [`MalformedMethod`] for every other form.
    pub fn parse(name: &'a str) -> Result<Self, MalformedMethod> {
        let parts = match name.strip_prefix('/') {
            Some(path) => split_path(path),
            None => split_in_two(name, '.'),
        };
        let (service, method) = parts.ok_or_else(|| MalformedMethod {
            name: name.to_owned(),
        })?;
        Ok(Self { service, method })
    }
}

fn split_path(path: &str) -> Option<(&str, &str)> {
    let (service, method) = split_in_two(path, '/')?;
    let is_whole = !service.is_empty() && !method.is_empty();
    let name = service.rsplit_once('.').map_or(service, |(_, name)| name);
    is_whole.then_some((name, method))
}

/// `None` unless the separator is there exactly once.
fn split_in_two(text: &str, separator: char) -> Option<(&str, &str)> {
    text.split_once(separator)
        .filter(|(_, last)| !last.contains(separator))
}

/// The package of a gRPC path, which for a go-micro service is its name in the registry: `greeter` of
/// `/greeter.Greeter/Hello` (go-micro v2 `util/grpc/grpc.go`, `ServiceFromMethod`).
///
/// Empty if the path has no package; what is not a path is given back as it is.
///
/// ```
/// use tower_micro_call::micro::service_from_method;
///
/// assert_eq!(service_from_method("/go.micro.srv.greeter.Greeter/Hello"), "go.micro.srv.greeter");
/// assert_eq!(service_from_method("/Greeter/Hello"), "");
/// assert_eq!(service_from_method("Greeter.Hello"), "Greeter.Hello");
/// ```
pub fn service_from_method(name: &str) -> &str {
    let path = name.strip_prefix('/').and_then(|path| path.split_once('/'));
    match path {
        Some((service, _)) => service.rsplit_once('.').map_or("", |(package, _)| package),
        None => name,
    }
}

/// The gRPC path under which a go-micro client calls `endpoint` of `service` (go-micro v2 `client/grpc/request.go`,
/// `methodToGRPC`).
///
/// `service` is the name in the registry, not the protobuf package. An endpoint that is a path already, is empty or
/// has not exactly two parts is given back as it is; the last two make no path that a server would take.
///
/// ```
/// use tower_micro_call::micro::grpc_path;
///
/// assert_eq!(grpc_path("greeter", "Greeter.Hello"), "/greeter.Greeter/Hello");
/// assert_eq!(grpc_path("", "Greeter.Hello"), "/Greeter/Hello");
/// assert_eq!(grpc_path("greeter", "/helloworld.Greeter/Hello"), "/helloworld.Greeter/Hello");
/// ```
pub fn grpc_path<'a>(service: &str, endpoint: &'a str) -> Cow<'a, str> {
    let parts = split_in_two(endpoint, '.').filter(|_| !endpoint.starts_with('/'));
    match parts {
        None => Cow::Borrowed(endpoint),
        Some((name, method)) if service.is_empty() => Cow::Owned(format!("/{name}/{method}")),
        Some((name, method)) => Cow::Owned(format!("/{service}.{name}/{method}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_part_of_the_service_counts() {
        for name in [
            "Foo.Bar",
            "/Foo/Bar",
            "/package.Foo/Bar",
            "/a.package.Foo/Bar",
            "/.Foo/Bar",
        ] {
            let expected = ServiceMethod {
                service: "Foo",
                method: "Bar",
            };
            assert_eq!(ServiceMethod::parse(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_is_neither_form_is_malformed() {
        for name in [
            "",
            "/",
            "Foo",
            "a.Foo.Bar",
            "/Foo",
            "/Foo/",
            "//Bar",
            "/a/b/c",
        ] {
            let error = ServiceMethod::parse(name).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("malformed method name: {name:?}")
            );
        }
    }

    #[test]
    fn an_empty_part_of_a_dotted_name_is_taken_as_go_micro_takes_it() {
        assert_eq!(
            ServiceMethod::parse("Foo."),
            Ok(ServiceMethod {
                service: "Foo",
                method: ""
            })
        );
        assert_eq!(
            ServiceMethod::parse("/a./Bar"),
            Ok(ServiceMethod {
                service: "",
                method: "Bar"
            })
        );
    }

    #[test]
    fn the_service_of_a_path_is_its_package() {
        assert_eq!(service_from_method("/a.package.Foo/Bar"), "a.package");
        assert_eq!(service_from_method("/a.b/c/d"), "a");
        for name in ["/Foo/Bar", "/Foo/", "//Bar", "/a/b/c"] {
            assert_eq!(service_from_method(name), "", "{name}");
        }
        for name in ["", "/Foo", "a.Foo.Bar"] {
            assert_eq!(service_from_method(name), name);
        }
    }

    #[test]
    fn an_endpoint_without_two_parts_is_left_as_it_is() {
        for endpoint in ["", "Hello", "a.b.c", "/x", "/a.b"] {
            assert_eq!(grpc_path("greeter", endpoint), endpoint);
        }
    }
}
