//! From the labels that a target sends to the labels that are stored.
//!
//! The target's own labels are added (`honor_labels` says who wins), `metric_relabel_configs` run,
//! and the outcome is checked against the naming scheme and the label limits. All this happens when
//! a series is seen for the first time, never again: the cache remembers the outcome.

use config::{ScrapeConfig, ScrapeLimits};
use model::{Labels, LabelsBuilder, METRIC_NAME, NameScheme};

/// Before a label that the target sent and that the server's own label displaced.
const EXPORTED_PREFIX: &str = "exported_";
/// Limits quote at most so many characters of names and values.
const QUOTED_CHARS_MAX: usize = 50;

/// Why a series makes its whole scrape fail; the texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("missing metric name (__name__ label)")]
    NoName,
    #[error("invalid metric name or label names: {0}")]
    InvalidNames(Labels),
    #[error("{0}")]
    LabelLimit(String),
}

/// What a job does to the labels of samples.
#[derive(Debug)]
pub(crate) struct SampleRules<'a> {
    honor_labels: bool,
    relabel: &'a [relabel::Rule],
    name_scheme: NameScheme,
    limits: ScrapeLimits,
}

impl<'a> SampleRules<'a> {
    pub(crate) fn new(config: &'a ScrapeConfig) -> SampleRules<'a> {
        SampleRules {
            honor_labels: config.honor_labels,
            relabel: &config.metric_relabel_configs,
            name_scheme: config.name_scheme,
            limits: config.limits,
        }
    }

    /// The labels of a series: `exposed` are those that the page holds, sorted, those with an empty
    /// value included; `target` those that the server adds. `None` if relabelling drops it.
    ///
    /// # Errors
    /// If the scrape must fail.
    pub(crate) fn apply<'l>(
        &self,
        exposed: impl Iterator<Item = (&'l str, &'l str)> + Clone,
        target: &'l Labels,
        builder: &mut LabelsBuilder,
    ) -> Result<Option<Labels>, RuleError> {
        let labels = if self.relabel.is_empty() && !conflicts(exposed.clone(), target) {
            Labels::from_sorted(merge(exposed, target.iter()))
        } else {
            builder.clear();
            for (name, value) in exposed.clone() {
                builder.set(name, value);
            }
            if self.honor_labels {
                add_missing(builder, exposed, target);
            } else {
                displace(builder, target);
            }
            if !relabel::process(builder, self.relabel) {
                return Ok(None);
            }
            builder.build()
        };
        if labels.is_empty() {
            return Ok(None);
        }
        self.check(&labels)?;
        Ok(Some(labels))
    }

    fn check(&self, labels: &Labels) -> Result<(), RuleError> {
        let name = labels.metric_name();
        if name.is_empty() {
            return Err(RuleError::NoName);
        }
        let scheme = self.name_scheme;
        let valid = scheme.is_valid_metric_name(name)
            && labels
                .iter()
                .all(|(name, _)| name == METRIC_NAME || scheme.is_valid_label_name(name));
        if !valid {
            return Err(RuleError::InvalidNames(labels.clone()));
        }
        self.check_limits(name, labels)
            .map_err(RuleError::LabelLimit)
    }

    fn check_limits(&self, metric: &str, labels: &Labels) -> Result<(), String> {
        let ScrapeLimits {
            label_limit,
            label_name_length_limit: names_max,
            label_value_length_limit: values_max,
            ..
        } = self.limits;
        let exceeds = |count: usize, limit: u64| limit > 0 && count as u64 > limit;
        let metric = shortened(metric);
        if label_limit > 0 {
            let count = labels.len();
            if exceeds(count, label_limit) {
                return Err(format!(
                    "label_limit exceeded (metric: {metric}, number of labels: {count}, \
                     limit: {label_limit})"
                ));
            }
        }
        if names_max == 0 && values_max == 0 {
            return Ok(());
        }
        for (name, value) in labels {
            if exceeds(name.len(), names_max) {
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {metric}, label name: {}, \
                     length: {}, limit: {names_max})",
                    shortened(name),
                    name.len()
                ));
            }
            if exceeds(value.len(), values_max) {
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {metric}, label name: {}, \
                     value: {}, length: {}, limit: {values_max})",
                    shortened(name),
                    gocompat::strconv::quote(shortened(value)),
                    value.len()
                ));
            }
        }
        Ok(())
    }
}

