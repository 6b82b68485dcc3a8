//! Pages and what is read out of them. The expected errors are Prometheus's.

use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::SeriesLabels;
use crate::entry::unescape_help;

fn text_of(labels: ExemplarLabels<'_>) -> &[u8] {
    match labels {
        ExemplarLabels::Text(text) | ExemplarLabels::Protobuf(text) => text,
    }
}

fn options(format: Format) -> ParserOptions {
    ParserOptions {
        format,
        created: CreatedSeries::Keep,
    }
}

/// One line an entry, and the end.
fn dump(page: &[u8], options: ParserOptions) -> String {
    let mut parser = Parser::new(page, options);
    let mut out = String::new();
    loop {
        match parser.next() {
            Ok(Some(entry)) => dump_entry(&mut out, &entry, options.format),
            Ok(None) => return out + "end\n",
            Err(error) => {
                let _ = writeln!(out, "error: {error}");
                return out;
            }
        }
    }
}

fn dump_entry(out: &mut String, entry: &Entry<'_>, format: Format) {
    let _ = match entry {
        Entry::Sample(sample) => {
            let _ = write!(
                out,
                "{} = {:?} {:?}",
                quote(sample.series),
                sample.value,
                sample.timestamp_ms
            );
            if let Some(exemplar) = &sample.exemplar {
                let _ = write!(
                    out,
                    " exemplar {} = {:?} {:?}",
                    quote(text_of(exemplar.labels)),
                    exemplar.value,
                    exemplar.timestamp_ms
                );
            }
            writeln!(out)
        }
        Entry::Type { family, kind } => writeln!(out, "type {} {kind}", quote(family)),
        Entry::Help { family, text } => {
            writeln!(
                out,
                "help {} {:?}",
                quote(family),
                unescape_help(text, format)
            )
        }
        Entry::Histogram(_) => writeln!(out, "histogram"),
        Entry::Unit { family, unit } => writeln!(out, "unit {} {}", quote(family), quote(unit)),
        Entry::Comment(text) => writeln!(out, "comment {}", quote(text)),
    };
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "reads better at the call")]
fn check_classic(page: &[u8], want: Expect) {
    want.assert_eq(&dump(page, options(Format::PrometheusText)));
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "reads better at the call")]
fn check_openmetrics(page: &[u8], want: Expect) {
    want.assert_eq(&dump(page, options(Format::OpenMetrics)));
}

