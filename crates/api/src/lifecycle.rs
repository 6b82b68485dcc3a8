//! Health, readiness, reload and quit.

use std::sync::atomic::Ordering;

use http::StatusCode;
use tokio::sync::oneshot;

use crate::app::{App, Call};
use crate::reply::{Reply, TEXT};

/// Preflight requests: the headers around it are the answer.
pub(crate) fn options(_: &App, _: &Call) -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}

/// The process answers.
pub(crate) fn healthy(app: &App, _: &Call) -> Reply {
    Reply::new(
        StatusCode::OK,
        TEXT,
        format!("{} is Healthy.\n", app.options.app_name),
    )
}

/// Only reached when the server is ready.
pub(crate) fn ready(app: &App, _: &Call) -> Reply {
    Reply::new(
        StatusCode::OK,
        TEXT,
        format!("{} is Ready.\n", app.options.app_name),
    )
}

/// A link must not end the server.
pub(crate) fn only_post(_: &App, _: &Call) -> Reply {
    let message = "Only POST or PUT requests allowed";
    Reply::new(StatusCode::METHOD_NOT_ALLOWED, TEXT, message)
}

fn not_enabled() -> Reply {
    Reply::new(StatusCode::FORBIDDEN, TEXT, "Lifecycle API is not enabled.")
}

pub(crate) fn quit(app: &App, _: &Call) -> Reply {
    if !app.options.enable_lifecycle {
        return not_enabled();
    }
    let message = if app.quitting.swap(true, Ordering::Relaxed) {
        "Termination already in progress."
    } else {
        app.deps.quit.cancel();
        "Requesting termination... Goodbye!"
    };
    Reply::new(StatusCode::OK, TEXT, message)
}

/// Asks for a reload and waits for how it went.
pub(crate) async fn reload(app: &App) -> Reply {
    if !app.options.enable_lifecycle {
        return not_enabled();
    }
    let (answer, outcome) = oneshot::channel();
    let outcome = match app.deps.reload.send(answer).await {
        Ok(()) => outcome.await.ok(),
        Err(_) => None,
    };
    let error = match outcome {
        Some(Ok(())) => return Reply::empty(StatusCode::OK),
        Some(Err(error)) => error,
        None => "the server is shutting down".to_owned(),
    };
    let message = format!("failed to reload config: {error}");
    Reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, &message)
}
