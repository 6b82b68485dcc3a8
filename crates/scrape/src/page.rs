//! One page becomes a batch: parsing, the cache, relabelling and limits.
//!
//! Nothing here touches storage. New series are collected with their labels and get their
//! references only when the whole page is known to be good ([`Scratch::resolve`]): a page that is
//! refused leaves no trace.
//!
//! Cost of a line that stands where it stood last time: two short hashes, the number, one push.

use config::ScrapeConfig;
use exposition::{Entry, PageFormat, PageOptions, PageParser, SeriesLabels};
use model::{Labels, LabelsBuilder};
use storage::{AppendError, Sample, SeriesRef, TimedSample};

use crate::cache::{Keys, Line, SeriesCache, Walk, WalkState};
use crate::families::{FamilyStore, Interner, Said};
use crate::rules::{RuleError, SampleRules};

/// Samples further in the future than this are refused, as upstream does.
const AHEAD_MS_MAX: i64 = 10 * 60 * 1_000;

/// Why a page is refused as a whole; the text is the target's last error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Format(#[from] exposition::FormatError),
    #[error(transparent)]
    Parse(#[from] exposition::ParseError),
    #[error(transparent)]
    Series(#[from] exposition::SeriesError),
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error("sample limit exceeded")]
    SampleLimit,
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a page held. A refused page has counts too, up to where it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PageCounts {
    /// Sample lines.
    pub(crate) scraped: usize,
    /// Those that relabelling left.
    pub(crate) kept: usize,
    /// Series that the scrape before did not have.
    pub(crate) series_added: usize,
    /// Lines of a series that was there already.
    pub(crate) duplicates: usize,
    /// Samples too far in the future.
    pub(crate) out_of_bounds: usize,
}

/// Memory of one scrape, used again for the next one, of whichever target.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) walk: WalkState,
    /// Samples at the time of the scrape.
    pub(crate) samples: Vec<Sample>,
    /// Samples with times of their own.
    pub(crate) timed: Vec<TimedSample>,
    new: Vec<NewSeries>,
    /// Samples of new series: where they are, and where their series is in the walk.
    unresolved: Vec<(Place, u32)>,
    labels: SeriesLabels,
    builder: LabelsBuilder,
}

#[derive(Debug)]
struct NewSeries {
    labels: Labels,
    /// Where it is in the walk.
    at: u32,
}

/// A position in one of the two lists of samples.
#[derive(Debug, Clone, Copy)]
enum Place {
    Sample(usize),
    Timed(usize),
}

/// The memory of a page with more lines than this is not kept for the next scrape. It is some 130
/// bytes a line if all series are new, so 8 MB; there are about as many as workers of the runtime.
const RETAINED_LINES_MAX: usize = 1 << 16;

impl Scratch {
    /// Whether it is small enough to be kept.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.samples.capacity().max(self.timed.capacity()) <= RETAINED_LINES_MAX
    }

    /// Forgets the batch.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
        self.timed.clear();
        self.new.clear();
        self.unresolved.clear();
    }

    /// Gives the new series their references.
    ///
    /// # Errors
    /// The first error of `series`.
    pub(crate) fn resolve(
        &mut self,
        mut series: impl FnMut(&Labels) -> Result<SeriesRef, AppendError>,
    ) -> Result<(), AppendError> {
        let mut references = Vec::with_capacity(self.new.len());
        for new in &self.new {
            let reference = series(&new.labels)?;
            self.walk.resolve(new.at, reference);
            references.push((new.at, reference));
        }
        for &(place, at) in &self.unresolved {
            // New series were pushed in the order of the walk.
            let Ok(found) = references.binary_search_by_key(&at, |&(at, _)| at) else {
                continue;
            };
            let reference = references[found].1;
            match place {
                Place::Sample(index) => self.samples[index].series = reference,
                Place::Timed(index) => self.timed[index].series = reference,
            }
        }
        self.new.clear();
        self.unresolved.clear();
        Ok(())
    }
}

/// Reads the pages of one target.
pub(crate) struct PageReader<'a> {
    pub(crate) config: &'a ScrapeConfig,
    pub(crate) target_labels: &'a Labels,
    pub(crate) keys: &'a Keys,
    pub(crate) interner: &'a Interner,
    pub(crate) now_ms: i64,
}

