//! The page that both servers of a comparison scrape: series that exercise PromQL.

use std::fmt::Write as _;

/// The demo series at one tick, stamped. Values are a function of the tick alone.
pub(crate) fn demo(tick: i64, timestamp_ms: i64) -> String {
    let mut out = String::new();
    let mut line = |series: &str, value: &str| {
        let _ = writeln!(out, "{series} {value} {timestamp_ms}");
    };
    line(
        "# HELP tick Number of the page.\n# TYPE tick gauge\ntick",
        &tick.to_string(),
    );
    let wave = |shard: i64, period: f64| (tick as f64 / period + shard as f64).sin() * 40.0 + 50.0;
    for zone in ["eu-1", "eu-2", "us-1"] {
        let spread =
            zone.len() as i64 + i64::from(zone.as_bytes()[3]) + i64::from(zone.as_bytes()[0]);
        for shard in 1..=4 {
            let labels = format!("{{zone=\"{zone}\",shard=\"{shard}\"}}");
            line(
                &format!("demo_gauge{labels}"),
                &wave(shard + spread, 7.0).to_string(),
            );
            // Counters with different slopes; shard 3 starts again every 17 ticks.
            let since = if shard == 3 { tick % 17 } else { tick };
            let count = (since * since * shard + since * spread) as f64 / 4.0;
            line(&format!("demo_counter_total{labels}"), &count.to_string());
        }
        line(
            &format!(
                "demo_zone_limit{{zone=\"{zone}\",tier=\"t{}\"}}",
                spread % 2
            ),
            &(60 + spread % 7).to_string(),
        );
    }
    special(tick, &mut line);
    histogram(tick, &mut line);
    line("demo_time", &(1_700_000_000 + tick * 4_000_000).to_string());
    out.replacen(
        "demo_counter_total",
        "# HELP demo_counter_total Events, with resets.\n# TYPE demo_counter_total counter\ndemo_counter_total",
        1,
    )
}

/// Values that are no numbers, and a series with gaps.
fn special(tick: i64, line: &mut impl FnMut(&str, &str)) {
    for (kind, value) in [
        ("nan", "NaN"),
        ("inf", "+Inf"),
        ("neg", "-Inf"),
        ("zero", "-0"),
        ("big", "1.7e308"),
    ] {
        line(&format!("demo_special{{kind=\"{kind}\"}}"), value);
    }
    if tick % 10 < 6 {
        line("demo_sparse{zone=\"eu-1\"}", &tick.to_string());
    }
    if tick % 29 == 3 {
        line("demo_sparse{zone=\"eu-2\"}", &tick.to_string());
    }
}

fn histogram(tick: i64, line: &mut impl FnMut(&str, &str)) {
    for route in ["/", "/api"] {
        let weight = tick * (route.len() as i64);
        let mut count = 0;
        for (bound, share) in [("0.05", 3), ("0.1", 5), ("0.2", 9), ("1", 2), ("+Inf", 1)] {
            count += weight * share + share * (tick % 3);
            line(
                &format!("demo_latency_seconds_bucket{{route=\"{route}\",le=\"{bound}\"}}"),
                &count.to_string(),
            );
        }
        line(
            &format!("demo_latency_seconds_count{{route=\"{route}\"}}"),
            &count.to_string(),
        );
        let sum = count as f64 * 0.137;
        line(
            &format!("demo_latency_seconds_sum{{route=\"{route}\"}}"),
            &sum.to_string(),
        );
    }
}

/// Another server's page with a timestamp on every sample.
pub(crate) fn stamped(body: &str, timestamp_ms: i64) -> String {
    let mut out = String::with_capacity(body.len() * 2);
    for line in body.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            let _ = writeln!(out, "{line}");
        } else {
            let _ = writeln!(out, "{line} {timestamp_ms}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_stamped_and_unique() {
        for tick in [0, 1, 3, 59] {
            let text = demo(tick, 12_345);
            let samples: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
            assert!(samples.iter().all(|l| l.ends_with(" 12345")), "{text}");
            let mut names: Vec<&str> = samples
                .iter()
                .map(|l| l.rsplitn(3, ' ').nth(2).unwrap())
                .collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), samples.len());
            assert_eq!(text.matches("# TYPE demo_counter_total").count(), 1);
        }
        assert_eq!(
            stamped("# TYPE a gauge\na 1\n", 7),
            "# TYPE a gauge\na 1 7\n"
        );
    }
}
