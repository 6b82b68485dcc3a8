//! What upstream has and this server does not have yet, refused by name; and what upstream refuses
//! in the same words unless a flag says otherwise.

use http::StatusCode;

use crate::app::{App, Call};
use crate::error::{ApiError, ErrorKind};
use crate::reply::Reply;

fn not_yet(what: &str) -> Reply {
    let message = format!("{what} not supported yet");
    ApiError::new(ErrorKind::Unavailable, message).into()
}

pub(crate) fn search(_: &App, _: &Call) -> Reply {
    ApiError::new(ErrorKind::Unavailable, "search API disabled").into()
}

pub(crate) fn self_metrics(_: &App, _: &Call) -> Reply {
    not_yet("own metrics as JSON are")
}

pub(crate) fn openapi(_: &App, _: &Call) -> Reply {
    not_yet("the description in OpenAPI is")
}

pub(crate) fn remote_write(_: &App, _: &Call) -> Reply {
    receiver_off(
        "remote write receiver needs to be enabled with --web.enable-remote-write-receiver",
    )
}

pub(crate) fn otlp(_: &App, _: &Call) -> Reply {
    receiver_off("otlp write receiver needs to be enabled with --web.enable-otlp-receiver")
}

pub(crate) fn remote_read(_: &App, _: &Call) -> Reply {
    receiver_off("remote read is not supported yet")
}

fn receiver_off(message: &str) -> Reply {
    Reply::plain_error(StatusCode::NOT_FOUND, message)
}
