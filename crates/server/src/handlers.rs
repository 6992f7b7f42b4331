//! The door for handler wrappers: go-micro's `micro.WrapHandler`.
//!
//! First added is outermost, over several calls too (go-micro `server/options.go`). The inbound context is outside of all of them,
//! so that a wrapper's own calls have it as well.
//!
//! # Place in the stack
//! Outermost on a server: the inbound context, then the wrappers, then the handler. It needs no [`InboundLayer`] besides.
//!
//! # Units and defaults
//! Without a wrapper it is an [`InboundLayer`] and nothing else.
//!
//! # Errors
//! None of its own; a wrapper's are the wrapper's.
//!
//! # Example
//! ```
//! use tower_micro_server::handlers;
//!
//! # fn authorise() -> tower::layer::util::Identity { tower::layer::util::Identity::new() }
//! let server = tonic::transport::Server::builder().layer(handlers().wrap_handler(authorise()));
//! # let _ = server;
//! ```

use tower_layer::{Identity, Layer, Stack};

use crate::{Inbound, InboundLayer};

/// Starts without a wrapper.
pub const fn handlers() -> Handlers<Identity> {
    Handlers {
        wrappers: Identity::new(),
    }
}

/// Handler wrappers, as one layer for a server. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct Handlers<W> {
    wrappers: W,
}

impl<W> Handlers<W> {
    /// Adds wrappers inside of those that are there. The first of a tuple is outermost.
    pub fn wrap_handler<L>(self, layers: L) -> Handlers<Stack<L, W>> {
        Handlers {
            wrappers: Stack::new(layers, self.wrappers),
        }
    }
}

impl<W: Layer<S>, S> Layer<S> for Handlers<W> {
    type Service = Inbound<W::Service>;

    fn layer(&self, handler: S) -> Self::Service {
        InboundLayer::new().layer(self.wrappers.layer(handler))
    }
}
