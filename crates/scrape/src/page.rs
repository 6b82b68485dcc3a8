//! One page becomes a batch: parsing, the cache, relabelling and limits.
//!
//! Nothing here touches storage. New series are collected with their labels and get their
//! references only when the whole page is known to be good ([`Scratch::resolve`]): a page that is
//! refused leaves no trace.
//!
//! Cost of a line that stands where it stood last time: two short hashes, the number, one push.

use config::ScrapeConfig;
use exposition::{Entry, PageFormat, PageOptions, PageParser, SeriesLabels};
use model::histogram::HistogramError;
use model::{Labels, LabelsBuilder, METRIC_NAME, MetricType};
use storage::{AppendError, Sample, SeriesLimit, SeriesRef, StartTime, TimedSample};

use crate::besides::{Besides, CurrentFamily, PageExemplar, PageMetadata, ScrapeFeatures};
use crate::cache::{Form, Keys, Line, Manner, SeriesCache, UNRESOLVED, Walk, WalkState};
use crate::families::{FamilyStore, Interner, Said};
use crate::histograms::{Owned, PageHistogram, Resolution};
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
    #[error("histogram bucket limit exceeded")]
    BucketLimit,
    #[error(transparent)]
    Histogram(#[from] HistogramError),
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
    /// Native histograms.
    pub(crate) histograms: Vec<PageHistogram>,
    pub(crate) besides: Besides,
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

/// A position in one of the lists of samples.
#[derive(Debug, Clone, Copy)]
enum Place {
    Sample(usize),
    Timed(usize),
    Histogram(usize),
    Exemplar(usize),
    Start(usize),
    Metadata(usize),
}

/// Which series a sample goes to.
#[derive(Debug, Clone, Copy)]
enum Destination {
    Known(SeriesRef),
    /// A new one: where it is in the walk.
    New(u32),
}

/// The memory of a page with more lines than this is not kept for the next scrape. It is some 130
/// bytes a line if all series are new, so 8 MB; there are about as many as workers of the runtime.
const RETAINED_LINES_MAX: usize = 1 << 16;

impl Scratch {
    /// Whether it is small enough to be kept.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        let lines = self.samples.capacity().max(self.timed.capacity());
        let lines = lines.max(self.histograms.capacity());
        lines.max(self.besides.capacity()) <= RETAINED_LINES_MAX
    }

    /// Forgets the batch.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
        self.timed.clear();
        self.histograms.clear();
        self.besides.clear();
        self.new.clear();
        self.unresolved.clear();
    }

    /// Gives the new series their references. Those that a limit keeps out are left out with their
    /// samples, and are not remembered: the next scrape asks for them again.
    ///
    /// # Errors
    /// The first other error of `series`.
    pub(crate) fn resolve(
        &mut self,
        mut series: impl FnMut(&Labels) -> Result<SeriesRef, AppendError>,
    ) -> Result<RefusedSeries, AppendError> {
        let mut refused = RefusedSeries::default();
        let mut references = Vec::with_capacity(self.new.len());
        for new in &self.new {
            match series(&new.labels) {
                Ok(reference) => {
                    self.walk.resolve(new.at, reference);
                    references.push((new.at, reference));
                }
                Err(AppendError::SeriesLimit(limit)) => refused.add(limit),
                Err(error) => return Err(error),
            }
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
                Place::Histogram(index) => self.histograms[index].series = reference,
                Place::Exemplar(index) => self.besides.exemplars[index].series = reference,
                Place::Start(index) => self.besides.starts[index].series = reference,
                Place::Metadata(index) => self.besides.metadata[index].series = reference,
            }
        }
        if refused.count > 0 {
            self.samples.retain(|sample| sample.series != UNRESOLVED);
            self.timed.retain(|sample| sample.series != UNRESOLVED);
            self.histograms.retain(|sample| sample.series != UNRESOLVED);
            let besides = &mut self.besides;
            besides.exemplars.retain(|one| one.series != UNRESOLVED);
            besides.starts.retain(|one| one.series != UNRESOLVED);
            besides.metadata.retain(|one| one.series != UNRESOLVED);
            self.walk.forget_unresolved();
        }
        self.new.clear();
        self.unresolved.clear();
        Ok(refused)
    }
}

