//! gRPC's interop cases (gRPC `doc/interop-test-descriptions.md`; grpc-go `interop/`), by the names they have there.
//!
//! A case is a function over any channel. Here it is run over ours, in front of a tonic server that does what the description asks of
//! one, in every [`Mode`]: with retries off and on, with nobody at the first node, with a node that turns the first attempt away; and in
//! each of these with a client that knows from descriptors which methods are streams, and with one that does not. Then it is run over
//! tonic's own channel, for comparison. What the server sees is compared too: how many calls it let in, and how many were reset.
//!
//! tonic alone differs in two: it says CANCELLED where a timeout has passed, and it does not reset a stream of which the answer is let
//! go while requests may still come.
//!
//! # Not here
//! - `client_compressed_streaming`, `server_compressed_streaming`: tonic cannot switch compression within a stream.
//! - `cacheable_unary`: calls by GET.
//! - `rpc_soak`, `channel_soak`, `concurrent_large_unary`: load.
//! - `orca_per_rpc`, `orca_oob`: load reports.
//! - `pick_first_unary`: which node is chosen is for strategies to say.
//! - `compute_engine_creds`, `service_account_creds`, `jwt_token_creds`, `oauth2_auth_token`, `per_rpc_creds`,
//!   `google_default_credentials`, `compute_engine_channel_credentials`: Google's credentials.

mod cancel;
mod ends;
mod frame;
mod message;
mod metadata;
mod mode;
mod report;
mod scene;
mod streaming;
mod tally;
mod unary;

use mode::Mode;
use report::Report;
use scene::Scene;

/// A test per case, which names the modes that fail. The first word says how tonic alone does.
macro_rules! cases {
    ($($tonic:ident $part:ident: $($case:ident)*;)*) => {$($(
        #[tokio::test]
        async fn $case() {
            let mut report = Report::default();
            for mode in Mode::all() {
                let (scene, attempts) = Scene::ours(mode).await;
                let case = async {
                    $part::$case(&scene).await;
                    attempts.check();
                };
                report.run(mode, case).await;
            }
            let scene = Scene::bare().await;
            report.$tonic("tonic alone", $part::$case(&scene)).await;
            report.end();
        }
    )*)*};
}

cases! {
    run unary: empty_unary large_unary client_compressed_unary server_compressed_unary;
    run streaming: client_streaming server_streaming ping_pong empty_stream;
    run ends: status_code_and_message special_status_message unimplemented_method unimplemented_service;
    run_in_vain ends: timeout_on_sleeping_server;
    run metadata: custom_metadata;
    run cancel: cancel_after_begin cancel_after_first_response;
    skip cancel: letting_go_after_first_response;
}
