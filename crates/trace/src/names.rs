//! What spans are called.

use std::ops::Deref;

use smallvec::SmallVec;
use tower_micro_call::micro::{ServiceMethod, service_from_method};

/// Whose names spans have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// OpenTelemetry's: `greeter.Greeter/SayHello`; an attempt has `attempt` behind it.
    #[default]
    Otel,
    /// go-micro's: `greeter.Greeter.SayHello`, the service as in the registry, for all three
    /// (`wrapper/trace/opentracing/opentracing.go`).
    GoMicro,
    /// gRPC's (A72): `Sent.greeter.Greeter.SayHello`, `Attempt.…`, `Recv.…`.
    Grpc,
}

/// Longer paths are nobody's method: a server can be asked for anything.
const LONGEST: usize = 256;

/// The path a server was asked for, if it can be a method's.
pub(crate) fn asked(path: &str) -> &str {
    if path.len() <= LONGEST {
        path
    } else {
        "/_OTHER"
    }
}

/// Who works under the span.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Call,
    Attempt,
    Handler,
}

/// A name; one that has to be put together is, as long as it is short, in no allocation.
#[derive(Debug)]
pub(crate) enum Name<'a> {
    Said(&'a str),
    Written(SmallVec<[u8; 96]>),
}

impl Name<'_> {
    fn written(parts: &[&str]) -> Self {
        let mut bytes = SmallVec::new();
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
        }
        Self::Written(bytes)
    }
}

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Said(name) => name,
            Self::Written(bytes) => str::from_utf8(bytes).expect("it is made of texts"),
        }
    }
}

impl Names {
    /// The name of the span of `role` for the gRPC `path`; `service` is the callee's name in the registry, if it is known.
    pub(crate) fn of<'a>(self, role: Role, path: &'a str, service: Option<&str>) -> Name<'a> {
        let method = path.strip_prefix('/').unwrap_or(path);
        match self {
            Self::Otel => otel(role, method),
            Self::GoMicro => go_micro(path, service),
            Self::Grpc => Name::written(&[grpc(role), ".", &method.replace('/', ".")]),
        }
    }
}

fn otel(role: Role, method: &str) -> Name<'_> {
    match role {
        Role::Call | Role::Handler if method.is_empty() => Name::Said("grpc"),
        Role::Call | Role::Handler => Name::Said(method),
        Role::Attempt => Name::written(&[method, " attempt"]),
    }
}

const fn grpc(role: Role) -> &'static str {
    match role {
        Role::Call => "Sent",
        Role::Attempt => "Attempt",
        Role::Handler => "Recv",
    }
}

/// A go-micro server knows its own name, which is the package of its services.
fn go_micro<'a>(path: &'a str, service: Option<&str>) -> Name<'a> {
    let Ok(ServiceMethod {
        service: endpoint,
        method,
    }) = ServiceMethod::parse(path)
    else {
        return Name::Said(path);
    };
    let service = service.unwrap_or_else(|| service_from_method(path));
    Name::written(&[service, ".", endpoint, ".", method])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/greeter.Greeter/SayHello";

    #[test]
    fn each_convention_has_its_own_names() {
        let names = |names: Names| {
            [Role::Call, Role::Attempt, Role::Handler]
                .map(|role| names.of(role, PATH, None).to_owned())
        };
        let method = "greeter.Greeter/SayHello";
        let attempt = "greeter.Greeter/SayHello attempt";
        assert_eq!(names(Names::Otel), [method, attempt, method]);
        assert_eq!(names(Names::GoMicro), ["greeter.Greeter.SayHello"; 3]);
        let grpc =
            ["Sent", "Attempt", "Recv"].map(|role| format!("{role}.greeter.Greeter.SayHello"));
        assert_eq!(names(Names::Grpc), grpc);
    }

    #[test]
    fn go_micro_names_the_service_as_the_registry_does() {
        let name = Names::GoMicro.of(Role::Call, PATH, Some("go.micro.srv.greeter"));
        assert_eq!(&*name, "go.micro.srv.greeter.Greeter.SayHello");
    }

    #[test]
    fn a_path_without_end_is_no_name() {
        assert_eq!(asked(PATH), PATH);
        assert_eq!(asked(&format!("/{}", "x".repeat(LONGEST))), "/_OTHER");
    }

    #[test]
    fn what_is_no_method_is_a_name_all_the_same() {
        assert_eq!(&*Names::Otel.of(Role::Call, "/", None), "grpc");
        assert_eq!(&*Names::GoMicro.of(Role::Call, "/a/b/c", None), "/a/b/c");
    }
}
