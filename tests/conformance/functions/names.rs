//! Metadata, addresses and the names of methods.

use serde_json::{Map, Value, json};
use tower_micro::{
    Metadata, crates::call::proxy::host_port, metadata::title_case, micro, micro::ServiceMethod,
};

use super::{
    super::{events::plain, scenario::proxy_of},
    Given, members, text, unknown,
};

/// `metadata.FromContext` and `metadata.MergeContext`.
pub(super) fn metadata(input: &Value) -> Given {
    if let Some(keys) = input["keys"].as_array() {
        let titles = keys.iter().filter_map(Value::as_str).map(title_case);
        return Ok(members(json!({"keys": titles.collect::<Vec<_>>()})));
    }
    let overwrite = input["overwrite"]
        .as_bool()
        .ok_or_else(|| unknown("no overwrite"))?;
    let refused = |_| "metadata-names".to_owned();
    let mut metadata = Metadata::new();
    for (key, value) in pairs(&input["metadata"]) {
        metadata.insert(key, value).map_err(refused)?;
    }
    metadata
        .merge(pairs(&input["patch"]), overwrite)
        .map_err(refused)?;
    let merged: Map<_, _> = metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    Ok(members(json!({"metadata": merged})))
}

fn pairs(value: &Value) -> impl Iterator<Item = (&str, &str)> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// `util/net.HostPort` and `util/net.Proxy`.
pub(super) fn net(input: &Value) -> Given {
    if let Some(address) = input["addr"].as_str() {
        let port = input["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        let joined = match (port, input["port"].as_str()) {
            (Some(number), _) => host_port(address, number),
            (None, Some(text)) => host_port(address, text),
            (None, None) => return Err(unknown("a port that is neither number nor text")),
        };
        return Ok(members(json!({"out": joined})));
    }
    let proxy = proxy_of(|name| input["env"][name].as_str().map(str::to_owned));
    let addresses = input["address"].as_array().into_iter().flatten();
    let addresses = addresses.filter_map(Value::as_str).map(str::to_owned);
    let addresses: Vec<_> = addresses.collect();
    let way = proxy.resolve(text(input, "service"), &addresses);
    Ok(members(json!({
        "service": way.service,
        "address": way.addresses,
        "proxy": way.proxied,
    })))
}

/// `util/grpc.ServiceMethod`, `util/grpc.ServiceFromMethod` and the client's path.
pub(super) fn method(input: &Value) -> Given {
    if let Some(endpoint) = input["endpoint"].as_str() {
        let path = micro::grpc_path(text(input, "service"), endpoint);
        return Ok(members(json!({"path": path, "out": path})));
    }
    let name = input["method"]
        .as_str()
        .ok_or_else(|| unknown("no method"))?;
    let called = ServiceMethod::parse(name);
    let (service, method) = called
        .as_ref()
        .map_or(("", ""), |called| (called.service, called.method));
    Ok(members(json!({
        "service": service,
        "method": method,
        "err": called.as_ref().err().map(|malformed| plain(&malformed.to_string())),
        "service_from_method": micro::service_from_method(name),
    })))
}