impl PageReader<'_> {
    /// Reads a page into `scratch`. What `scratch` holds after an error means nothing.
    pub(crate) fn read(
        &self,
        page: &[u8],
        content_type: &str,
        cache: &SeriesCache,
        families: &mut FamilyStore,
        scratch: &mut Scratch,
    ) -> (PageCounts, Result<(), PageError>) {
        scratch.clear();
        let mut counts = PageCounts::default();
        let format = match self.format(content_type) {
            Ok(format) => format,
            Err(error) => return (counts, Err(error)),
        };
        let mut lines = Lines {
            reader: self,
            rules: SampleRules::new(self.config),
            walk: cache.walk(&mut scratch.walk),
            samples: &mut scratch.samples,
            timed: &mut scratch.timed,
            new: &mut scratch.new,
            unresolved: &mut scratch.unresolved,
            labels: &mut scratch.labels,
            builder: &mut scratch.builder,
            counts: &mut counts,
            sample_limit: match self.config.limits.sample_limit {
                0 => u64::MAX,
                limit => limit,
            },
            taken: 0,
        };
        families.begin();
        let mut outcome = lines.read(page, format, families);
        if outcome.is_ok() && lines.taken > lines.sample_limit {
            outcome = Err(PageError::SampleLimit);
        }
        families.end(outcome.is_ok());
        (counts, outcome)
    }

    fn format(&self, content_type: &str) -> Result<PageFormat, PageError> {
        let fallback = self.config.fallback_scrape_protocol;
        let choice = PageFormat::choose(
            content_type,
            fallback.map_or("", |protocol| bare_media_type(protocol.media_type())),
        )?;
        if let Some(warning) = choice.warning {
            tracing::debug!(
                scrape_pool = self.config.job_name,
                err = warning,
                "Invalid content type on scrape, using fallback setting."
            );
        }
        Ok(choice.format)
    }
}

/// A media type without its parameters.
fn bare_media_type(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or(media_type)
}

/// The state while one page is read.
struct Lines<'a, 'r> {
    reader: &'r PageReader<'r>,
    rules: SampleRules<'r>,
    walk: Walk<'a>,
    samples: &'a mut Vec<Sample>,
    timed: &'a mut Vec<TimedSample>,
    new: &'a mut Vec<NewSeries>,
    unresolved: &'a mut Vec<(Place, u32)>,
    labels: &'a mut SeriesLabels,
    builder: &'a mut LabelsBuilder,
    counts: &'a mut PageCounts,
    sample_limit: u64,
    /// Samples that count against the limit.
    taken: u64,
}

impl Lines<'_, '_> {
    fn read(
        &mut self,
        page: &[u8],
        format: PageFormat,
        families: &mut FamilyStore,
    ) -> Result<(), PageError> {
        let interner = self.reader.interner;
        let mut parser = PageParser::new(page, format, PageOptions::default());
        loop {
            if self.predicted_line(&mut parser) {
                continue;
            }
            let Some(entry) = parser.next()? else {
                return Ok(());
            };
            match entry {
                Entry::Sample(sample) => self.sample(&sample)?,
                Entry::Type { family, kind } => families.say(family, Said::Kind(kind), interner),
                Entry::Help { family, text } => {
                    let text = format.unescape_help(text);
                    families.say(family, Said::Help(&text), interner);
                }
                Entry::Unit { family, unit } => {
                    let unit = String::from_utf8_lossy(unit);
                    families.say(family, Said::Unit(&unit), interner);
                }
                // There are none: the options do not ask for them yet.
                Entry::Histogram(_) | Entry::Comment(_) => {}
            }
        }
    }

    /// Takes the next line if it is the one that stood here last time: the way of nearly all lines.
    #[inline]
    fn predicted_line(&mut self, parser: &mut PageParser<'_>) -> bool {
        let Some((entry, length)) = self.walk.predicted() else {
            return false;
        };
        let keys = self.reader.keys;
        let line = parser.next_if(length, |text| Walk::is_text_of(entry, text, keys));
        let Some((value, timestamp_ms)) = line else {
            return false;
        };
        let timestamp_ms = self.honoured(timestamp_ms);
        let line = self.walk.accept_predicted(self.is_tracked(timestamp_ms));
        self.known(line, value, timestamp_ms);
        true
    }