#[test]
fn classic_pages() {
    check_classic(
        b"",
        expect![[r#"
        end
    "#]],
    );
    check_classic(
        b"# HELP a_total Some\\thing \\\\ with\\nlines.\n# TYPE a_total counter\n\
          a_total{code=\"200\",path=\"/\\\"x\\\"\"} 12 1520879607789\n\
          a_total{code=\"500\",} 1.5e-3\n\n# a comment\n#another\n\
          b\t 1\t2 \n c{ d = \"e\" } NaN\n# HELP b\n# HELP \"q.x\" quoted\n\
          {\"q.x\",\"l.1\"=\"\xc3\xa9\"} -Inf\nlast 3",
        expect![[r##"
            help "a_total" "Some\\thing \\ with\nlines."
            type "a_total" counter
            "a_total{code=\"200\",path=\"/\\\"x\\\"\"}" = 12.0 Some(1520879607789)
            "a_total{code=\"500\",}" = 0.0015 None
            comment "# a comment"
            comment "#another"
            "b" = 1.0 Some(2)
            " c{ d = \"e\" }" = NaN None
            help "b" ""
            help "q.x" "quoted"
            "{\"q.x\",\"l.1\"=\"é\"}" = -inf None
            "last" = 3.0 None
            end
        "##]],
    );
    // A carriage return is part of the value or of a comment, and no blank.
    check_classic(
        b"# x\r\na 1\r\n",
        expect![[r##"
        comment "# x\r"
        error: strconv.ParseFloat: parsing "1\r": invalid syntax while parsing: "a 1\r"
    "##]],
    );
    // A zero byte at the beginning of a line ends the page.
    check_classic(
        b"a 1\n\0 nonsense\n",
        expect![[r#"
        "a" = 1.0 None
        end
    "#]],
    );
    // Commas between labels may be missing.
    check_classic(
        b"a{b=\"c\"d=\"e\"}1\n",
        expect![[r#"
        "a{b=\"c\"d=\"e\"}" = 1.0 None
        end
    "#]],
    );
}

#[test]
fn classic_errors() {
    for (page, want) in [
        (
            &b"a\n"[..],
            r##"expected value after metric, got "\n" ("INVALID") while parsing: "a\n""##,
        ),
        (
            b"a",
            r##"expected value after metric, got "\n" ("INVALID") while parsing: "a\n""##,
        ),
        (
            b"a{b='c'} 1\n",
            r##"expected label value, got "'" ("INVALID") while parsing: "a{b='""##,
        ),
        (
            b"a{b=\"c\n",
            r##"expected label value, got "\"c\n\n" ("INVALID") while parsing: "a{b=\"c\n\n""##,
        ),
        (
            b"a{b=\"\xff\"} 1\n",
            r##"invalid UTF-8 label value: "\"\xff\"""##,
        ),
        (
            b"a{=\"c\"} 1\n",
            r##"expected label name, got "=\"" ("EQUAL") while parsing: "a{=\"""##,
        ),
        (
            b"a{b} 1\n",
            r##"expected equal, got "} " ("BCLOSE") while parsing: "a{b} ""##,
        ),
        (
            b"a{b=\"c\"} x\n",
            r##"strconv.ParseFloat: parsing "x": invalid syntax while parsing: "a{b=\"c\"} x""##,
        ),
        (
            b"a 0x1p-3\n",
            r##"unsupported character in float while parsing: "a 0x1p-3""##,
        ),
        (
            b"a 1 1.5\n",
            r##"expected next entry after timestamp, got "." ("INVALID") while parsing: "a 1 1.""##,
        ),
        (
            b"a 1 99999999999999999999\n",
            r##"strconv.ParseInt: parsing "99999999999999999999": value out of range while parsing: "a 1 99999999999999999999""##,
        ),
        (
            b"a 1 2 3\n",
            r##"expected next entry after timestamp, got "3\n" ("TIMESTAMP") while parsing: "a 1 2 3\n""##,
        ),
        (
            b"9a 1\n",
            r##"expected a valid start token, got "9" ("INVALID") while parsing: "9""##,
        ),
        (
            b"{a=\"b\"} 1\n",
            r##"metric name not set while parsing: "{a=\"b\"} 1""##,
        ),
        (
            b"a{\"b\"} 1\n",
            r##"metric name already set while parsing: "a{\"b\"}""##,
        ),
        (b"# TYPE a enum\n", r##"invalid metric type "enum""##),
        (b"# TYPE a unknown\n", r##"invalid metric type "unknown""##),
        (
            b"# TYPE \n",
            r##"expected metric name after TYPE, got "\n" ("INVALID") while parsing: "# TYPE \n""##,
        ),
        (
            b"# HELP a \xff\n",
            r##"help text "\xff" is not a valid utf8 string"##,
        ),
    ] {
        let got = dump(page, options(Format::PrometheusText));
        let last = got.lines().last().unwrap().replacen("error: ", "", 1);
        assert_eq!(last, want, "{}", quote(page));
    }
}

#[test]
fn openmetrics_pages() {
    check_openmetrics(
        b"# EOF\n",
        expect![[r#"
        end
    "#]],
    );
    check_openmetrics(
        b"# HELP a A \\\"help\\\" text.\n# TYPE a histogram\n# UNIT a \n\
          a_bucket{le=\"1\"} 3 # {trace_id=\"x\\\"y\"} 0.5 1520879607.789\n\
          a_count 3 1520879607.789 # {} 4\na_created 1520872607.123\n\
          # TYPE b_seconds info\n# UNIT b_seconds seconds\n\
          {\"c.d\",e=\"f\"} -1e3 -0.0015\n# EOF",
        expect![[r#"
            help "a" "A \"help\" text."
            type "a" histogram
            unit "a" ""
            "a_bucket{le=\"1\"}" = 3.0 None exemplar "trace_id=\"x\\\"y\"}" = 0.5 Some(1520879607789)
            "a_count" = 3.0 Some(1520879607789) exemplar "}" = 4.0 None
            "a_created" = 1520872607.123 None
            type "b_seconds" info
            unit "b_seconds" "seconds"
            "{\"c.d\",e=\"f\"}" = -1000.0 Some(-1)
            end
        "#]],
    );
}

#[test]
fn openmetrics_errors() {
    for (page, want) in [
        (&b""[..], "data does not end with # EOF"),
        (b"a 1\n", "data does not end with # EOF"),
        (b"a 1", "data does not end with # EOF"),
        (b"# EOF\na 1\n", "unexpected data after # EOF"),
        (
            b"\n# EOF\n",
            r##"expected a valid start token, got "\n" ("INVALID") while parsing: "\n""##,
        ),
        (
            b"a  1\n# EOF\n",
            r##"expected value after metric, got "  " ("INVALID") while parsing: "a  ""##,
        ),
        (
            b"a 1 \n# EOF\n",
            r##"expected a valid start token, got "\n#" ("LINEBREAK") while parsing: "\n#""##,
        ),
        (
            b"a{b=\"c\" } 1\n# EOF\n",
            r##"expected comma or brace close, got " " ("INVALID") while parsing: "a{b=\"c\" ""##,
        ),
        (
            b"# comment\n# EOF\n",
            r##"expected a valid start token, got "# c" ("INVALID") while parsing: "# c""##,
        ),
        (
            b"# TYPE a untyped\n# EOF\n",
            r##"invalid metric type "untyped""##,
        ),
        (
            b"# UNIT a_seconds bytes\n# EOF\n",
            r##"unit "bytes" not a suffix of metric "a_seconds""##,
        ),
        (
            b"# UNIT seconds seconds\n# EOF\n",
            r##"unit "seconds" not a suffix of metric "seconds""##,
        ),
        (b"# HELP a\n# EOF\n", "expected text in HELP"),
        (b"a 1 NaN\n# EOF\n", "invalid timestamp NaN"),
        (b"a 1 +Inf\n# EOF\n", "invalid timestamp +Inf"),
        (
            b"a 1 # {a=\"b\"} 1 Inf\n# EOF\n",
            "invalid exemplar timestamp +Inf",
        ),
        (
            b"a 1 # {a=\"b\"}\n# EOF\n",
            r##"expected value after exemplar labels, got "\n" ("INVALID") while parsing: "a 1 # {a=\"b\"}\n""##,
        ),
        (
            b"a 1 # {\"b\"} 1\n# EOF\n",
            r##"expected label name, got "} " ("BCLOSE") while parsing: "a 1 # {\"b\"} ""##,
        ),
    ] {
        let got = dump(page, options(Format::OpenMetrics));
        let last = got.lines().last().unwrap().replacen("error: ", "", 1);
        assert_eq!(last, want, "{}", quote(page));
    }
}

#[test]
fn created_series_are_left_out_on_demand() {
    let page = b"# TYPE a counter\na_total 1\na_created 5\n{\"a_created\"} 6\n\
                 # TYPE b gauge\nb_created 1\n# EOF\n";
    let skip = ParserOptions {
        format: Format::OpenMetrics,
        created: CreatedSeries::AsStarts,
    };
    expect![[r#"
        type "a" counter
        "a_total" = 1.0 None
        type "b" gauge
        "b_created" = 1.0 None
        end
    "#]]
    .assert_eq(&dump(page, skip));
}

/// What samples say of their start, and what of that is right.
#[test]
fn created_series_are_starts() {
    let page = b"# HELP a text
# TYPE a counter
a_total{x=\"1\"} 1 # {t=\"1\"} 1
a_created{x=\"1\"} 1.5
a_total{x=\"2\"} 1
a_total{x=\"3\"} 1
a_created{x=\"3\"} 2
a_total{x=\"3\",y=\"\"} 1
# TYPE h histogram
h_bucket{x=\"a\\\"b\",le=\"1\"} 1
h_bucket{le=\"+Inf\",x=\"a\\\"b\"} 1
h_created{x=\"a\\\"b\"} 0.001
h_sum{x=\"a\\\"b\"} 1
h_count 1
# TYPE s summary
s{quantile=\"1\"} 1
s_sum 1
s_created -1
# TYPE g gauge
g 1
g_created 5
# TYPE c counter
c_total 1
# TYPE d counter
{\"d.x_total\",y=\"1\"} 1
{\"d.x_created\",y=\"1\"} 9
# TYPE \"e.x\" counter
{\"e.x_total\",y=\"1\"} 1
{\"e.x_created\",y=\"1\"} 9
# EOF
";
    let as_starts = ParserOptions {
        format: Format::OpenMetrics,
        created: CreatedSeries::AsStarts,
    };
    let mut parser = Parser::new(page, as_starts);
    let mut starts = Vec::new();
    loop {
        // Only what has no start can be predicted.
        let expected: [&[u8]; 2] = [b"g", b"s_sum"];
        if expected
            .iter()
            .any(|series| parser.next_predicted(series).is_some())
        {
            starts.push(("predicted".to_owned(), 0));
            continue;
        }
        match parser.next().unwrap() {
            None => break,
            Some(Entry::Sample(sample)) => {
                let name = crate::series::metric_name(sample.series);
                let name = String::from_utf8_lossy(name).into_owned();
                starts.push((name, sample.start_ms));
            }
            Some(_) => {}
        }
    }
    let starts: Vec<(&str, i64)> = starts.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    assert_eq!(
        starts,
        [
            ("a_total", 1_500),
            // The first line ahead is about another series.
            ("a_total", 0),
            ("a_total", 2_000),
            ("a_total", 0),
            ("h_bucket", 1),
            ("h_bucket", 1),
            // It may stand before.
            ("h_sum", 1),
            ("h_count", 0),
            ("s", -1_000),
            ("s_sum", -1_000),
            ("predicted", 0),
            ("g_created", 0),
            ("c_total", 0),
            // Not of the family that was named.
            ("d.x_total", 0),
            ("e.x_total", 9_000),
        ]
    );
}

/// The staleness marker never comes from a page.
#[test]
fn every_nan_is_the_ordinary_one() {
    let mut parser = Parser::new(b"a NaN\na -nan\n", options(Format::PrometheusText));
    let Ok(Some(Entry::Sample(sample))) = parser.next() else {
        panic!("no sample");
    };
    assert_eq!(sample.value.to_bits(), NORMAL_NAN_BITS);
    // Go reads no sign before it.
    assert!(parser.next().is_err());
    let mut parser = Parser::new(b"a NaN\n", options(Format::PrometheusText));
    let (value, _) = parser.next_predicted(b"a").unwrap();
    assert_eq!(value.to_bits(), NORMAL_NAN_BITS);
}

#[test]
fn predictions() {
    let page = b"a{b=\"c\"} 1\na{b=\"c\"}2\na 3 4\nab 5\na {b=\"c\"} 6\na x\n";
    let mut parser = Parser::new(page, options(Format::PrometheusText));
    assert_eq!(parser.next_predicted(b"a"), None);
    assert_eq!(parser.next_predicted(b"a{b=\"d\"}"), None);
    assert_eq!(parser.next_predicted(b"a{b=\"c\"}"), Some((1.0, None)));
    // Unusual: the lexer's.
    assert_eq!(parser.next_predicted(b"a{b=\"c\"}"), None);
    assert!(parser.next().is_ok_and(|entry| entry.is_some()));
    assert_eq!(parser.next_predicted(b"a"), Some((3.0, Some(4))));
    assert_eq!(parser.next_predicted(b"a"), None);
    assert_eq!(parser.next_predicted(b"ab"), Some((5.0, None)));
    assert_eq!(parser.next_predicted(b"a"), None);
    assert_eq!(parser.next_predicted(b"a {b=\"c\"}"), Some((6.0, None)));
    assert_eq!(parser.next_predicted(b"a"), None);
    assert!(parser.next().is_err());
}

const CLASSIC: &[u8] = b"# HELP h A histogram.\n# TYPE h histogram\n\
    h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\",x=\"\xc3\xa9\\n\",} 2.5 1000\n\
    h_sum -1e-7\n#c\n\n{\"q.r\",\"l\"=\"v\"} NaN\nz 1\n";

const OPENMETRICS: &[u8] = b"# HELP h A histogram.\n# TYPE h histogram\n# UNIT h_s s\n\
    h_bucket{le=\"1\"} 1 # {a=\"b\"} 3 4.5\nh_bucket{le=\"+Inf\",x=\"\xc3\xa9\\n\",} 2.5 10.25\n\
    h_created 1\n{\"q.r\",\"l\"=\"v\"} NaN\nz 1\n# EOF\n";

/// A change of a page: where (in 1/65536 of its length), how many bytes go, and what comes.
type Change = (u16, u8, Vec<u8>);

fn changed(page: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut page = page.to_vec();
    for (place, gone, new) in changes {
        let at = usize::from(*place) * (page.len() + 1) / 65_536;
        let end = (at + usize::from(*gone)).min(page.len());
        page.splice(at..end, new.iter().copied());
    }
    page
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = prop_oneof![
        prop::sample::select(b"{}\",=# \t\n\\a:9.e+-\0\r\xff\xc3".to_vec()).prop_map(|b| vec![b]),
        Just(b"# EOF\n".to_vec()),
        Just(b" # {a=\"b\"} 1".to_vec()),
        Just(b"\"a\"".to_vec()),
        Just(b"TYPE ".to_vec()),
        any::<u8>().prop_map(|b| vec![b]),
        Just(Vec::new()),
    ];
    prop::collection::vec((any::<u16>(), 0u8..3, bytes), 0..4)
}

/// The entries by the exact way alone.
fn dump_by_lexer(page: &[u8], options: ParserOptions) -> String {
    let mut parser = Parser::new(page, options);
    let mut out = String::new();
    loop {
        match parser.line() {
            Ok(Some(entry)) => dump_entry(&mut out, &entry, options.format),
            Ok(None) => return out + "end\n",
            Err(error) => {
                let _ = writeln!(out, "error: {error}");
                return out;
            }
        }
    }
}

fn is_malformed(read: &Result<(), crate::SeriesError>) -> bool {
    matches!(read, Err(crate::SeriesError::Malformed { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No page makes the parser panic or go on for ever; the plain way and the exact one agree; what
    /// it hands out can be predicted and has labels.
    #[test]
    fn any_page(openmetrics in any::<bool>(), changes in changes()) {
        let (page, format) = match openmetrics {
            true => (OPENMETRICS, Format::OpenMetrics),
            false => (CLASSIC, Format::PrometheusText),
        };
        let page = changed(page, &changes);
        let entries = dump(&page, options(format));
        prop_assert_eq!(&entries, &dump_by_lexer(&page, options(format)));

        let mut parser = Parser::new(&page, options(format));
        let mut predicting = Parser::new(&page, options(format));
        let mut labels = SeriesLabels::new();
        while let Ok(Some(entry)) = parser.next() {
            let predicted = match &entry {
                Entry::Sample(sample) => {
                    let read = labels.read(sample.series, sample.kind);
                    prop_assert!(!is_malformed(&read));
                    if let Some(exemplar) = &sample.exemplar {
                        let read = labels.read_exemplar(exemplar.labels);
                        prop_assert!(!is_malformed(&read));
                    }
                    predicting.next_predicted(sample.series).map(|(value, timestamp_ms)| {
                        (value.to_bits(), timestamp_ms) == (sample.value.to_bits(), sample.timestamp_ms)
                    })
                }
                _ => None,
            };
            match predicted {
                Some(equal) => prop_assert!(equal),
                None => prop_assert!(predicting.next().is_ok()),
            }
        }
    }

    #[test]
    fn any_bytes(page in prop::collection::vec(any::<u8>(), 0..200), openmetrics in any::<bool>()) {
        let format = if openmetrics { Format::OpenMetrics } else { Format::PrometheusText };
        dump(&page, options(format));
    }
}
