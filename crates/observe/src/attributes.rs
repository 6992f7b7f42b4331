//! What attributes are called: OpenTelemetry's semantic conventions for RPC and HTTP, release 1.44, and our own.
//!
//! Constants of our own, because the conventions for RPC are a release candidate and one name is about to change:
//! [`STATUS_CODE`] becomes `rpc.status_code`. That is one line here, and the version in [`SCHEMA_URL`].
//!
//! What is not in the conventions is named `tower_micro.…`, so that it cannot clash with what they will say.

/// The schema that the names follow; for the instrumentation scope of the tracer that a program makes.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The target of call spans, for filters: `tower_micro::call=off`.
pub const CALL: &str = "tower_micro::call";
/// The target of attempt spans.
pub const ATTEMPT: &str = "tower_micro::attempt";
/// The target of handler spans.
pub const HANDLER: &str = "tower_micro::handler";

/// The method, by any name, that stands for those which are not known: anybody can make up names without end.
pub const OTHER: &str = "_OTHER";

/// Which RPC system: `grpc`.
pub const SYSTEM: &str = "rpc.system.name";
/// `package.Service/Method`.
pub const METHOD: &str = "rpc.method";
/// What was asked for, where the method is `_OTHER`; of a long one the beginning.
pub const METHOD_ORIGINAL: &str = "rpc.method_original";
/// The gRPC code by its name: `OK`, `DEADLINE_EXCEEDED`.
pub const STATUS_CODE: &str = "rpc.response.status_code";
/// The group of nodes that is called: the name of the service, as in the registry.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port, if the address has one.
pub const SERVER_PORT: &str = "server.port";
/// The host of the node that was contacted last.
pub const PEER_ADDRESS: &str = "network.peer.address";
/// Its port.
pub const PEER_PORT: &str = "network.peer.port";
/// What kind of error: the code's name, or the kind of a failure that has none.
pub const ERROR_TYPE: &str = "error.type";
/// The prefix of metadata that was allowed by name.
pub const REQUEST_METADATA: &str = "rpc.request.metadata.";

/// The HTTP method, or `_OTHER`.
pub const HTTP_METHOD: &str = "http.request.method";
/// What was asked for, where the method is `_OTHER`; of a long one the beginning.
pub const HTTP_METHOD_ORIGINAL: &str = "http.request.method_original";
/// The HTTP status.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// The route a request matched, with its parameters by name.
pub const HTTP_ROUTE: &str = "http.route";
/// The URL, without user and query.
pub const URL_FULL: &str = "url.full";
/// The path.
pub const URL_PATH: &str = "url.path";
/// `http` or `https`.
pub const URL_SCHEME: &str = "url.scheme";

/// Which attempt of the call, counted from 1.
pub const ATTEMPT_NUMBER: &str = "tower_micro.attempt";
/// How many attempts the call took, if more than one.
pub const ATTEMPTS: &str = "tower_micro.attempts";
/// The id of the node, as in the registry.
pub const NODE: &str = "tower_micro.node.id";
/// Whether the node may have acted on an attempt that failed: `never_sent`, `unprocessed`, `unknown`, `processed`.
pub const DISPOSITION: &str = "tower_micro.disposition";
/// A72's count of the attempts before this one, where spans have gRPC's names.
pub const PREVIOUS_ATTEMPTS: &str = "previous-rpc-attempts";
