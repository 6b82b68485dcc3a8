//! Which metric and label names are valid.

use std::fmt;

/// The validation scheme of names: `metric_name_validation_scheme` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameScheme {
    /// Any UTF-8 text that is not empty.
    #[default]
    Utf8,
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, the same without colon for labels.
    Legacy,
}

impl NameScheme {
    /// Whether `name` can be a metric's name.
    #[must_use]
    pub fn is_valid_metric_name(self, name: &str) -> bool {
        match self {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy_metric_name(name),
        }
    }

    /// Whether `name` can be a label's name.
    #[must_use]
    pub fn is_valid_label_name(self, name: &str) -> bool {
        match self {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy_label_name(name),
        }
    }
}

impl fmt::Display for NameScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameScheme::Utf8 => "utf8",
            NameScheme::Legacy => "legacy",
        })
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
#[must_use]
pub fn is_legacy_metric_name(name: &str) -> bool {
    is_ascii_name(name, |b| b == b':')
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
#[must_use]
pub fn is_legacy_label_name(name: &str) -> bool {
    is_ascii_name(name, |_| false)
}

fn is_ascii_name(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    let Some(&first) = bytes.first() else {
        return false;
    };
    !first.is_ascii_digit()
        && bytes
            .iter()
            .all(|&b| b == b'_' || b.is_ascii_alphanumeric() || extra(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        for (name, utf8, metric, label) in [
            ("up", true, true, true),
            ("a:b", true, true, false),
            ("1a", true, false, false),
            ("", false, false, false),
            ("a.b", true, false, false),
            ("é", true, false, false),
            ("_", true, true, true),
        ] {
            assert_eq!(NameScheme::Utf8.is_valid_metric_name(name), utf8, "{name}");
            assert_eq!(NameScheme::Utf8.is_valid_label_name(name), utf8, "{name}");
            assert_eq!(
                NameScheme::Legacy.is_valid_metric_name(name),
                metric,
                "{name}"
            );
            assert_eq!(
                NameScheme::Legacy.is_valid_label_name(name),
                label,
                "{name}"
            );
        }
    }
}