/// New series of a scrape that a limit kept out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RefusedSeries {
    pub(crate) count: usize,
    /// The limit that was met last.
    pub(crate) limit: Option<SeriesLimit>,
}

impl RefusedSeries {
    /// One more.
    pub(crate) fn add(&mut self, limit: SeriesLimit) {
        self.count += 1;
        self.limit = Some(limit);
    }
}

/// Reads the pages of one target.
pub(crate) struct PageReader<'a> {
    pub(crate) config: &'a ScrapeConfig,
    pub(crate) options: PageOptions,
    pub(crate) features: ScrapeFeatures,
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
            histograms: &mut scratch.histograms,
            besides: &mut scratch.besides,
            family: CurrentFamily::new(format != PageFormat::Protobuf),
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
            resolution: Resolution::of(self.config),
            has_too_many_buckets: false,
        };
        families.begin();
        let mut outcome = lines.read(page, format, families);
        if outcome.is_ok() && lines.taken > lines.sample_limit {
            outcome = Err(PageError::SampleLimit);
        }
        if outcome.is_ok() && lines.has_too_many_buckets {
            outcome = Err(PageError::BucketLimit);
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
    histograms: &'a mut Vec<PageHistogram>,
    besides: &'a mut Besides,
    /// Only if a feature asks for it.
    family: CurrentFamily,
    new: &'a mut Vec<NewSeries>,
    unresolved: &'a mut Vec<(Place, u32)>,
    labels: &'a mut SeriesLabels,
    builder: &'a mut LabelsBuilder,
    counts: &'a mut PageCounts,
    sample_limit: u64,
    /// Samples that count against the limit.
    taken: u64,
    resolution: Resolution,
    has_too_many_buckets: bool,
}

impl Lines<'_, '_> {
    fn read(
        &mut self,
        page: &[u8],
        format: PageFormat,
        families: &mut FamilyStore,
    ) -> Result<(), PageError> {
        let mut parser = PageParser::new(page, format, self.reader.options);
        loop {
            if self.predicted_line(&mut parser) {
                continue;
            }
            let Some(entry) = parser.next()? else {
                return Ok(());
            };
            match entry {
                Entry::Sample(sample) => self.sample(&sample)?,
                Entry::Type { family, kind } => {
                    self.metadata_line(family, Said::Kind(kind), families);
                }
                Entry::Help { family, text } => {
                    let text = format.unescape_help(text);
                    self.metadata_line(family, Said::Help(&text), families);
                }
                Entry::Unit { family, unit } => {
                    let unit = String::from_utf8_lossy(unit);
                    self.metadata_line(family, Said::Unit(&unit), families);
                }
                Entry::Histogram(sample) => self.histogram(&sample)?,
                Entry::Comment(_) => {}
            }
        }
    }

    fn metadata_line(&mut self, family: &[u8], said: Said<'_>, families: &mut FamilyStore) {
        let is_news = families.say(family, said, self.reader.interner);
        let features = self.reader.features;
        if features.metadata || features.type_and_unit_labels {
            self.family.say(family, said, is_news);
        }
    }

    /// Takes the next line if it is the one that stood here last time: the way of nearly all lines.
    #[inline]
    fn predicted_line(&mut self, parser: &mut PageParser<'_>) -> bool {
        if self.family.is_news {
            // Its metadata goes with every series.
            return false;
        }
        let Some((entry, length)) = self.walk.predicted() else {
            return false;
        };
        let keys = self.reader.keys;
        let line = parser.next_if(length, |text| Walk::is_text_of(entry, text, keys));
        let Some((value, timestamp_ms)) = line else {
            return false;
        };
        let timestamp_ms = self.honoured(timestamp_ms);
        let manner = self.manner(timestamp_ms, Form::Float);
        let line = self.walk.accept_predicted(manner);
        if let Some(destination) = self.destination(line, timestamp_ms, true) {
            self.push(destination, value, timestamp_ms);
        }
        true
    }

