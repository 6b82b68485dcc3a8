//! `relabel_configs` and `metric_relabel_configs`.

use gocompat::strconv::quote;
use model::NameScheme;
use relabel::{Action, Rule};

use super::read;
use crate::decoder::Decoder;
use crate::yaml::Node;

/// A rule that is read and not yet checked, because its name scheme is not known before.
#[derive(Debug)]
pub(crate) struct RawRule<'n> {
    node: &'n Node,
    rule: Rule,
}

impl RawRule<'_> {
    /// Checks the rule; `None` after a problem was noted.
    pub(super) fn resolve(self, decoder: &mut Decoder, scheme: NameScheme) -> Option<Rule> {
        let mut rule = self.rule;
        rule.name_scheme = scheme;
        match rule.validate() {
            Ok(()) => Some(rule),
            Err(error) => {
                decoder.refuse(self.node, error.to_string());
                None
            }
        }
    }
}

/// Reads a list of rules; `what` is `target` or `metric`.
pub(super) fn decode_list<'n>(
    decoder: &mut Decoder,
    node: &'n Node,
    what: &str,
) -> Option<Vec<RawRule<'n>>> {
    let items = decoder.items(node, "[]*relabel.Config")?;
    let mut rules = Vec::with_capacity(items.len());
    for item in items {
        if item.is_null() {
            let text = format!("empty or null {what} relabeling rule in scrape config");
            decoder.refuse(item, text);
        } else if let Some(rule) = decode(decoder, item) {
            rules.push(RawRule { node: item, rule });
        }
    }
    Some(rules)
}

fn decode(decoder: &mut Decoder, node: &Node) -> Option<Rule> {
    let fields = decoder.fields(node, "relabel.plain")?;
    let problems_before = decoder.problem_count();
    let mut rule = Rule::default();
    if let Some(node) = fields.section("source_labels") {
        rule.source_labels = source_labels(decoder, node)?;
        rule.source_labels_given = true;
    }
    for (name, into) in [
        ("separator", &mut rule.separator),
        ("target_label", &mut rule.target_label),
        ("replacement", &mut rule.replacement),
    ] {
        read(decoder, &fields, name, into, Decoder::string);
    }
    read(
        decoder,
        &fields,
        "modulus",
        &mut rule.modulus,
        |decoder, node| decoder.uint(node, "uint64"),
    );
    rule.regex_given = fields.take("regex").is_some();
    read(decoder, &fields, "regex", &mut rule.regex, Decoder::regex);
    read(decoder, &fields, "action", &mut rule.action, action);
    fields.finish(decoder);
    // A rule that could not be read as a whole would only be blamed for what is missing.
    (decoder.problem_count() == problems_before).then_some(rule)
}

fn source_labels(decoder: &mut Decoder, node: &Node) -> Option<Vec<String>> {
    let items = decoder.items(node, "model.LabelNames")?;
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        let name = decoder.string(item)?;
        if name.is_empty() && !item.is_null() {
            let text = format!("{} is not a valid label name", quote(&name));
            decoder.refuse(item, text);
            continue;
        }
        names.push(name);
    }
    Some(names)
}

fn action(decoder: &mut Decoder, node: &Node) -> Option<Action> {
    if node.is_null() {
        decoder.refuse(node, "relabel action cannot be empty".to_owned());
        return None;
    }
    let name = decoder.string(node)?;
    match Action::from_name(&name) {
        Ok(action) => Some(action),
        Err(error) => {
            decoder.refuse(node, error.to_string());
            None
        }
    }
}
