//! From the text of a series to labels.

use model::MetricType;

use crate::SeriesError;

/// The labels of one series, sorted by name, in buffers that are reused from series to series.
///
/// Labels with an empty value are among them: with `honor_labels` an exposed empty label says that
/// the target's label must not be added.
#[derive(Debug, Default)]
pub struct SeriesLabels {
    text: String,
    pairs: Vec<[usize; 4]>,
}

impl SeriesLabels {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> SeriesLabels {
        SeriesLabels::default()
    }

    /// Reads the text of a series as [`crate::Sample::series`] holds it; `kind` is
    /// [`crate::Sample::kind`]. The value of `le` of a histogram and of `quantile` of a summary is
    /// rewritten to OpenMetrics's canonical form of a float: `1` becomes `1.0`.
    ///
    /// # Errors
    /// If a name is no UTF-8 or is there twice.
    pub fn read(&mut self, series: &[u8], kind: MetricType) -> Result<(), SeriesError> {
        let _ = (series, kind);
        Err(SeriesError::Malformed {
            series: "not yet".to_owned(),
        })
    }

    /// Reads the labels of an exemplar as [`crate::Exemplar::labels`] holds them. Escapes stay as
    /// they are, as in Prometheus.
    ///
    /// # Errors
    /// If a name is no UTF-8 or is there twice.
    pub fn read_exemplar(&mut self, labels: &[u8]) -> Result<(), SeriesError> {
        let _ = labels;
        Err(SeriesError::Malformed {
            series: "not yet".to_owned(),
        })
    }

    /// The pairs of name and value, sorted by name; the metric's name is `__name__`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs
            .iter()
            .map(|&[a, b, c, d]| (&self.text[a..b], &self.text[c..d]))
    }

    /// The labels, without those whose value is empty.
    #[must_use]
    pub fn to_labels(&self) -> model::Labels {
        model::Labels::from_sorted(self.iter())
    }
}
