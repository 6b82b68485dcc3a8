//! Text pages with their classic histograms as native ones with custom buckets.
//!
//! The lines of a classic histogram follow each other. They are collected until a line of something
//! else comes; then the histogram is handed out before that line. Only lines whose family was said
//! to be a histogram are collected. Each such line is taken apart into labels on every scrape, so
//! this costs some 20 times what the plain text parser does; pages of other lines it reads at the
//! plain parser's speed.

use model::MetricType;
use model::names::{is_legacy_label_name, is_legacy_metric_name};

use crate::custom_buckets::{ClassicHistogram, Converted};
use crate::{
    Entry, Exemplar, HistogramSample, HistogramValue, ParseError, Parser, Sample, SeriesLabels,
};

/// Pulls the entries out of a text page.
#[derive(Debug)]
pub struct ConvertingParser<'a> {
    parser: Parser<'a>,
    keep_classic: bool,
    /// The family that the last `# TYPE` line named, if that is a histogram.
    family: Option<&'a [u8]>,
    labels: SeriesLabels,
    classic: ClassicHistogram,
    /// Whether a histogram is being collected; what follows is of it.
    is_collecting: bool,
    series: String,
    timestamp_ms: Option<i64>,
    start_ms: i64,
    exemplars: Vec<Exemplar<'a>>,
    /// The text of the histogram that a line belongs to, while it is looked at.
    series_of_line: String,
    converted: Option<Converted>,
    /// The entry that ended the histogram: it comes next.
    held: Option<Held<'a>>,
}

#[derive(Debug, Clone, Copy)]
enum Held<'a> {
    Entry(Entry<'a>),
    End,
}

/// What a line says about its histogram.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

