//! What a compiled descriptor set says of methods: streams, and what may be done twice.

use bytes::Bytes;
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, method_options::IdempotencyLevel,
};
use tower_micro_call::CallOptions;

use crate::BuildError;

/// The methods of `set` by name (`package.Service/Method`).
pub(crate) fn read(set: &Bytes) -> Result<Vec<(String, CallOptions)>, BuildError> {
    let set = FileDescriptorSet::decode(&set[..]).map_err(|error| BuildError::Descriptors {
        reason: error.to_string(),
    })?;
    Ok(set.file.iter().flat_map(methods).collect())
}

fn methods(file: &FileDescriptorProto) -> impl Iterator<Item = (String, CallOptions)> {
    file.service.iter().flat_map(move |service| {
        let service_name = match file.package() {
            "" => service.name().to_owned(),
            package => format!("{package}.{}", service.name()),
        };
        service.method.iter().map(move |method| {
            let name = format!("{service_name}/{}", method.name());
            (name, options(method))
        })
    })
}

fn options(method: &MethodDescriptorProto) -> CallOptions {
    let streaming = method.client_streaming() || method.server_streaming();
    let options = CallOptions::new().streaming(streaming);
    let level = method
        .options
        .as_ref()
        .map(prost_types::MethodOptions::idempotency_level);
    match level {
        Some(IdempotencyLevel::NoSideEffects | IdempotencyLevel::Idempotent) => {
            options.idempotent(true)
        }
        _ => options,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{MethodOptions, ServiceDescriptorProto};

    use super::*;

    fn method(
        name: &str,
        server_streaming: bool,
        level: IdempotencyLevel,
    ) -> MethodDescriptorProto {
        MethodDescriptorProto {
            name: Some(name.into()),
            server_streaming: Some(server_streaming),
            options: Some(MethodOptions {
                idempotency_level: Some(level.into()),
                ..MethodOptions::default()
            }),
            ..MethodDescriptorProto::default()
        }
    }

    #[test]
    fn streams_and_idempotent_methods_are_found_by_name() {
        let service = ServiceDescriptorProto {
            name: Some("Greeter".into()),
            method: vec![
                method("Say", false, IdempotencyLevel::NoSideEffects),
                method("Watch", true, IdempotencyLevel::IdempotencyUnknown),
            ],
            ..ServiceDescriptorProto::default()
        };
        let file = FileDescriptorProto {
            package: Some("greeter.v1".into()),
            service: vec![service],
            ..FileDescriptorProto::default()
        };
        let set = FileDescriptorSet { file: vec![file] }
            .encode_to_vec()
            .into();
        let found = read(&set).unwrap();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["greeter.v1.Greeter/Say", "greeter.v1.Greeter/Watch"]
        );
        let (say, watch) = (&found[0].1, &found[1].1);
        assert_eq!(
            (say.get_streaming(), say.get_idempotent()),
            (Some(false), Some(true))
        );
        assert_eq!(
            (watch.get_streaming(), watch.get_idempotent()),
            (Some(true), None)
        );
    }

    #[test]
    fn bytes_that_are_no_descriptor_set_are_refused() {
        let error = read(&Bytes::from_static(b"\xff\xff\xff")).unwrap_err();
        assert!(error.to_string().contains("FileDescriptorSet"));
    }
}