    fn sample(&mut self, sample: &exposition::Sample<'_>) -> Result<(), PageError> {
        let timestamp_ms = self.honoured(sample.timestamp_ms);
        let manner = self.manner(timestamp_ms, Form::Float);
        let destination = self.find((sample.series, sample.kind), timestamp_ms, manner, true)?;
        if let Some(destination) = destination {
            self.push(destination, sample.value, timestamp_ms);
            self.push_besides(destination, (sample.series, sample.kind), sample.start_ms);
            if let Some(exemplar) = &sample.exemplar {
                self.push_exemplars(destination, std::slice::from_ref(exemplar), timestamp_ms);
            }
        }
        Ok(())
    }

    fn histogram(&mut self, sample: &exposition::HistogramSample<'_>) -> Result<(), PageError> {
        let timestamp_ms = self.honoured(sample.timestamp_ms);
        let mut value = Owned::of(sample.value);
        let fits = self.resolution.fit(&mut value)?;
        let manner = self.manner(timestamp_ms, value.form());
        let kind = MetricType::Histogram;
        let destination = self.find((sample.series, kind), timestamp_ms, manner, fits)?;
        let Some(destination) = destination else {
            return Ok(());
        };
        if let Err(error) = value.validate() {
            // As upstream counts: the page ends before it.
            self.counts.kept -= 1;
            self.counts.series_added -= usize::from(matches!(destination, Destination::New(_)));
            return Err(error.into());
        }
        let place = Place::Histogram(self.histograms.len());
        let series = self.series_at(destination, place);
        self.histograms.push(PageHistogram {
            series,
            timestamp_ms,
            value,
        });
        self.push_besides(destination, (sample.series, kind), sample.start_ms);
        // Those without a time cannot be told from those of the scrape before.
        let exemplars = sample.exemplars.iter();
        let timed: Vec<_> = exemplars
            .filter(|exemplar| exemplar.timestamp_ms.is_some())
            .copied()
            .collect();
        self.push_exemplars(destination, &timed, timestamp_ms);
        Ok(())
    }

    /// The start of a sample, and metadata of its series if that is news.
    fn push_besides(
        &mut self,
        destination: Destination,
        (text, kind): (&[u8], MetricType),
        start_ms: i64,
    ) {
        let features = self.reader.features;
        if features.starts && start_ms != 0 {
            let place = Place::Start(self.besides.starts.len());
            let series = self.series_at(destination, place);
            self.besides.starts.push(StartTime { series, start_ms });
        }
        let is_new = matches!(destination, Destination::New(_));
        if !features.metadata || !(is_new || self.family.is_news) {
            return;
        }
        // It was read without complaint when the series was new.
        let _ = self.labels.read(text, kind);
        let name = self.labels.iter().find(|(name, _)| *name == METRIC_NAME);
        let name = name.map_or("", |(_, value)| value);
        if let Some(metadata) = self.family.metadata_of(name.as_bytes()) {
            let place = Place::Metadata(self.besides.metadata.len());
            let series = self.series_at(destination, place);
            self.besides
                .metadata
                .push(PageMetadata { series, metadata });
        }
    }