impl<'a> ConvertingParser<'a> {
    /// Reads what `parser` reads. The classic lines are handed out too if `keep_classic` says so.
    #[must_use]
    pub fn new(parser: Parser<'a>, keep_classic: bool) -> ConvertingParser<'a> {
        ConvertingParser {
            parser,
            keep_classic,
            family: None,
            labels: SeriesLabels::new(),
            classic: ClassicHistogram::default(),
            is_collecting: false,
            series: String::new(),
            timestamp_ms: None,
            start_ms: 0,
            exemplars: Vec::new(),
            series_of_line: String::new(),
            converted: None,
            held: None,
        }
    }

    /// The next entry; `None` after the last one.
    ///
    /// # Errors
    /// If the page is malformed here. Nothing that came before may be used then, and what further
    /// calls answer means nothing.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        loop {
            let next = match self.held.take() {
                Some(held) => held,
                None => {
                    let next = self.parser.next()?.map_or(Held::End, Held::Entry);
                    if self.ends_histogram(&next) && self.convert() {
                        self.held = Some(next);
                        return Ok(self.histogram());
                    }
                    next
                }
            };
            match next {
                Held::End => return Ok(None),
                Held::Entry(Entry::Sample(mut sample)) => {
                    if !self.collect(&mut sample) || self.keep_classic {
                        return Ok(Some(Entry::Sample(sample)));
                    }
                }
                Held::Entry(entry) => {
                    if let Entry::Type { family, kind } = entry {
                        self.family = (kind == MetricType::Histogram).then_some(family);
                    }
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// The histogram that was converted last.
    fn histogram(&self) -> Option<Entry<'_>> {
        let value = match self.converted.as_ref()? {
            Converted::Integer(histogram) => HistogramValue::Integer(histogram),
            Converted::Float(histogram) => HistogramValue::Float(histogram),
        };
        Some(Entry::Histogram(HistogramSample {
            series: self.series.as_bytes(),
            value,
            timestamp_ms: self.timestamp_ms,
            start_ms: self.start_ms,
            exemplars: &self.exemplars,
        }))
    }

    fn ends_histogram(&mut self, next: &Held<'a>) -> bool {
        if !self.is_collecting {
            return false;
        }
        let Held::Entry(Entry::Sample(sample)) = next else {
            return true;
        };
        self.family.is_none() || self.part(sample).is_none() || self.series != self.series_of_line
    }

    /// Ends the histogram that is being collected; whether one came of it.
    fn convert(&mut self) -> bool {
        self.is_collecting = false;
        let converted = self.classic.convert().ok().filter(|converted| {
            let checked = match converted {
                Converted::Integer(histogram) => histogram.validate(),
                Converted::Float(histogram) => histogram.validate(),
            };
            checked.is_ok()
        });
        self.converted = converted;
        self.converted.is_some()
    }

    /// Adds a line to its histogram, and takes its exemplar; `false` if it is of none.
    fn collect(&mut self, sample: &mut Sample<'a>) -> bool {
        let Some(part) = self.part(sample) else {
            return false;
        };
        if !self.is_collecting {
            self.is_collecting = true;
            self.classic.clear();
            self.exemplars.clear();
            std::mem::swap(&mut self.series, &mut self.series_of_line);
            self.timestamp_ms = sample.timestamp_ms;
            self.start_ms = sample.start_ms;
        }
        self.exemplars.extend(sample.exemplar.take());
        match part {
            Part::Bucket(bound) => self.classic.set_bucket(bound, sample.value),
            Part::Count => self.classic.set_count(sample.value),
            Part::Sum => self.classic.set_sum(sample.value),
        }
        true
    }

    /// What a line says about a histogram of the current family, whose text then is in
    /// `series_of_line`.
    fn part(&mut self, sample: &Sample<'a>) -> Option<Part> {
        let family = self.family?;
        self.labels.read(sample.series, sample.kind).ok()?;
        let value_of = |wanted: &str| {
            let mut labels = self.labels.iter();
            labels
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value)
        };
        let name = value_of(model::METRIC_NAME)?;
        let suffix = name.as_bytes().strip_prefix(family)?;
        let part = match suffix {
            b"_bucket" => {
                let bound = gocompat::strconv::parse_float(value_of("le")?).ok()?;
                Part::Bucket(Some(bound).filter(|bound| !bound.is_nan())?)
            }
            b"_count" => Part::Count,
            b"_sum" => Part::Sum,
            _ => return None,
        };
        let base = &name[..name.len() - suffix.len()];
        let labels = self.labels.iter();
        let labels = labels.filter(|(name, _)| *name != "le" && *name != model::METRIC_NAME);
        write_series(&mut self.series_of_line, base, labels);
        Some(part)
    }
}

/// Writes a series as text pages do.
fn write_series<'l>(
    out: &mut String,
    name: &str,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
) {
    out.clear();
    let is_plain_name = is_legacy_metric_name(name);
    if is_plain_name {
        out.push_str(name);
    }
    out.push('{');
    if !is_plain_name {
        push_quoted(out, name);
        out.push(',');
    }
    for (name, value) in labels {
        if is_legacy_label_name(name) {
            out.push_str(name);
        } else {
            push_quoted(out, name);
        }
        out.push('=');
        push_quoted(out, value);
        out.push(',');
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push('}');
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{CreatedSeries, Format, ParserOptions};

    fn dump(page: &str, format: Format, keep_classic: bool) -> String {
        let created = CreatedSeries::Keep;
        let parser = Parser::new(page.as_bytes(), ParserOptions { format, created });
        let mut parser = ConvertingParser::new(parser, keep_classic);
        let mut labels = SeriesLabels::new();
        let mut out = String::new();
        while let Some(entry) = parser.next().unwrap() {
            out += &match entry {
                Entry::Sample(sample) => {
                    let series = String::from_utf8_lossy(sample.series);
                    let exemplar = if sample.exemplar.is_some() { " #" } else { "" };
                    format!("{series} {}{exemplar}\n", sample.value)
                }
                Entry::Histogram(sample) => {
                    labels.read(sample.series, MetricType::Unknown).unwrap();
                    let pairs: Vec<_> = labels.iter().collect();
                    let (value, time) = (sample.value, sample.timestamp_ms);
                    let value = match value {
                        HistogramValue::Integer(histogram) => histogram.to_float().to_string(),
                        HistogramValue::Float(histogram) => format!("float {histogram}"),
                    };
                    let exemplars = sample.exemplars.len();
                    format!("{pairs:?} {value} {time:?} exemplars: {exemplars}\n")
                }
                Entry::Type { .. } => "type\n".to_owned(),
                _ => "other\n".to_owned(),
            };
        }
        out
    }

    #[track_caller]
    fn check(page: &str, keep_classic: bool, want: &Expect) {
        want.assert_eq(&dump(page, Format::PrometheusText, keep_classic));
    }

    const PAGE: &str = "# TYPE h histogram\n\
        h_bucket{a=\"1\",le=\"1\"} 1\n\
        h_bucket{a=\"1\",le=\"+Inf\"} 3\n\
        h_sum{a=\"1\"} 4.5\n\
        h_count{a=\"1\"} 3\n\
        h_count{a=\"2 \\\"\"} 2.5 77\n\
        h_bucket{le=\"+Inf\",a=\"2 \\\"\"} 2.5 77\n\
        h_bucket{le=\"x\"} 1\n\
        h 8\n\
        # HELP g Not a histogram.\n\
        g_bucket{le=\"1\"} 1\n\
        # TYPE g gauge\n\
        h_count 1\n";

    #[test]
    fn histograms_take_the_place_of_their_lines() {
        check(
            PAGE,
            false,
            &expect![[r#"
            type
            [("__name__", "h"), ("a", "1")] {count:3, sum:4.5, [-Inf,1]:1, (1,+Inf]:2} None exemplars: 0
            [("__name__", "h"), ("a", "2 \"")] float {count:2.5, sum:0, [-Inf,+Inf]:2.5} Some(77) exemplars: 0
            h_bucket{le="x"} 1
            h 8
            other
            g_bucket{le="1"} 1
            type
            h_count 1
        "#]],
        );
        check(
            PAGE,
            true,
            &expect![[r#"
            type
            h_bucket{a="1",le="1"} 1
            h_bucket{a="1",le="+Inf"} 3
            h_sum{a="1"} 4.5
            h_count{a="1"} 3
            [("__name__", "h"), ("a", "1")] {count:3, sum:4.5, [-Inf,1]:1, (1,+Inf]:2} None exemplars: 0
            h_count{a="2 \""} 2.5
            h_bucket{le="+Inf",a="2 \""} 2.5
            [("__name__", "h"), ("a", "2 \"")] float {count:2.5, sum:0, [-Inf,+Inf]:2.5} Some(77) exemplars: 0
            h_bucket{le="x"} 1
            h 8
            other
            g_bucket{le="1"} 1
            type
            h_count 1
        "#]],
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        check(
            "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 1\nh_sum{a=\"1\"} 1\n\
             # TYPE h histogram\n",
            false,
            &expect![[r#"
                type
                [("__name__", "h"), ("a", "1")] {count:0, sum:1} None exemplars: 0
                type
            "#]],
        );
    }

    #[test]
    fn names_need_not_be_plain_and_exemplars_go_along() {
        let page = "# TYPE \"my.h\" histogram\n\
             {\"my.h_bucket\",\"a b\"=\"1\",le=\"1.0\"} 1 # {t=\"1\"} 0.5 7\n\
             {\"my.h_count\",\"a b\"=\"1\"} 1\n# EOF\n";
        expect![[r#"
            type
            [("__name__", "my.h"), ("a b", "1")] {count:1, sum:0, [-Inf,1]:1} None exemplars: 1
        "#]]
        .assert_eq(&dump(page, Format::OpenMetrics, false));
    }
}
