//! How queries look in files: a line of the query log, an entry of the file of active queries.
//!
//! Both are upstream's, field for field, so that what reads them there reads them here.

use promql::QueryRecord;

use crate::json::Json;
use crate::params::format_rfc3339;
use crate::query::write_stats;

/// One query as a line of `global.query_log_file`, with its end of line.
#[must_use]
pub fn query_log_line(record: &QueryRecord<'_>) -> Vec<u8> {
    let mut json = Json::new();
    json.object(|json| {
        json.key("time").text(&format_rfc3339(record.ended_ns));
        json.key("level").text("INFO");
        json.key("source").text("promql::engine");
        json.key("msg").text("promql query logged");
        json.key("params").object(|json| {
            json.key("end").text(&date(record.asked.end_ms));
            json.key("query").plain_text(record.query);
            json.key("start").text(&date(record.asked.start_ms));
            json.key("step").int(record.asked.step_ms / 1000);
        });
        if let Some(error) = record.error {
            json.key("error").plain_text(error);
        }
        write_stats(json.key("stats"), record.stats);
        // There is no tracing; this is what upstream writes without it.
        json.key("spanID").text("0000000000000000");
        json.key("traceID").text("00000000000000000000000000000000");
        if let Some(origin) = record.origin {
            json.key("httpRequest").object(|json| {
                let client = origin.client.map(|ip| ip.to_string());
                json.key("clientIP").text(&client.unwrap_or_default());
                json.key("method").text(&origin.method);
                json.key("path").plain_text(&origin.path);
            });
        }
    });
    let mut line = json.into_bytes();
    line.push(b'\n');
    line
}

/// A query as an entry of `queries.active`, of at most `bytes_max` bytes: a long text is cut before
/// it is written, and once more if escapes have made it too long, so that the entry is whole.
#[must_use]
pub fn active_query_entry(query: &str, now_s: i64, bytes_max: usize) -> Vec<u8> {
    let entry = |query: &str| {
        let mut json = Json::new();
        json.object(|json| {
            json.key("query").text(query);
            json.key("timestamp_sec").int(now_s);
        });
        json.into_bytes()
    };
    let room = bytes_max.saturating_sub(entry("").len());
    let mut query = &query[..query.floor_char_boundary(room)];
    loop {
        let bytes = entry(query);
        let over = bytes.len().saturating_sub(bytes_max);
        if over == 0 || query.is_empty() {
            return bytes;
        }
        // No byte becomes more than six.
        query = &query[..query.floor_char_boundary(query.len() - over.div_ceil(6))];
    }
}

/// A time with milliseconds, all three of them.
fn date(time_ms: i64) -> String {
    let seconds_ms = time_ms.div_euclid(1000) * 1000;
    let text = format_rfc3339(seconds_ms.saturating_mul(1_000_000));
    let seconds = text.trim_end_matches('Z');
    format!("{seconds}.{:03}Z", time_ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use promql::{Asked, Origin, QueryStats};

    use super::*;

    #[test]
    fn lines_are_upstreams() {
        let origin = Origin {
            client: Some([127, 0, 0, 1].into()),
            method: "GET".to_owned(),
            path: "/api/v1/query".to_owned(),
        };
        let record = QueryRecord {
            query: r#"up{a="<b>&"}"#,
            asked: Asked {
                start_ms: 1_700_000_000_123,
                end_ms: 1_700_000_100_000,
                step_ms: 15_700,
            },
            origin: Some(&origin),
            stats: &QueryStats::default(),
            error: Some("invalid <re>"),
            ended_ns: 1_764_061_911_830_253_850,
        };
        let line = String::from_utf8(query_log_line(&record)).unwrap();
        assert_eq!(
            line,
            concat!(
                r#"{"time":"2025-11-25T09:11:51.83025385Z","level":"INFO","source":"promql::engine","#,
                r#""msg":"promql query logged","params":{"end":"2023-11-14T22:15:00.000Z","#,
                r#""query":"up{a=\"<b>&\"}","start":"2023-11-14T22:13:20.123Z","step":15},"#,
                r#""error":"invalid <re>","stats":{"timings":{"evalTotalTime":0,"#,
                r#""resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0,"#,
                r#""execQueueTime":0,"execTotalTime":0},"samples":{"totalQueryableSamples":0,"#,
                r#""samplesRead":0,"peakSamples":0}},"spanID":"0000000000000000","#,
                r#""traceID":"00000000000000000000000000000000","#,
                r#""httpRequest":{"clientIP":"127.0.0.1","method":"GET","path":"/api/v1/query"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn entries_are_whole_however_long_the_query() {
        let entry = |query: &str| String::from_utf8(active_query_entry(query, 7, 999)).unwrap();
        assert_eq!(entry("<a"), r#"{"query":"\u003ca","timestamp_sec":7}"#);
        for query in ["x".repeat(5000), "é".repeat(5000), "\"\n<".repeat(5000)] {
            let entry = entry(&query);
            assert!(entry.len() <= 999, "{}", entry.len());
            assert!(entry.ends_with(r#"","timestamp_sec":7}"#), "{entry}");
        }
    }
}
