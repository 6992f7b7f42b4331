//! What spans are called.

use std::{collections::HashSet, ops::Deref, sync::Arc};

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

/// The path that stands for one that is none of ours: [`attributes::OTHER`](crate::attributes::OTHER), as paths begin.
const OTHER: &str = "/_OTHER";

/// The methods that a server has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods(Option<Arc<HashSet<Box<str>>>>);

impl Methods {
    /// These, with or without a slash in front.
    pub(crate) fn of(methods: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let methods = methods.into_iter();
        let all = methods.map(|method| bare(method.as_ref()).into());
        Self(Some(Arc::new(all.collect())))
    }

    /// The path a server was asked for, if it can be a method's.
    pub(crate) fn asked<'a>(&self, path: &'a str) -> &'a str {
        let is_ours = match &self.0 {
            Some(known) => known.contains(bare(path)),
            None => path.len() <= LONGEST,
        };
        if is_ours { path } else { OTHER }
    }
}

/// A gRPC path as `package.Service/Method`.
pub(crate) fn bare(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
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
        let method = bare(path);
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
    match service.unwrap_or_else(|| service_from_method(path)) {
        "" => Name::written(&[endpoint, ".", method]),
        service => Name::written(&[service, ".", endpoint, ".", method]),
    }
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
        let bare = Names::GoMicro.of(Role::Handler, "/Greeter/SayHello", None);
        assert_eq!(&*bare, "Greeter.SayHello");
    }

    #[test]
    fn a_path_without_end_is_no_name() {
        let any = Methods::default();
        assert_eq!(any.asked(PATH), PATH);
        assert_eq!(any.asked(&format!("/{}", "x".repeat(LONGEST))), "/_OTHER");
    }

    #[test]
    fn what_a_server_does_not_have_is_no_name_where_its_methods_are_known() {
        for method in ["greeter.Greeter/SayHello", PATH] {
            let known = Methods::of([method]);
            assert_eq!(known.asked(PATH), PATH);
            assert_eq!(known.asked("/greeter.Greeter/Guess1"), OTHER);
        }
    }

    #[test]
    fn what_is_no_method_is_a_name_all_the_same() {
        assert_eq!(&*Names::Otel.of(Role::Call, "/", None), "grpc");
        assert_eq!(&*Names::GoMicro.of(Role::Call, "/a/b/c", None), "/a/b/c");
    }
}
