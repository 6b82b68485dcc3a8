//! One relabelling rule, and what makes it valid.

use std::fmt;

use gocompat::Regex;
use model::NameScheme;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// Sets the target label to the expanded replacement if the source matches.
    #[default]
    Replace,
    /// Drops the set if the source does not match.
    Keep,
    /// Drops the set if the source matches.
    Drop,
    /// Drops the set if the source differs from the target label's value.
    KeepEqual,
    /// Drops the set if the source is the target label's value.
    DropEqual,
    /// Sets the target label to the hash of the source, modulo `modulus`.
    HashMod,
    /// Copies every label whose name matches to the name that the replacement makes.
    LabelMap,
    /// Removes every label whose name matches.
    LabelDrop,
    /// Removes every label whose name does not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

/// All actions, with the name that the configuration gives them.
const ACTIONS: [(Action, &str); 11] = [
    (Action::Replace, "replace"),
    (Action::Keep, "keep"),
    (Action::Drop, "drop"),
    (Action::KeepEqual, "keepequal"),
    (Action::DropEqual, "dropequal"),
    (Action::HashMod, "hashmod"),
    (Action::LabelMap, "labelmap"),
    (Action::LabelDrop, "labeldrop"),
    (Action::LabelKeep, "labelkeep"),
    (Action::Lowercase, "lowercase"),
    (Action::Uppercase, "uppercase"),
];

impl Action {
    /// Reads a name in any case.
    ///
    /// # Errors
    /// If there is no such action.
    pub fn from_name(name: &str) -> Result<Action, RuleError> {
        let lower = gocompat::strings::to_lower(name);
        ACTIONS
            .iter()
            .find(|(_, known)| *known == lower)
            .map(|(action, _)| *action)
            .ok_or_else(|| RuleError::UnknownAction(name.to_owned()))
    }

    /// The name as the configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ACTIONS
            .iter()
            .find(|(action, _)| *action == self)
            .map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One rule of `relabel_configs` and its like.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The labels whose values are joined to the source value; `None` and an empty list differ
    /// only in what [`Rule::validate`] allows, so this is the list and
    /// [`Rule::source_labels_given`] the difference.
    pub source_labels: Vec<String>,
    /// Whether the configuration named `source_labels` at all.
    pub source_labels_given: bool,
    /// Stands between joined values.
    pub separator: String,
    /// What the source value (or the label's name) has to match as a whole.
    pub regex: Regex,
    /// Whether the configuration gave `regex`, even if it is the default.
    pub regex_given: bool,
    /// The divisor of `hashmod`.
    pub modulus: u64,
    /// The label to write; a template in `replace`.
    pub target_label: String,
    /// The template of the new value, or of the new name in `labelmap`.
    pub replacement: String,
    /// What to do.
    pub action: Action,
    /// Which label names are valid; resolved from the scrape configuration or the global one.
    pub name_scheme: NameScheme,
}

const SEPARATOR_DEFAULT: &str = ";";
const REPLACEMENT_DEFAULT: &str = "$1";

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            source_labels: Vec::new(),
            source_labels_given: false,
            separator: SEPARATOR_DEFAULT.to_owned(),
            regex: Regex::any(),
            regex_given: false,
            modulus: 0,
            target_label: String::new(),
            replacement: REPLACEMENT_DEFAULT.to_owned(),
            action: Action::Replace,
            name_scheme: NameScheme::Utf8,
        }
    }
}

/// A rule that makes no sense, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no such action.
    #[error("unknown relabel action {}", gocompat::strconv::quote(.0))]
    UnknownAction(String),
    /// `hashmod` without a modulus.
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    NoModulus,
    /// The action writes or compares a label, and none is named.
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    NoTarget(Action),
    /// The target can never be a label's name.
    #[error("{} is invalid 'target_label' for {action} action", gocompat::strconv::quote(.target))]
    InvalidTarget {
        /// The target as written.
        target: String,
        /// The rule's action.
        action: Action,
    },
    /// `labelmap` whose replacement can never be a label's name.
    #[error("{} is invalid 'replacement' for {action} action", gocompat::strconv::quote(.replacement))]
    InvalidReplacement {
        /// The replacement as written.
        replacement: String,
        /// The rule's action.
        action: Action,
    },
    /// The action takes no replacement.
    #[error("'replacement' can not be set for {0} action")]
    ReplacementNotAllowed(Action),
    /// `keepequal` and `dropequal` compare two values and take nothing else.
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlySourceAndTarget(Action),
    /// `labeldrop` and `labelkeep` look at names and take nothing else.
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(Action),
}

impl Rule {
    /// Whether the rule makes sense; upstream's checks in upstream's order.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn validate(&self) -> Result<(), RuleError> {
        use Action::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace,
            Uppercase,
        };
        let action = self.action;
        let writes_fixed_target = matches!(
            action,
            Lowercase | Uppercase | KeepEqual | DropEqual | HashMod
        );
        if action == HashMod && self.modulus == 0 {
            return Err(RuleError::NoModulus);
        }
        if (action == Replace || writes_fixed_target) && self.target_label.is_empty() {
            return Err(RuleError::NoTarget(action));
        }
        let target_ok = match action {
            Replace if self.target_label.contains('$') => {
                self.is_valid_name_template(&self.target_label)
            }
            _ if action == Replace || writes_fixed_target => {
                self.name_scheme.is_valid_label_name(&self.target_label)
            }
            _ => true,
        };
        if !target_ok {
            return Err(RuleError::InvalidTarget {
                target: self.target_label.clone(),
                action,
            });
        }
        let default_replacement = self.replacement == REPLACEMENT_DEFAULT;
        if writes_fixed_target && action != HashMod && !default_replacement {
            return Err(RuleError::ReplacementNotAllowed(action));
        }
        if action == LabelMap && !self.is_valid_name_template(&self.replacement) {
            return Err(RuleError::InvalidReplacement {
                replacement: self.replacement.clone(),
                action,
            });
        }
        let default_rest =
            self.modulus == 0 && self.separator == SEPARATOR_DEFAULT && default_replacement;
        if matches!(action, DropEqual | KeepEqual) && (self.regex_given || !default_rest) {
            return Err(RuleError::OnlySourceAndTarget(action));
        }
        if matches!(action, LabelDrop | LabelKeep)
            && (self.source_labels_given || !self.target_label.is_empty() || !default_rest)
        {
            return Err(RuleError::OnlyRegex(action));
        }
        Ok(())
    }

    /// Whether a template can expand to a label's name. Under UTF-8 every text that is not empty
    /// can; under the legacy scheme it is made of name characters and `$1`, `${1}`.
    fn is_valid_name_template(&self, template: &str) -> bool {
        match self.name_scheme {
            NameScheme::Utf8 => !template.is_empty(),
            NameScheme::Legacy => is_legacy_name_template(template),
        }
    }
}

/// `(letter or _ or $word or ${word}) word-characters`, repeated: a digit never comes first.
fn is_legacy_name_template(template: &str) -> bool {
    let is_word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
    let bytes = template.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'$' => {
                let braced = bytes.get(at + 1) == Some(&b'{');
                let start = at + 1 + usize::from(braced);
                let length = bytes[start..].iter().take_while(|&&b| is_word(b)).count();
                if length == 0 {
                    return false;
                }
                at = start + length;
                if braced {
                    if bytes.get(at) != Some(&b'}') {
                        return false;
                    }
                    at += 1;
                }
            }
            b if is_word(b) && !(at == 0 && b.is_ascii_digit()) => at += 1,
            _ => return false,
        }
    }
    !template.is_empty()
}
