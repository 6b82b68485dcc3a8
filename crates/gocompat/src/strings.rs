//! Letter case as Go's `strings` maps it: one character to one character.

/// `strings.ToLower`.
#[must_use]
pub fn to_lower(text: &str) -> String {
    text.chars().map(lower).collect()
}

/// `strings.ToUpper`.
#[must_use]
pub fn to_upper(text: &str) -> String {
    text.chars().map(upper).collect()
}

/// `unicode.IsLetter(c) || unicode.IsDigit(c)`.
#[must_use]
pub fn is_letter_or_digit(c: char) -> bool {
    c.is_alphanumeric()
}

/// Unicode's simple mapping. The full one of the standard library differs where it gives several
/// characters.
fn lower(c: char) -> char {
    let mut full = c.to_lowercase();
    match (full.next(), full.next()) {
        (Some(only), None) => only,
        (Some(first), Some(_)) if c == '\u{130}' => first,
        _ => c,
    }
}

/// Unicode's simple mapping.
fn upper(c: char) -> char {
    let mut full = c.to_uppercase();
    match (full.next(), full.next()) {
        (Some(only), None) => only,
        // Greek with iota subscript: the capital lies eight or nine places on.
        _ => match c {
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(c as u32 + 8).unwrap_or(c)
            }
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(c as u32 + 9).unwrap_or(c),
            _ => c,
        },
    }
}
