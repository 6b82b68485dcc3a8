//! Rules, alerts and Alertmanagers. The configuration refuses rule files and Alertmanagers as long
//! as they are not supported, so that there are none: the answers are those of a server without
//! any, and the parameters are checked as ever.

use gocompat::strconv::{parse_int, quote};

use crate::app::{App, Call};
use crate::error::ApiError;
use crate::params;
use crate::reply::Reply;

/// `GET /api/v1/alerts`
pub(crate) fn alerts(_: &App, _: &Call) -> Reply {
    Reply::data(|json| json.object(|json| json.key("alerts").array(|_| {})))
}

/// `GET /api/v1/alertmanagers`
pub(crate) fn alertmanagers(_: &App, _: &Call) -> Reply {
    Reply::data(|json| {
        json.object(|json| {
            json.key("activeAlertmanagers").array(|_| {});
            json.key("droppedAlertmanagers").array(|_| {});
        });
    })
}

/// `GET /api/v1/rules`
pub(crate) fn rules(_: &App, call: &Call) -> Reply {
    check(call)
        .map(|()| Reply::data(|json| json.object(|json| json.key("groups").array(|_| {}))))
        .into()
}

fn check(call: &Call) -> Result<(), ApiError> {
    let form = &call.form;
    if let Some(error) = form.error() {
        return Err(ApiError::bad_data(format!(
            "error parsing form values: {error}"
        )));
    }
    params::matcher_sets(form).map_err(ApiError::bad_data)?;
    let kind = form.first_of_url("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        let message = format!("not supported value {}", quote(&kind));
        return Err(ApiError::parameter("type", message));
    }
    let exclude = form.first_of_url("exclude_alerts").to_lowercase();
    if !matches!(
        exclude.as_str(),
        "" | "1" | "t" | "true" | "0" | "f" | "false"
    ) {
        let message = format!(
            "error converting exclude_alerts: strconv.ParseBool: parsing {}: invalid syntax",
            quote(&exclude)
        );
        return Err(ApiError::parameter("exclude_alerts", message));
    }
    check_page(
        form.first_of_url("group_limit"),
        form.first_of_url("group_next_token"),
    )
}

fn check_page(group_limit: &str, next_token: &str) -> Result<(), ApiError> {
    let token = |message: String| Err(ApiError::parameter("group_next_token", message));
    if group_limit.is_empty() {
        return match next_token {
            "" => Ok(()),
            _ => token(
                "group_limit needs to be present in order to paginate over the groups".to_owned(),
            ),
        };
    }
    let limit = parse_int(group_limit, 10).map_err(|error| {
        let message = format!("group_limit needs to be a valid number: {error}");
        ApiError::parameter("group_limit", message)
    })?;
    if limit <= 0 {
        let message = "group_limit needs to be greater than 0".to_owned();
        return Err(ApiError::parameter("group_limit", message));
    }
    match next_token {
        "" => Ok(()),
        _ => token(format!(
            "invalid group_next_token '{next_token}'. were rule groups changed?"
        )),
    }
}
