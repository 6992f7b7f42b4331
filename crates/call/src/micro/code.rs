//! The two tables between go-micro's codes and gRPC's.

use tonic::Code;

/// The gRPC code that a go-micro server sends for an error with this `code` (go-micro v2 and v4 `server/grpc/error.go`).
///
/// Codes that are not in the table (0, 405, 429, 502, 504, …) become [`Code::Unknown`].
///
/// ```
/// use tonic::Code;
/// use tower_micro_call::micro::grpc_code;
///
/// assert_eq!(grpc_code(408), Code::DeadlineExceeded);
/// assert_eq!(grpc_code(429), Code::Unknown);
/// ```
pub const fn grpc_code(code: i32) -> Code {
    match code {
        200 => Code::Ok,
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 => Code::DeadlineExceeded,
        409 => Code::AlreadyExists,
        412 => Code::FailedPrecondition,
        500 => Code::Internal,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// The go-micro code that the v4 client gives to a gRPC status that carries no go-micro error
/// (go-micro/plugins v4 `client/grpc/error.go`).
///
/// Codes that are not in the table (cancelled, unknown, resource exhausted, aborted, out of range, data loss) become
/// 500. The v2 client has no table: there everything is 500.
///
/// ```
/// use tonic::Code;
/// use tower_micro_call::micro::from_grpc_code;
///
/// assert_eq!(from_grpc_code(Code::Unavailable), 503);
/// assert_eq!(from_grpc_code(Code::Cancelled), 500);
/// ```
pub const fn from_grpc_code(code: Code) -> i32 {
    match code {
        Code::Ok => 200,
        Code::InvalidArgument => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::DeadlineExceeded => 408,
        Code::AlreadyExists => 409,
        Code::FailedPrecondition => 412,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_server_table_comes_back_from_the_client_table() {
        for code in [200, 400, 401, 403, 404, 408, 409, 412, 500, 501, 503] {
            assert_eq!(from_grpc_code(grpc_code(code)), code);
        }
    }

    #[test]
    fn every_other_code_is_sent_as_unknown() {
        for code in [i32::MIN, -1, 0, 99, 405, 418, 429, 499, 502, 504, 999] {
            assert_eq!(grpc_code(code), Code::Unknown, "{code}");
        }
    }

    #[test]
    fn the_client_table_is_that_of_the_go_micro_v4_client() {
        let table = [
            200, 500, 500, 400, 408, 404, 409, 403, 500, 412, 500, 500, 501, 500, 503, 500, 401,
        ];
        for (code, expected) in (0..).zip(table) {
            assert_eq!(
                from_grpc_code(Code::from_i32(code)),
                expected,
                "gRPC code {code}"
            );
        }
    }
}
