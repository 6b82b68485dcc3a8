//! Relabelling: rules that rewrite, keep or drop label sets.
//!
//! The same rules serve targets (`relabel_configs`), scraped series (`metric_relabel_configs`)
//! and, later, alerts and remote write. [`process`] works on a [`LabelsBuilder`], so that a whole
//! chain costs no label set in between; [`apply`] is the convenience around it.
//!
//! Pure: no I/O, no clock, no state. A rule must have passed [`Rule::validate`] before it is used.
//!
//! Cost: a rule that does not match allocates nothing if it has one source label, one string if it
//! has several; a match of `replace` builds the target name only if it holds a `$`.

mod rule;

pub use rule::{Action, Rule, RuleError};

use md5::{Digest, Md5};
use model::{Labels, LabelsBuilder};
use std::borrow::Cow;

/// Runs `rules` in order on `labels`. `false` means that a rule dropped the set; what the builder
/// then holds is the state before that rule.
#[must_use]
pub fn process(labels: &mut LabelsBuilder, rules: &[Rule]) -> bool {
    rules.iter().all(|rule| process_one(labels, rule))
}

/// Runs `rules` in order on a copy of `labels`; `None` if a rule dropped it.
#[must_use]
pub fn apply(labels: &Labels, rules: &[Rule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = LabelsBuilder::new(labels);
    process(&mut builder, rules).then(|| builder.build())
}

/// Runs one rule; `false` drops.
fn process_one(labels: &mut LabelsBuilder, rule: &Rule) -> bool {
    match rule.action {
        Action::Keep => return rule.regex.is_match(&source_value(labels, rule)),
        Action::Drop => return !rule.regex.is_match(&source_value(labels, rule)),
        Action::KeepEqual => return labels.get(&rule.target_label) == source_value(labels, rule),
        Action::DropEqual => return labels.get(&rule.target_label) != source_value(labels, rule),
        Action::Replace => replace(labels, rule),
        Action::HashMod => {
            let bucket = hash(&source_value(labels, rule)) % rule.modulus.max(1);
            labels.set(&rule.target_label, &bucket.to_string());
        }
        Action::Lowercase => {
            let value = gocompat::strings::to_lower(&source_value(labels, rule));
            labels.set(&rule.target_label, &value);
        }
        Action::Uppercase => {
            let value = gocompat::strings::to_upper(&source_value(labels, rule));
            labels.set(&rule.target_label, &value);
        }
        Action::LabelMap => label_map(labels, rule),
        Action::LabelDrop => {
            labels.retain(|name, _| !rule.regex.is_match(name));
        }
        Action::LabelKeep => {
            labels.retain(|name, _| rule.regex.is_match(name));
        }
    }
    true
}

/// The values of the source labels, joined; borrowed if there is only one.
fn source_value<'a>(labels: &'a LabelsBuilder, rule: &Rule) -> Cow<'a, str> {
    match rule.source_labels.as_slice() {
        [] => Cow::Borrowed(""),
        [name] => Cow::Borrowed(labels.get(name)),
        [first, others @ ..] => {
            let mut joined = labels.get(first).to_owned();
            for name in others {
                joined.push_str(&rule.separator);
                joined.push_str(labels.get(name));
            }
            Cow::Owned(joined)
        }
    }
}

/// No match changes nothing; an empty result removes the label; a target name that is not valid
/// once it is expanded skips the rule without a word.
fn replace(labels: &mut LabelsBuilder, rule: &Rule) {
    let (target, value) = {
        let source = source_value(labels, rule);
        let Some(captures) = rule.regex.captures(&source) else {
            return;
        };
        let target = if rule.target_label.contains('$') {
            let mut name = String::new();
            captures.expand(&rule.target_label, &mut name);
            Cow::Owned(name)
        } else {
            Cow::Borrowed(rule.target_label.as_str())
        };
        if !rule.name_scheme.is_valid_label_name(&target) {
            return;
        }
        let mut value = String::new();
        captures.expand(&rule.replacement, &mut value);
        (target, value)
    };
    labels.set(&target, &value);
}

/// Copies labels to the names that the replacement makes of theirs. All names are those from
/// before the rule: a copy is not itself mapped.
fn label_map(labels: &mut LabelsBuilder, rule: &Rule) {
    let copies: Vec<(String, String)> = labels
        .iter()
        .filter(|(name, _)| rule.regex.is_match(name))
        .map(|(name, value)| {
            let name = rule.regex.replace_all(name, &rule.replacement);
            (name, value.to_owned())
        })
        .collect();
    for (name, value) in copies {
        labels.set(&name, &value);
    }
}

/// The last eight bytes of MD5, big-endian: shards of different servers, and of upstream's, must
/// agree.
fn hash(value: &str) -> u64 {
    let digest = Md5::digest(value.as_bytes());
    digest[8..]
        .iter()
        .fold(0, |hash, &byte| hash << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests;
