//! Parameters of a request, as Go's `net/http` reads them: those of the body come before those of
//! the URL, a pair that cannot be decoded is left out and remembered as an error.

use gocompat::strconv::quote;

/// A request of ten thousand selectors is a mistake; Go has the same limit.
const FIELDS_MAX: usize = 10_000;

/// The parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
    /// How many of the pairs came with the body.
    body_count: usize,
    /// The first thing that could not be decoded.
    error: Option<String>,
}

impl Form {
    /// From the body, if it is a form, and the query of the URL.
    pub(crate) fn parse(body: Option<&[u8]>, query: &str) -> Form {
        let mut form = Form::default();
        if let Some(body) = body {
            form.add(body);
        }
        form.body_count = form.pairs.len();
        form.add(query.as_bytes());
        form
    }

    /// The first value of a parameter, of the body if it is there; empty if there is none.
    pub(crate) fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let matching = self.pairs.iter().filter(move |(key, _)| key == name);
        matching.map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter of the URL, whatever the body says.
    pub(crate) fn first_of_url(&self, name: &str) -> &str {
        let mut of_url = self.pairs[self.body_count..].iter();
        let found = of_url.find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// What could not be decoded, if something could not.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn add(&mut self, encoded: &[u8]) {
        if encoded.iter().filter(|&&b| b == b'&').count() >= FIELDS_MAX {
            self.fail("number of URL query parameters exceeded limit".to_owned());
            return;
        }
        for pair in encoded
            .split(|&b| b == b'&')
            .filter(|pair| !pair.is_empty())
        {
            if pair.contains(&b';') {
                self.fail("invalid semicolon separator in query".to_owned());
                continue;
            }
            let at = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or(b""));
            match (decode(name, true), decode(value, true)) {
                (Ok(name), Ok(value)) => self.pairs.push((name, value)),
                (Err(error), _) | (_, Err(error)) => self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }
}

/// Undoes percent encoding; a plus is a space in queries and itself in paths. What is no UTF-8 is
/// replaced: no name or value of ours can hold it.
pub(crate) fn decode(encoded: &[u8], plus_is_space: bool) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' if plus_is_space => b' ',
            b'%' => {
                let digits = after
                    .get(..2)
                    .and_then(|pair| Some((hex(pair[0])?, hex(pair[1])?)));
                let Some((high, low)) = digits else {
                    let wrong = &after[..after.len().min(2)];
                    let text = format!("%{}", String::from_utf8_lossy(wrong));
                    return Err(format!("invalid URL escape {}", quote(&text)));
                };
                rest = &after[2..];
                high << 4 | low
            }
            other => other,
        });
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_comes_first_and_bad_pairs_are_left_out() {
        let form = Form::parse(
            Some(b"a=1&b=%41+c&a=2"),
            "a=3&c&d=%zz&e=%4&f=1;g=2&=x&&h=a=b",
        );
        assert_eq!(form.first("a"), "1");
        assert_eq!(form.first_of_url("a"), "3");
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(form.first("b"), "A c");
        assert_eq!(form.first_of_url("b"), "");
        for name in ["c", "d", "e", "f", "g", "absent"] {
            assert_eq!(form.first(name), "", "{name}");
        }
        assert_eq!(form.first("h"), "a=b");
        assert_eq!(form.error(), Some("invalid URL escape \"%zz\""));
        assert_eq!(Form::parse(None, "a=%F0%9F%98%80").first("a"), "😀");
        assert_eq!(
            Form::parse(None, "a=1;b").error(),
            Some("invalid semicolon separator in query")
        );
        let many = "a&".repeat(FIELDS_MAX);
        assert!(Form::parse(None, &many).error().is_some());
    }

    #[test]
    fn paths_keep_their_plus() {
        assert_eq!(decode(b"a+b%2fc", false), Ok("a+b/c".to_owned()));
        assert_eq!(decode(b"%ff", false), Ok("\u{fffd}".to_owned()));
        assert!(decode(b"%", false).is_err());
    }
}
