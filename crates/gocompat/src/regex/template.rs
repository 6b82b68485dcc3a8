//! Replacement templates: `$1`, `${1}`, `$name`, `${name}` and `$$`, read as Go's
//! `Regexp.Expand` reads them.

/// One piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// The group of that number.
    Group(usize),
    /// The group of that name.
    Name(&'a str),
}

/// The pieces in order.
pub(super) fn parts(template: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(after) = rest.strip_prefix('$') else {
            let (text, next) = rest.split_at(rest.find('$').unwrap_or(rest.len()));
            rest = next;
            return Some(Part::Text(text));
        };
        if let Some(next) = after.strip_prefix('$') {
            rest = next;
            return Some(Part::Text("$"));
        }
        let (part, next) = reference(after).unwrap_or((Part::Text("$"), after));
        rest = next;
        Some(part)
    })
}

/// The reference that follows a `$`, and what comes after it; `None` if there is none.
fn reference(after: &str) -> Option<(Part<'_>, &str)> {
    let (braced, body) = match after.strip_prefix('{') {
        Some(body) => (true, body),
        None => (false, after),
    };
    // The longest run of word characters: `$1x` is the group named `1x`.
    let length = body
        .find(|c: char| !(c == '_' || crate::strings::is_letter_or_digit(c)))
        .unwrap_or(body.len());
    if length == 0 {
        return None;
    }
    let (name, mut rest) = body.split_at(length);
    if braced {
        rest = rest.strip_prefix('}')?;
    }
    let part = match number(name) {
        Some(index) => Part::Group(index),
        None => Part::Name(name),
    };
    Some((part, rest))
}

/// A group's number: digits without a leading zero, below 10⁹ (Go gives up there).
fn number(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|b| b.is_ascii_digit())
        && name.len() <= 9
        && (name.len() == 1 || !name.starts_with('0'));
    if plain { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_templates() {
        use Part::{Group, Name, Text};
        for (template, want) in [
            ("", vec![]),
            ("a", vec![Text("a")]),
            ("$1", vec![Group(1)]),
            ("a${1}b", vec![Text("a"), Group(1), Text("b")]),
            ("$1x", vec![Name("1x")]),
            ("$01", vec![Name("01")]),
            ("$0", vec![Group(0)]),
            ("$é!", vec![Name("é"), Text("!")]),
            ("$$1", vec![Text("$"), Text("1")]),
            ("$", vec![Text("$")]),
            ("$-", vec![Text("$"), Text("-")]),
            ("${1", vec![Text("$"), Text("{1")]),
            ("${}", vec![Text("$"), Text("{}")]),
            ("${a-b}", vec![Text("$"), Text("{a-b}")]),
            ("$12345678901", vec![Name("12345678901")]),
        ] {
            assert_eq!(parts(template).collect::<Vec<_>>(), want, "{template}");
        }
    }
}
