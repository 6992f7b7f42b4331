//! tower-micro with everything on.

use std::net::SocketAddr;

use tower_micro::{CallOptions, Client, Connect, Preset, ServiceName, Static};

use super::{Terms, Unbuilt, generated_client::Generated};
use crate::{cases::pass_through::PassThroughLayer, echo::Echo};

const SERVICE: &str = "echo";

/// `Preset::Standard` over static nodes: retry with a budget, a deadline, and one call wrapper that does nothing.
pub(super) fn client<C: Connect>(
    nodes: &[SocketAddr],
    terms: Terms,
    connect: C,
) -> Result<impl Echo + use<C>, Unbuilt> {
    let addresses = nodes.iter().map(ToString::to_string);
    let registry = Static::addresses(SERVICE, addresses).map_err(Unbuilt::because)?;
    let options = CallOptions::new()
        .timeout(terms.deadline)
        .connect_timeout(super::CONNECT_TIMEOUT)
        .idempotent(terms.idempotent);
    let client = Client::builder()
        .preset(Preset::Standard)
        .registry(registry)
        .connect(connect)
        .options(options)
        .wrap_call(PassThroughLayer)
        .build()
        .map_err(Unbuilt::because)?;
    let service = ServiceName::new(SERVICE).map_err(Unbuilt::because)?;
    Ok(Generated::over(client.channel(service), None))
}
