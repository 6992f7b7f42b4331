//! A URL as it may be written down.

use ::http::Uri;

/// Without user and password, and without the query's text: both hold secrets.
pub(super) fn redacted(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map(|port| format!(":{port}"));
    let port = port.unwrap_or_default();
    let query = uri.query().map_or("", |_| "?REDACTED");
    format!("{scheme}://{host}{port}{}{query}", uri.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_query_are_left_out() {
        let uri = "https://ada:secret@example.com:8443/a/b?token=secret"
            .parse()
            .unwrap();
        assert_eq!(redacted(&uri), "https://example.com:8443/a/b?REDACTED");
        let bare = "http://[::1]/".parse().unwrap();
        assert_eq!(redacted(&bare), "http://[::1]/");
    }
}
