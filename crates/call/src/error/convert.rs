//! To and from the errors of tonic and tower, without loss.

use std::{error::Error as StdError, sync::Arc};

use tonic::{Code, Status};

use super::{BoxError, Disposition, Error, Kind, cause};

impl From<Status> for Error {
    /// Takes a status a wrapper or a transport returned. One that was made from an [`Error`] becomes that error again.
    fn from(status: Status) -> Self {
        let known = status.source().and_then(|source| source.downcast_ref());
        if let Some(error) = known {
            return Self::clone(error);
        }
        Self::from_status_parts(Kind::Other, Disposition::Unknown, status)
    }
}

impl From<Error> for Status {
    /// The status as it stands, with the [`Error`] as its source: `status.source()` can be downcast.
    fn from(error: Error) -> Self {
        let mut status = error.status().clone();
        status.set_source(Arc::new(error));
        status
    }
}

impl From<tonic::transport::Error> for Error {
    fn from(error: tonic::transport::Error) -> Self {
        Self::transport(error)
    }
}

impl From<BoxError> for Error {
    /// Looks for what the box holds: an [`Error`], a [`Status`], a transport failure, or a text.
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(known) => return *known,
            Err(error) => error,
        };
        let error = match error.downcast::<Status>() {
            Ok(status) => return (*status).into(),
            Err(error) => error,
        };
        if cause::of(error.as_ref()).is_some() {
            return Self::transport(error);
        }
        Self::new(Kind::Other, Code::Unknown, error.to_string())
            .with_disposition(Disposition::Unknown)
            .caused_by(Arc::from(error))
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