    fn sample(&mut self, sample: &exposition::Sample<'_>) -> Result<(), PageError> {
        let text = sample.series;
        let timestamp_ms = self.honoured(sample.timestamp_ms);
        let tracked = self.is_tracked(timestamp_ms);
        let hash = self.reader.keys.hash(text);
        let line = self.walk.find(hash, text.len(), tracked);
        if line != Line::Unknown {
            self.known(line, sample.value, timestamp_ms);
            return Ok(());
        }
        self.counts.scraped += 1;
        self.labels.read(text, sample.kind)?;
        let target = self.reader.target_labels;
        let labels = self.rules.apply(self.labels.iter(), target, self.builder)?;
        let Some(labels) = labels else {
            self.walk.add_dropped(hash, text.len());
            return Ok(());
        };
        self.counts.kept += 1;
        // A series is remembered only if its sample is taken: it must not get a marker later.
        if self.is_within_limit() && self.is_in_bounds(timestamp_ms) {
            let at = self.walk.add(hash, text.len(), tracked);
            self.new.push(NewSeries { labels, at });
            self.counts.series_added += 1;
            self.push_unresolved(at, sample.value, timestamp_ms);
        }
        Ok(())
    }

    /// A line that the cache, or this page, has had.
    #[inline]
    fn known(&mut self, line: Line, value: f64, timestamp_ms: Option<i64>) {
        self.counts.scraped += 1;
        if line == Line::Dropped {
            return;
        }
        self.counts.kept += 1;
        match line {
            // Several samples of a series are fine if each has its own time.
            Line::Repeated(_) | Line::RepeatedNew(_) if timestamp_ms.is_none() => {
                self.counts.duplicates += 1;
            }
            Line::Known(series) | Line::Repeated(series) => {
                if self.is_within_limit() && self.is_in_bounds(timestamp_ms) {
                    self.push(series, value, timestamp_ms);
                }
            }
            Line::RepeatedNew(at) => {
                if self.is_within_limit() && self.is_in_bounds(timestamp_ms) {
                    self.push_unresolved(at, value, timestamp_ms);
                }
            }
            Line::Dropped | Line::Unknown => {}
        }
    }

    fn honoured(&self, timestamp_ms: Option<i64>) -> Option<i64> {
        timestamp_ms.filter(|_| self.reader.config.honor_timestamps)
    }

    /// Whether the series of such a sample goes stale when it is gone.
    fn is_tracked(&self, timestamp_ms: Option<i64>) -> bool {
        timestamp_ms.is_none() || self.reader.config.track_timestamps_staleness
    }

    /// Counts a sample against the limit. The page is read on when it is exceeded, so that the
    /// report says how many there were.
    fn is_within_limit(&mut self) -> bool {
        self.taken += 1;
        self.taken <= self.sample_limit
    }

    fn is_in_bounds(&mut self, timestamp_ms: Option<i64>) -> bool {
        let latest = self.reader.now_ms + AHEAD_MS_MAX;
        let in_bounds = timestamp_ms.is_none_or(|time| time <= latest);
        self.counts.out_of_bounds += usize::from(!in_bounds);
        in_bounds
    }

    fn push(&mut self, series: SeriesRef, value: f64, timestamp_ms: Option<i64>) {
        match timestamp_ms {
            None => self.samples.push(Sample { series, value }),
            Some(timestamp_ms) => self.timed.push(TimedSample {
                series,
                timestamp_ms,
                value,
            }),
        }
    }

    fn push_unresolved(&mut self, at: u32, value: f64, timestamp_ms: Option<i64>) {
        let place = match timestamp_ms {
            None => Place::Sample(self.samples.len()),
            Some(_) => Place::Timed(self.timed.len()),
        };
        self.unresolved.push((place, at));
        self.push(SeriesRef(u64::MAX), value, timestamp_ms);
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