    /// The exemplars of a sample, in the order in which storage takes them.
    fn push_exemplars(
        &mut self,
        destination: Destination,
        exemplars: &[exposition::Exemplar<'_>],
        sample_ms: Option<i64>,
    ) {
        if !self.reader.features.exemplars {
            return;
        }
        let from = self.besides.exemplars.len();
        for exemplar in exemplars {
            let read = PageExemplar::read(exemplar, sample_ms, self.labels);
            self.besides.exemplars.extend(read);
        }
        self.besides.exemplars[from..].sort_by(PageExemplar::is_sorted_before);
        for at in from..self.besides.exemplars.len() {
            self.besides.exemplars[at].series = self.series_at(destination, Place::Exemplar(at));
        }
    }

    /// Where a sample of the series with this text goes; `None` if it is not kept. `fits` says
    /// whether it is within the limit of buckets.
    fn find(
        &mut self,
        (text, kind): (&[u8], MetricType),
        timestamp_ms: Option<i64>,
        manner: Manner,
        fits: bool,
    ) -> Result<Option<Destination>, PageError> {
        let hash = self.reader.keys.hash(text);
        let line = self.walk.find(hash, text.len(), manner);
        if line != Line::Unknown {
            return Ok(self.destination(line, timestamp_ms, fits));
        }
        self.counts.scraped += 1;
        self.labels.read(text, kind)?;
        if self.reader.features.type_and_unit_labels {
            let (kind, unit) = self.family.type_and_unit(kind);
            for (name, value) in [("__type__", kind), ("__unit__", unit)] {
                if !value.is_empty() {
                    self.labels.set(name, value);
                }
            }
        }
        let target = self.reader.target_labels;
        let labels = self.rules.apply(self.labels.iter(), target, self.builder)?;
        let Some(labels) = labels else {
            self.walk.add_dropped(hash, text.len());
            return Ok(None);
        };
        self.counts.kept += 1;
        // A series is remembered only if its sample is taken: it must not get a marker later.
        if !self.is_taken(timestamp_ms, fits) {
            return Ok(None);
        }
        let at = self.walk.add(hash, text.len(), manner);
        self.new.push(NewSeries { labels, at });
        self.counts.series_added += 1;
        Ok(Some(Destination::New(at)))
    }

    /// Where the sample of a line goes that the cache, or this page, has had.
    #[inline]
    fn destination(
        &mut self,
        line: Line,
        timestamp_ms: Option<i64>,
        fits: bool,
    ) -> Option<Destination> {
        self.counts.scraped += 1;
        if line == Line::Dropped {
            return None;
        }
        self.counts.kept += 1;
        let destination = match line {
            // Several samples of a series are fine if each has its own time.
            Line::Repeated(_) | Line::RepeatedNew(_) if timestamp_ms.is_none() => {
                self.counts.duplicates += 1;
                return None;
            }
            Line::Known(series) | Line::Repeated(series) => Destination::Known(series),
            Line::RepeatedNew(at) => Destination::New(at),
            Line::Dropped | Line::Unknown => return None,
        };
        self.is_taken(timestamp_ms, fits).then_some(destination)
    }

    fn honoured(&self, timestamp_ms: Option<i64>) -> Option<i64> {
        timestamp_ms.filter(|_| self.reader.config.honor_timestamps)
    }

    /// The series of a sample goes stale when it is gone, unless samples have their own times.
    #[inline]
    fn manner(&self, timestamp_ms: Option<i64>, form: Form) -> Manner {
        Manner {
            is_tracked: timestamp_ms.is_none() || self.reader.config.track_timestamps_staleness,
            form,
        }
    }

    /// Whether limits let a sample in.
    #[inline]
    fn is_taken(&mut self, timestamp_ms: Option<i64>, fits: bool) -> bool {
        self.has_too_many_buckets |= !fits;
        fits && self.is_within_limit() && self.is_in_bounds(timestamp_ms)
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

    #[inline]
    fn push(&mut self, destination: Destination, value: f64, timestamp_ms: Option<i64>) {
        match timestamp_ms {
            None => {
                let series = self.series_at(destination, Place::Sample(self.samples.len()));
                self.samples.push(Sample { series, value });
            }
            Some(timestamp_ms) => {
                let series = self.series_at(destination, Place::Timed(self.timed.len()));
                self.timed.push(TimedSample {
                    series,
                    timestamp_ms,
                    value,
                });
            }
        }
    }

    /// The series of a sample at `place`; that of a new one is filled in later.
    #[inline]
    fn series_at(&mut self, destination: Destination, place: Place) -> SeriesRef {
        match destination {
            Destination::Known(series) => series,
            Destination::New(at) => {
                self.unresolved.push((place, at));
                UNRESOLVED
            }
        }
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
