//! How to match without the engine: most patterns that users write are a list of words, or words
//! with `.*` between them.
//!
//! A pattern is written out as alternatives of literals and gaps (`.*`, `.+`). If that works and
//! stays small, matching is comparing and searching for substrings; else the engine does it. The
//! meaning never changes: whether a whole text matches does not depend on greed.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Alternatives that a product (`(a|b)(c|d)`) or a class may make; upstream's limit for sets.
const ALTERNATIVES_MAX: usize = 256;
/// Alternatives with gaps that are tried one by one; beyond this, one pass of the engine is
/// cheaper.
const GLOBS_MAX: usize = 8;
/// Literals that are compared one by one instead of searched for in order.
const LINEAR_MAX: usize = 8;

/// How to match a whole text.
#[derive(Debug)]
pub(super) enum Plan {
    /// `.*`
    Any,
    /// Exactly these texts, sorted, without duplicates; perhaps none.
    Literals(Vec<String>),
    /// One of these.
    Globs(Vec<Glob>),
    /// Only the engine can tell.
    Engine,
}

/// Literals in order with any text between.
#[derive(Debug)]
pub(super) struct Glob {
    prefix: String,
    /// What follows the prefix. Never empty: without a gap it would be a literal.
    parts: Vec<Part>,
}

/// A gap, and the literal behind it; the last part's literal ends the text.
#[derive(Debug)]
struct Part {
    gap_bytes_min: usize,
    literal: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Literal(String),
    /// At least so many characters, 0 or 1.
    Gap(usize),
    Start,
    End,
}

impl Plan {
    /// The plan for matching all of a text against `hir`.
    pub(super) fn new(hir: &Hir) -> Plan {
        let Some(alternatives) = write_out(hir) else {
            return Plan::Engine;
        };
        let Some(globs) = alternatives
            .into_iter()
            .map(glob)
            .collect::<Option<Vec<Glob>>>()
        else {
            return Plan::Engine;
        };
        if globs.iter().all(|glob| glob.parts.is_empty()) {
            let mut literals: Vec<String> = globs.into_iter().map(|glob| glob.prefix).collect();
            literals.sort_unstable();
            literals.dedup();
            return Plan::Literals(literals);
        }
        if globs.iter().any(Glob::is_any) {
            return Plan::Any;
        }
        if globs.len() > GLOBS_MAX {
            return Plan::Engine;
        }
        Plan::Globs(globs)
    }

    /// Whether the text matches; `None` if only the engine can tell.
    #[inline]
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        match self {
            Plan::Any => Some(true),
            Plan::Literals(literals) if literals.len() <= LINEAR_MAX => {
                Some(literals.iter().any(|literal| literal == text))
            }
            Plan::Literals(literals) => Some(
                literals
                    .binary_search_by(|literal| literal.as_str().cmp(text))
                    .is_ok(),
            ),
            Plan::Globs(globs) => Some(globs.iter().any(|glob| glob.is_match(text))),
            Plan::Engine => None,
        }
    }
}

impl Glob {
    fn is_any(&self) -> bool {
        self.prefix.is_empty()
            && matches!(self.parts.as_slice(), [part] if part.gap_bytes_min == 0 && part.literal.is_empty())
    }

    /// Taking the first place where each literal fits leaves most room for the others, so no
    /// second try is needed.
    fn is_match(&self, text: &str) -> bool {
        let Some(mut rest) = text.strip_prefix(self.prefix.as_str()) else {
            return false;
        };
        let Some((last, middle)) = self.parts.split_last() else {
            return rest.is_empty();
        };
        for part in middle {
            let Some(at) = find_from(rest, &part.literal, part.gap_bytes_min) else {
                return false;
            };
            rest = &rest[at + part.literal.len()..];
        }
        rest.len() >= last.gap_bytes_min + last.literal.len() && rest.ends_with(&last.literal)
    }
}

/// Where `literal`, which is not empty, first begins in `text` at byte `from` (0 or 1) or later.
fn find_from(text: &str, literal: &str, from: usize) -> Option<usize> {
    match text.find(literal)? {
        0 if from > 0 => {
            let skip = text.chars().next().map_or(0, char::len_utf8);
            text[skip..].find(literal).map(|at| at + skip)
        }
        at => Some(at),
    }
}

