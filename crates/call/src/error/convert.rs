//! To and from the errors of tonic and tower, without loss.

use std::{error::Error as StdError, sync::Arc};

use tonic::{Code, Status};

use super::{BoxError, Disposition, Error, Kind, cause};

impl From<Status> for Error {
    /// Takes a status a wrapper or a transport returned. One that was made from an [`Error`] becomes that error again, with what was
    /// written into it since. If it has got another code it is another failure, of which the error is only the cause.
    fn from(status: Status) -> Self {
        let known: Option<&Self> = status.source().and_then(|source| source.downcast_ref());
        match known.filter(|error| error.code() == status.code()) {
            Some(error) => error.clone().in_words_of(&status),
            None => Self::from_status_parts(Kind::Other, Disposition::Unknown, status),
        }
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
    /// Looks for what the box holds: an [`Error`], a [`Status`], a transport failure, or a text. The first three are found in the
    /// source chain too, where a wrapper's own error keeps them. An I/O error by itself may as well be that of a file: a transport of
    /// your own says that it is its own with [`Error::transport`].
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(known) => return *known,
            Err(error) => error,
        };
        let error = match error.downcast::<Status>() {
            Ok(status) => return (*status).into(),
            Err(error) => error,
        };
        if let Some(known) = cause::find::<Self>(error.as_ref()) {
            return known.clone();
        }
        if cause::is_known(error.as_ref()) {
            return Self::transport(error);
        }
        if let Some(status) = cause::find::<Status>(error.as_ref()) {
            return Self::from(status.clone()).caused_by(Arc::from(error));
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
