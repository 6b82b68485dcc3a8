//! `$NAME` and `${NAME}` in external labels, by the rules of Go's `os.Expand`.

/// Replaces every reference by what `lookup` says of the name. A `$` that begins no reference
/// stays; `${}` and an unclosed `${` vanish. `$$` is the reference to the name `$`.
pub(crate) fn expand(text: &str, mut lookup: impl FnMut(&str) -> String) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = reference(after);
        match name {
            "" if length == 0 => expanded.push('$'),
            "" => {}
            name => expanded.push_str(&lookup(name)),
        }
        rest = &after[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// The name that follows a `$`, and how many bytes the reference takes.
fn reference(text: &str) -> (&str, usize) {
    let is_special = |b: u8| b.is_ascii_digit() || b"*#$@!?-".contains(&b);
    let bytes = text.as_bytes();
    match bytes.first() {
        None => ("", 0),
        Some(b'{') => match text.find('}') {
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        },
        Some(&first) if is_special(first) => (&text[..1], 1),
        Some(_) => {
            let is_word = |b: &&u8| **b == b'_' || b.is_ascii_alphanumeric();
            let length = bytes.iter().take_while(is_word).count();
            (&text[..length], length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let lookup = |name: &str| match name {
            "$" => "$".to_owned(),
            "A" => "x".to_owned(),
            "A_1" => "y".to_owned(),
            other => format!("<{other}>"),
        };
        for (text, expanded) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "x"),
            ("${A}b", "xb"),
            ("$A_1-$A.", "y-x."),
            ("$$A", "$A"),
            ("$${A}", "${A}"),
            ("a$", "a$"),
            ("a$ b", "a$ b"),
            ("${}x", "x"),
            ("${A", "A"),
            ("$1a", "<1>a"),
            ("${a b}", "<a b>"),
            ("$é", "$é"),
            ("é$A", "éx"),
        ] {
            assert_eq!(expand(text, lookup), expanded, "{text}");
        }
    }
}