/// The first characters of a text, as `%.50s` cuts it.
fn shortened(text: &str) -> &str {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Whether both sides have a label of the same name.
fn conflicts<'l>(exposed: impl Iterator<Item = (&'l str, &'l str)>, target: &Labels) -> bool {
    let mut target = target.iter().map(|(name, _)| name).peekable();
    for (name, _) in exposed {
        while target.next_if(|own| *own < name).is_some() {}
        if target.peek() == Some(&name) {
            return true;
        }
    }
    false
}

/// Two sorted sequences without a common name, as one.
fn merge<'l>(
    exposed: impl Iterator<Item = (&'l str, &'l str)>,
    target: impl Iterator<Item = (&'l str, &'l str)>,
) -> impl Iterator<Item = (&'l str, &'l str)> {
    let (mut exposed, mut target) = (exposed.peekable(), target.peekable());
    std::iter::from_fn(move || match (exposed.peek(), target.peek()) {
        (Some((name, _)), Some((own, _))) if own < name => target.next(),
        (None, _) => target.next(),
        _ => exposed.next(),
    })
}

/// `honor_labels: true`: what the target sent stays, even if it is empty.
fn add_missing<'l>(
    builder: &mut LabelsBuilder,
    exposed: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    target: &Labels,
) {
    for (name, value) in target {
        if !exposed.clone().any(|(sent, _)| sent == name) {
            builder.set(name, value);
        }
    }
}

/// `honor_labels: false`: the target's labels win, and what they displace gets `exported_` in
/// front, again until the name is free; short names first.
fn displace(builder: &mut LabelsBuilder, target: &Labels) {
    let mut displaced: Vec<(&str, String)> = Vec::new();
    for (name, value) in target {
        let sent = builder.get(name);
        if !sent.is_empty() {
            displaced.push((name, sent.to_owned()));
        }
        builder.set(name, value);
    }
    displaced.sort_by_key(|(name, _)| name.len());
    for (name, value) in displaced {
        let mut name = format!("{EXPORTED_PREFIX}{name}");
        while !builder.get(&name).is_empty() {
            name.insert_str(0, EXPORTED_PREFIX);
        }
        builder.set(&name, &value);
    }
}

