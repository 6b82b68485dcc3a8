//! Asking a target: the headers of a scrape, and a seam for tests.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use config::{EscapingScheme, ScrapeConfig, ScrapeProtocol};
use http::header::{ACCEPT, HeaderName, HeaderValue, USER_AGENT};
use http_client::{Connection, Request, RequestOptions};

use crate::target::Target;

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FetchError {
    /// The body is larger than `body_size_limit`.
    BodySizeLimit,
    /// Anything else, as users see it.
    Other(String),
}

impl std::fmt::Display for FetchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FetchError::BodySizeLimit => "body size limit exceeded",
            FetchError::Other(text) => text,
        })
    }
}

/// The content type of an answer, or why there is none.
pub(crate) type Fetched = Result<String, FetchError>;

/// Asks one target again and again.
pub(crate) trait Fetch: Send {
    /// Asks once; `body` then holds the unpacked body. May be dropped in the middle.
    fn fetch<'a>(
        &'a mut self,
        body: &'a mut Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Fetched> + Send + 'a>>;
}

/// Makes what asks a target.
pub(crate) type MakeFetch = Box<dyn Fn(&Target, &ScrapeConfig) -> Box<dyn Fetch> + Send + Sync>;

/// Over HTTP.
pub(crate) struct HttpFetch {
    connection: Connection,
    request: Result<Request, http_client::Error>,
}

impl HttpFetch {
    pub(crate) fn new(target: &Target, config: &ScrapeConfig, user_agent: &str) -> HttpFetch {
        let timeout_ms = target.timeout_ms.max(0);
        let accept = accept_header(&config.scrape_protocols, config.escaping_scheme);
        let timeout_s = gocompat::strconv::format_float_f(timeout_ms as f64 / 1_000.0);
        let headers = [
            (ACCEPT, accept.as_str()),
            (USER_AGENT, user_agent),
            (TIMEOUT_HEADER, &timeout_s),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| {
            // A user agent that is no header value is left out rather than failing every scrape.
            HeaderValue::from_str(value).ok().map(|value| (name, value))
        });
        let options = RequestOptions {
            headers: headers.collect(),
            accept_gzip: config.enable_compression,
            timeout: Duration::from_millis(timeout_ms.unsigned_abs()),
            body_bytes_max: config.limits.body_size_limit,
            follow_redirects: config.http.follow_redirects,
        };
        HttpFetch {
            connection: Connection::new(),
            request: Request::get(&target.url_text, options),
        }
    }
}

impl Fetch for HttpFetch {
    fn fetch<'a>(
        &'a mut self,
        body: &'a mut Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Fetched> + Send + 'a>> {
        Box::pin(async move {
            let answer = match &self.request {
                Ok(request) => self.connection.get(request, body).await,
                Err(error) => Err(error.clone()),
            };
            match answer {
                Ok(response) => Ok(response.content_type().to_owned()),
                Err(http_client::Error::BodySizeLimit) => Err(FetchError::BodySizeLimit),
                Err(error) => Err(FetchError::Other(error.to_string())),
            }
        })
    }
}

/// The `Accept` header: the protocols in order, with falling weights, then anything. The weight of
/// the first is fixed by the number of protocols that exist. Only the newer text formats know an
/// escaping scheme.
fn accept_header(protocols: &[ScrapeProtocol], escaping: EscapingScheme) -> String {
    let mut weight = ScrapeProtocol::ALL.len() + 1;
    let mut header = String::new();
    for protocol in protocols {
        header.push_str(protocol.media_type());
        if matches!(
            protocol,
            ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::OpenMetricsText1_0_0
        ) {
            header.push_str(";escaping=");
            header.push_str(escaping.as_str());
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1);
    }
    header.push_str(&format!("*/*;q=0.{weight}"));
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T07
    #[test]
    fn accept_weights_begin_at_six_tenths() {
        assert_eq!(
            accept_header(&ScrapeProtocol::DEFAULT, EscapingScheme::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(
            accept_header(
                &[ScrapeProtocol::PrometheusText1_0_0],
                EscapingScheme::Underscores
            ),
            "text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5"
        );
        assert_eq!(
            accept_header(
                &[
                    ScrapeProtocol::PrometheusProto,
                    ScrapeProtocol::PrometheusText0_0_4
                ],
                EscapingScheme::AllowUtf8
            ),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
        );
    }
}