/// Turns one alternative into a glob.
fn glob(items: Vec<Item>) -> Option<Glob> {
    let mut glob = Glob {
        prefix: String::new(),
        parts: Vec::new(),
    };
    let mut after_end = false;
    for item in items {
        match item {
            Item::Start if glob.prefix.is_empty() && glob.parts.is_empty() => {}
            Item::Start => return None,
            Item::End => after_end = true,
            Item::Literal(text) if text.is_empty() => {}
            // Something after the end of the text: leave it to the engine.
            _ if after_end => return None,
            Item::Literal(text) => match glob.parts.last_mut() {
                Some(part) => part.literal.push_str(&text),
                None => glob.prefix.push_str(&text),
            },
            Item::Gap(chars_min) => match glob.parts.last_mut() {
                // `.*.+` is `.+`; `.+.+` counts characters, which bytes cannot.
                Some(part) if part.literal.is_empty() => {
                    if part.gap_bytes_min + chars_min > 1 {
                        return None;
                    }
                    part.gap_bytes_min += chars_min;
                }
                _ => glob.parts.push(Part {
                    gap_bytes_min: chars_min,
                    literal: String::new(),
                }),
            },
        }
    }
    Some(glob)
}

/// The alternatives of a pattern, in any order; `None` if there are too many or it holds something
/// else than literals, small classes, gaps and anchors.
fn write_out(hir: &Hir) -> Option<Vec<Vec<Item>>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![vec![]]),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            Some(vec![vec![Item::Literal(text.to_owned())]])
        }
        HirKind::Look(Look::Start) => Some(vec![vec![Item::Start]]),
        HirKind::Look(Look::End) => Some(vec![vec![Item::End]]),
        HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => None,
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.iter().map(|range| range.len()).sum();
            if count > ALTERNATIVES_MAX {
                return None;
            }
            let chars = class.iter().flat_map(|range| range.start()..=range.end());
            Some(chars.map(|c| vec![Item::Literal(c.into())]).collect())
        }
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (min @ (0 | 1), None) if is_any_char(&repetition.sub) => {
                Some(vec![vec![Item::Gap(min as usize)]])
            }
            (0, Some(1)) => {
                let mut alternatives = write_out(&repetition.sub)?;
                alternatives.push(vec![]);
                Some(alternatives)
            }
            _ => None,
        },
        HirKind::Capture(capture) => write_out(&capture.sub),
        HirKind::Concat(subs) => {
            let mut product: Vec<Vec<Item>> = vec![vec![]];
            for sub in subs {
                let alternatives = write_out(sub)?;
                if product.len() * alternatives.len() > ALTERNATIVES_MAX
                    && (product.len() > 1 && alternatives.len() > 1)
                {
                    return None;
                }
                product = product
                    .iter()
                    .flat_map(|head| {
                        alternatives
                            .iter()
                            .map(move |tail| [head.as_slice(), tail.as_slice()].concat())
                    })
                    .collect();
            }
            Some(product)
        }
        // As long as the pattern itself, so without a limit of its own.
        HirKind::Alternation(subs) => {
            let mut alternatives = Vec::new();
            for sub in subs {
                alternatives.extend(write_out(sub)?);
            }
            Some(alternatives)
        }
    }
}

fn is_any_char(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            matches!(class.ranges(), [range] if range.start() == '\0' && range.end() == char::MAX)
        }
        HirKind::Capture(capture) => is_any_char(&capture.sub),
        _ => false,
    }
}

/// The literal that every match begins with.
pub(super) fn literal_prefix(hir: &Hir) -> String {
    let mut prefix = String::new();
    append_prefix(hir, &mut prefix);
    prefix
}

/// Appends what `hir` begins with; whether that is all of it.
fn append_prefix(hir: &Hir, prefix: &mut String) -> bool {
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Look(Look::Start) => prefix.is_empty(),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => {
                prefix.push_str(text);
                true
            }
            Err(_) => false,
        },
        HirKind::Capture(capture) => append_prefix(&capture.sub, prefix),
        HirKind::Concat(subs) => subs.iter().all(|sub| append_prefix(sub, prefix)),
        _ => false,
    }
}