/// The labels of a report series (`up` and its like): the target's, without those that begin with
/// `exported_` and whose rest is a label of the target too, as upstream has it.
pub(crate) fn report_labels(name: &str, target: &Labels) -> Labels {
    let mut builder = LabelsBuilder::default();
    builder.set(METRIC_NAME, name);
    for (name, value) in target {
        builder.del(&format!("{EXPORTED_PREFIX}{name}"));
        builder.set(name, value);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gocompat::Regex;
    use relabel::{Action, Rule};

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn apply(config: &ScrapeConfig, exposed: Pairs<'_>, target: Pairs<'_>) -> String {
        let target = Labels::from_pairs(target.iter().copied());
        let applied = SampleRules::new(config).apply(
            exposed.iter().copied(),
            &target,
            &mut LabelsBuilder::default(),
        );
        match applied {
            Ok(Some(labels)) => labels.to_string(),
            Ok(None) => "dropped".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn honor_labels_decides_who_wins() {
        // (exposed, of the target, without honor_labels, with it)
        let cases: &[(Pairs<'_>, Pairs<'_>, &str, &str)] = &[
            (
                &[("__name__", "m"), ("a", "1")],
                &[("b", "2")],
                "{__name__=\"m\", a=\"1\", b=\"2\"}",
                "{__name__=\"m\", a=\"1\", b=\"2\"}",
            ),
            (
                &[("__name__", "m"), ("job", "theirs"), ("z", "1")],
                &[("instance", "i"), ("job", "ours")],
                "{__name__=\"m\", exported_job=\"theirs\", instance=\"i\", job=\"ours\", z=\"1\"}",
                "{__name__=\"m\", instance=\"i\", job=\"theirs\", z=\"1\"}",
            ),
            // An exposed empty label takes the target's away, if labels are honoured.
            (
                &[("__name__", "m"), ("job", "")],
                &[("job", "ours")],
                "{__name__=\"m\", job=\"ours\"}",
                "{__name__=\"m\"}",
            ),
            // exported_ is repeated until the name is free.
            (
                &[("__name__", "m"), ("exported_job", "x"), ("job", "y")],
                &[("job", "ours")],
                "{__name__=\"m\", exported_exported_job=\"y\", exported_job=\"x\", job=\"ours\"}",
                "{__name__=\"m\", exported_job=\"x\", job=\"y\"}",
            ),
            (
                &[("__name__", "m"), ("exported_foo", "2"), ("foo", "1")],
                &[("exported_foo", "4"), ("foo", "3")],
                "{__name__=\"m\", exported_exported_exported_foo=\"2\", exported_exported_foo=\"1\", \
                 exported_foo=\"4\", foo=\"3\"}",
                "{__name__=\"m\", exported_foo=\"2\", foo=\"1\"}",
            ),
        ];
        for (exposed, target, plain, honored) in cases {
            let mut config = ScrapeConfig::default();
            assert_eq!(apply(&config, exposed, target), *plain);
            config.honor_labels = true;
            assert_eq!(apply(&config, exposed, target), *honored);
        }
    }

    #[test]
    fn relabelling_sees_the_whole_series() {
        let rule = |action, regex: &str| Rule {
            source_labels: vec!["__name__".to_owned()],
            regex: Regex::new_anchored(regex).unwrap(),
            action,
            ..Rule::default()
        };
        let config = ScrapeConfig {
            metric_relabel_configs: vec![rule(Action::Drop, "go_.*")],
            ..ScrapeConfig::default()
        };
        assert_eq!(apply(&config, &[("__name__", "go_x")], &[]), "dropped");
        assert_eq!(
            apply(&config, &[("__name__", "x")], &[]),
            "{__name__=\"x\"}"
        );
        let config = ScrapeConfig {
            metric_relabel_configs: vec![rule(Action::LabelDrop, "__name__")],
            ..ScrapeConfig::default()
        };
        assert_eq!(
            apply(&config, &[("__name__", "x")], &[("job", "j")]),
            "missing metric name (__name__ label)"
        );
    }

    #[test]
    fn names_follow_the_scheme() {
        let mut config = ScrapeConfig::default();
        let exposed = &[("__name__", "a.b")];
        assert_eq!(apply(&config, exposed, &[]), "{__name__=\"a.b\"}");
        config.name_scheme = NameScheme::Legacy;
        assert_eq!(
            apply(&config, exposed, &[("job", "j")]),
            "invalid metric name or label names: {__name__=\"a.b\", job=\"j\"}"
        );
    }

    /// T06
    #[test]
    fn label_limits_name_what_exceeds_them() {
        let check = |limits: ScrapeLimits, exposed: Pairs<'_>, want: &str| {
            let config = ScrapeConfig {
                limits,
                ..ScrapeConfig::default()
            };
            assert_eq!(apply(&config, exposed, &[]), want);
        };
        let none = ScrapeLimits::default();
        let labels = ScrapeLimits {
            label_limit: 2,
            ..none
        };
        let two = &[("__name__", "m"), ("l", "1")];
        check(labels, two, "{__name__=\"m\", l=\"1\"}");
        check(
            labels,
            &[("__name__", "m"), ("k", "1"), ("l", "1")],
            "label_limit exceeded (metric: m, number of labels: 3, limit: 2)",
        );
        let names = ScrapeLimits {
            label_name_length_limit: 8,
            ..none
        };
        check(names, two, "{__name__=\"m\", l=\"1\"}");
        check(
            names,
            &[("__name__", "m"), ("longlabel", "1")],
            "label_name_length_limit exceeded (metric: m, label name: longlabel, length: 9, \
             limit: 8)",
        );
        let values = ScrapeLimits {
            label_value_length_limit: 10,
            ..none
        };
        let long = "é".repeat(60);
        check(
            values,
            &[("__name__", "m"), ("l", &long)],
            &format!(
                "label_value_length_limit exceeded (metric: m, label name: l, value: \"{}\", \
                 length: 120, limit: 10)",
                "é".repeat(50)
            ),
        );
    }

    #[test]
    fn report_series_carry_the_targets_labels() {
        let target = Labels::from_pairs([("instance", "i"), ("job", "j")]);
        assert_eq!(
            report_labels("up", &target).to_string(),
            "{__name__=\"up\", instance=\"i\", job=\"j\"}"
        );
        let target = Labels::from_pairs([("exported_job", "x"), ("job", "j")]);
        assert_eq!(
            report_labels("up", &target).to_string(),
            "{__name__=\"up\", job=\"j\"}"
        );
    }
}
