//! Go's pattern syntax (`regexp/syntax` with the Perl flags), read into the matching engine's
//! form.
//!
//! The grammar, the limits and the texts of errors are Go's. What the two languages read
//! differently (`\d` is ASCII, `{` may stand for itself, `[a&&b]` is no intersection, `\Q…\E`,
//! octal escapes) is why this parser exists: the engine's own front end would accept such
//! patterns and answer something else.
//!
//! The parser keeps its own stack, so nesting costs heap and no call stack.

use regex_syntax::hir::{
    Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition,
};

use super::RegexError;
use super::class;

/// Go's `maxHeight`: deeper trees are refused.
const HEIGHT_MAX: u32 = 1000;
/// Go's limit on a count, and on the product of nested counts.
const REPEAT_MAX: u32 = 1000;
/// Go's `maxSize`: instructions of the compiled program, with counts written out.
const SIZE_MAX: u64 = (128 << 20) / 40;
/// Go's `maxRunes`: range ends of all classes.
const CLASS_ENDS_MAX: usize = (128 << 20) / 4;

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) hir: Hir,
    /// Names of groups with their numbers; a name may occur twice.
    pub(super) names: Vec<(String, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    swap_greed: bool,
}

/// What a parsed piece is, as far as limits care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Literal,
    Concat,
    Alternate,
    Other,
}

#[derive(Debug)]
struct Node {
    hir: Hir,
    shape: Shape,
    /// Levels of the tree.
    height: u32,
    /// The largest product of nested counts.
    repeat: u32,
    /// Instructions, as Go estimates them.
    size: u64,
}

impl Node {
    fn leaf(hir: Hir, shape: Shape) -> Node {
        Node {
            hir,
            shape,
            height: 1,
            repeat: 1,
            size: 1,
        }
    }
}

/// An open parenthesis, or the whole pattern.
#[derive(Debug, Default)]
struct Group {
    /// `None` for the whole pattern and for `(?:`.
    capture: Option<usize>,
    /// What holds again after the group.
    outer: Option<Flags>,
    alternatives: Vec<Node>,
    concat: Vec<Node>,
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    flags: Flags,
    /// The innermost open group last; the first is the whole pattern.
    groups: Vec<Group>,
    captures: usize,
    names: Vec<(String, usize)>,
    class_ends: usize,
}

/// Reads `pattern`; `dot_newline` is Go's `DotNL`.
///
/// # Errors
/// In Go's words, each naming the part of the pattern at fault.
pub(super) fn parse(pattern: &str, dot_newline: bool) -> Result<Parsed, RegexError> {
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        flags: Flags {
            fold_case: false,
            multi_line: false,
            dot_newline,
            swap_greed: false,
        },
        groups: vec![Group::default()],
        captures: 0,
        names: Vec::new(),
        class_ends: 0,
    };
    parser.run()?;
    let whole = parser.close_group()?;
    if !parser.groups.is_empty() {
        return Err(error("missing closing )", pattern));
    }
    Ok(Parsed {
        hir: whole.hir,
        names: parser.names,
    })
}

pub(super) fn error(code: &str, part: &str) -> RegexError {
    RegexError(format!("error parsing regexp: {code}: `{part}`"))
}

/// The part of `from` up to where `rest`, one of its ends, begins.
fn up_to<'a>(from: &'a str, rest: &str) -> &'a str {
    &from[..from.len() - rest.len()]
}

fn take_char(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|c| (c, chars.as_str()))
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), RegexError> {
        // Where the repetition operator just before begins: two in a row are an error.
        let mut last_repeat: Option<&'a str> = None;
        while let Some((c, after)) = take_char(self.rest) {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' if after.starts_with('?') => self.perl_group()?,
                '(' => {
                    self.rest = after;
                    self.open_group(true);
                }
                '|' => {
                    self.rest = after;
                    let node = self.close_concat()?;
                    self.group().alternatives.push(node);
                }
                ')' => {
                    self.rest = after;
                    self.right_paren()?;
                }
                '^' | '$' | '.' => {
                    self.rest = after;
                    let node = Node::leaf(self.simple(c), Shape::Other);
                    self.push(node)?;
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.rest = after;
                    let (min, max) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(false, min, max, before, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match counts(before) {
                    None => {
                        self.rest = after;
                        self.literal('{')?;
                    }
                    Some((min, max, after)) => {
                        self.rest = after;
                        let size_error = || error("invalid repeat count", up_to(before, after));
                        let min = min.filter(|&n| n <= REPEAT_MAX).ok_or_else(size_error)?;
                        let max = match max {
                            Max::None => None,
                            Max::Count(n) if n <= REPEAT_MAX && n >= min => Some(n),
                            _ => return Err(size_error()),
                        };
                        self.repeat(true, min, max, before, last_repeat)?;
                        repeat = Some(before);
                    }
                },
                '\\' => self.backslash()?,
                c => {
                    self.rest = after;
                    self.literal(c)?;
                }
            }
            last_repeat = repeat;
        }
        Ok(())
    }

    fn group(&mut self) -> &mut Group {
        self.groups
            .last_mut()
            .expect("the group of the whole pattern stays until the end")
    }

    fn open_group(&mut self, captures: bool) {
        let capture = captures.then(|| {
            self.captures += 1;
            self.captures
        });
        self.groups.push(Group {
            capture,
            outer: Some(self.flags),
            ..Group::default()
        });
    }

    fn right_paren(&mut self) -> Result<(), RegexError> {
        let unexpected = self.groups.len() == 1;
        // Go closes first and looks then, so that a limit is reported before the parenthesis.
        let node = self.close_group()?;
        if unexpected {
            return Err(error("unexpected )", self.whole));
        }
        self.push(node)
    }

    /// Ends the innermost group and gives what it matches.
    fn close_group(&mut self) -> Result<Node, RegexError> {
        let last = self.close_concat()?;
        let Some(group) = self.groups.pop() else {
            return Ok(last);
        };
        let mut alternatives = group.alternatives;
        alternatives.push(last);
        let mut node = if alternatives.len() == 1 {
            alternatives.swap_remove(0)
        } else {
            join(alternatives, Shape::Alternate)
        };
        self.check(&node)?;
        if let Some(outer) = group.outer {
            self.flags = outer;
        }
        if let Some(index) = group.capture {
            node = Node {
                hir: Hir::capture(Capture {
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    name: None,
                    sub: Box::new(node.hir),
                }),
                shape: Shape::Other,
                height: node.height + 1,
                repeat: node.repeat,
                size: node.size.saturating_add(2),
            };
        }
        Ok(node)
    }

    /// Ends the current run of pieces.
    fn close_concat(&mut self) -> Result<Node, RegexError> {
        let mut pieces = std::mem::take(&mut self.group().concat);
        let node = match pieces.len() {
            0 => Node::leaf(Hir::empty(), Shape::Other),
            1 => pieces.swap_remove(0),
            _ => join(pieces, Shape::Concat),
        };
        self.check(&node)?;
        Ok(node)
    }

    fn push(&mut self, node: Node) -> Result<(), RegexError> {
        self.check(&node)?;
        self.group().concat.push(node);
        Ok(())
    }

    fn check(&self, node: &Node) -> Result<(), RegexError> {
        if self.class_ends > CLASS_ENDS_MAX || node.size > SIZE_MAX {
            return Err(error("expression too large", self.whole));
        }
        if node.height > HEIGHT_MAX {
            return Err(error("expression nests too deeply", self.whole));
        }
        Ok(())
    }

    fn simple(&self, c: char) -> Hir {
        match c {
            '^' if self.flags.multi_line => Hir::look(Look::StartLF),
            '^' => Hir::look(Look::Start),
            '$' if self.flags.multi_line => Hir::look(Look::EndLF),
            '$' => Hir::look(Look::End),
            _ if self.flags.dot_newline => Hir::dot(Dot::AnyChar),
            _ => Hir::dot(Dot::AnyCharExceptLF),
        }
    }

    fn literal(&mut self, c: char) -> Result<(), RegexError> {
        let hir = if self.flags.fold_case {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            Hir::class(Class::Unicode(class))
        } else {
            Hir::literal(c.to_string().into_bytes())
        };
        self.push(Node::leaf(hir, Shape::Literal))
    }

    /// Repeats the piece before; `before` starts at the operator, [`Parser::rest`] behind it.
    fn repeat(
        &mut self,
        counted: bool,
        min: u32,
        max: Option<u32>,
        before: &'a str,
        last_repeat: Option<&'a str>,
    ) -> Result<(), RegexError> {
        let mut greedy = !self.flags.swap_greed;
        if let Some(after) = self.rest.strip_prefix('?') {
            self.rest = after;
            greedy = !greedy;
        }
        let rest = self.rest;
        if let Some(last) = last_repeat {
            let part = up_to(last, rest);
            return Err(error("invalid nested repetition operator", part));
        }
        let Some(sub) = self.group().concat.pop() else {
            let part = up_to(before, rest);
            return Err(error("missing argument to repetition operator", part));
        };
        let count = match max {
            Some(0) => 0,
            Some(max) => max,
            None => min,
        };
        let repeat = match (counted, count) {
            (false, _) | (true, 1) => sub.repeat,
            (true, 0) if max.is_some() => 1,
            (true, count) => sub.repeat.saturating_mul(count.max(1)),
        };
        let copies = u64::from(count);
        let size = match (counted, max) {
            (false, None) => sub.size + 2,
            (false, Some(_)) => sub.size + 1,
            (true, None) if min == 0 => sub.size + 2,
            (true, None) => 1 + copies.saturating_mul(sub.size),
            (true, Some(max)) => copies.saturating_mul(sub.size) + u64::from(max - min),
        };
        let node = Node {
            hir: Hir::repetition(Repetition {
                min,
                max,
                greedy,
                sub: Box::new(sub.hir),
            }),
            shape: Shape::Other,
            height: sub.height + 1,
            repeat,
            size: size.max(1),
        };
        if counted && count >= 2 && repeat > REPEAT_MAX {
            return Err(error("invalid repeat count", up_to(before, rest)));
        }
        self.push(node)
    }

    /// `(?flags)`, `(?flags:`, `(?P<name>` and `(?<name>`.
    fn perl_group(&mut self) -> Result<(), RegexError> {
        let start = self.rest;
        let name_at = if start.len() > 4 && start.starts_with("(?P<") {
            Some(4)
        } else if start.len() > 3 && start.starts_with("(?<") {
            Some(3)
        } else {
            None
        };
        if let Some(name_at) = name_at {
            let end = start
                .find('>')
                .ok_or_else(|| error("invalid named capture", start))?;
            let name = &start[name_at..end];
            let word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
            if name.is_empty() || !name.bytes().all(word) {
                return Err(error("invalid named capture", &start[..=end]));
            }
            self.rest = &start[end + 1..];
            self.open_group(true);
            self.names.push((name.to_owned(), self.captures));
            return Ok(());
        }
        self.flag_group(start)
    }

    fn flag_group(&mut self, start: &'a str) -> Result<(), RegexError> {
        let mut rest = &start[2..];
        let mut flags = self.flags;
        let mut negated = false;
        let mut saw_flag = false;
        while let Some((c, after)) = take_char(rest) {
            rest = after;
            match c {
                'i' => flags.fold_case = !negated,
                'm' => flags.multi_line = !negated,
                's' => flags.dot_newline = !negated,
                'U' => flags.swap_greed = !negated,
                '-' if !negated => {
                    negated = true;
                    saw_flag = false;
                    continue;
                }
                ':' | ')' if !negated || saw_flag => {
                    if c == ':' {
                        self.open_group(false);
                    }
                    self.flags = flags;
                    self.rest = rest;
                    return Ok(());
                }
                _ => break,
            }
            saw_flag = true;
        }
        let part = up_to(start, rest);
        Err(error("invalid or unsupported Perl syntax", part))
    }

    /// Everything that starts with a backslash outside of a class.
    fn backslash(&mut self) -> Result<(), RegexError> {
        let start = self.rest;
        let look = match start.as_bytes().get(1) {
            Some(b'A') => Some(Look::Start),
            Some(b'z') => Some(Look::End),
            Some(b'b') => Some(Look::WordAscii),
            Some(b'B') => Some(Look::WordAsciiNegate),
            Some(b'C') => return Err(error("invalid escape sequence", &start[..2])),
            Some(b'Q') => {
                let body = &start[2..];
                let (literal, rest) = body.split_once("\\E").unwrap_or((body, ""));
                self.rest = rest;
                return literal.chars().try_for_each(|c| self.literal(c));
            }
            _ => None,
        };
        if let Some(look) = look {
            self.rest = &start[2..];
            return self.push(Node::leaf(Hir::look(look), Shape::Other));
        }
        if let Some((class, rest)) = self.group_escape(start)? {
            self.rest = rest;
            return self.push_class(class);
        }
        let (code, rest) = escape(start)?;
        self.rest = rest;
        match char::from_u32(code) {
            Some(c) => self.literal(c),
            None => self.push(Node::leaf(Hir::fail(), Shape::Literal)),
        }
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), RegexError> {
        self.class_ends += 2 * class.ranges().len();
        let hir = Hir::class(Class::Unicode(class));
        self.push(Node::leaf(hir, Shape::Other))
    }

    /// `\d` and its like, `\p{…}`: a class and what follows it.
    fn group_escape(&self, text: &'a str) -> Result<Option<(ClassUnicode, &'a str)>, RegexError> {
        let bytes = text.as_bytes();
        if bytes.first() != Some(&b'\\') || bytes.len() < 2 {
            return Ok(None);
        }
        if matches!(bytes[1], b'p' | b'P') {
            return self.unicode_class(text).map(Some);
        }
        Ok(class::perl(bytes[1].to_ascii_lowercase()).map(|class| {
            let negated = bytes[1].is_ascii_uppercase();
            (self.folded(class, negated), &text[2..])
        }))
    }

    fn unicode_class(&self, text: &'a str) -> Result<(ClassUnicode, &'a str), RegexError> {
        let invalid = |part: &str| error("invalid character class range", part);
        let (name, rest) = match take_char(&text[2..]) {
            Some(('{', _)) => {
                let end = text.find('}').ok_or_else(|| invalid(text))?;
                (&text[3..end], &text[end + 1..])
            }
            Some((_, rest)) => (&up_to(text, rest)[2..], rest),
            None => ("", ""),
        };
        let (caret, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let class = class::unicode(name).ok_or_else(|| invalid(up_to(text, rest)))?;
        let negated = caret != text.starts_with("\\P");
        Ok((self.folded(class, negated), rest))
    }

    fn folded(&self, mut class: ClassUnicode, negated: bool) -> ClassUnicode {
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        if negated {
            class.negate();
        }
        class
    }

    /// `[…]`
    fn class(&mut self) -> Result<(), RegexError> {
        let start = self.rest;
        let body = &start[1..];
        let (negated, mut rest) = match body.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, body),
        };
        let mut class = ClassUnicode::empty();
        let mut first = true; // A `]` in the first place stands for itself.
        while first || !rest.starts_with(']') {
            first = false;
            if let Some((named, after)) = self.posix_class(rest)? {
                class.union(&named);
                rest = after;
                continue;
            }
            if let Some((named, after)) = self.group_escape(rest)? {
                class.union(&named);
                rest = after;
                continue;
            }
            let item = rest;
            let (lo, after) = class_char(rest, start)?;
            rest = after;
            let mut hi = lo;
            // In `[a-]` the hyphen stands for itself.
            if rest.len() >= 2 && rest.starts_with('-') && !rest[1..].starts_with(']') {
                (hi, rest) = class_char(&rest[1..], start)?;
                if hi < lo {
                    return Err(error("invalid character class range", up_to(item, rest)));
                }
            }
            class.union(&self.folded(class::range(lo, hi), false));
        }
        self.rest = &rest[1..];
        if negated {
            class.negate();
        }
        self.push_class(class)
    }

    /// `[:alpha:]` inside of a class.
    fn posix_class(&self, text: &'a str) -> Result<Option<(ClassUnicode, &'a str)>, RegexError> {
        let Some(body) = text.strip_prefix("[:") else {
            return Ok(None);
        };
        let Some(end) = body.find(":]") else {
            return Ok(None);
        };
        let (name, rest) = (&body[..end], &body[end + 2..]);
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let class = class::posix(name)
            .ok_or_else(|| error("invalid character class range", up_to(text, rest)))?;
        Ok(Some((self.folded(class, negated), rest)))
    }
}

/// One node out of several, flat where a piece is of the same kind.
fn join(nodes: Vec<Node>, shape: Shape) -> Node {
    let below = |node: &Node| node.height - u32::from(node.shape == shape);
    let height = 1 + nodes.iter().map(below).max().unwrap_or(0);
    let repeat = nodes.iter().map(|node| node.repeat).max().unwrap_or(1);
    let size = nodes.iter().map(|node| node.size).sum::<u64>();
    let all_literal = nodes.iter().all(|node| node.shape == Shape::Literal);
    let branches = nodes.len() as u64 - 1;
    let subs = nodes.into_iter().map(|node| node.hir).collect();
    match shape {
        Shape::Alternate => Node {
            hir: Hir::alternation(subs),
            shape,
            height,
            repeat,
            size: size + branches,
        },
        _ => Node {
            hir: Hir::concat(subs),
            shape: if all_literal { Shape::Literal } else { shape },
            height: if all_literal { 1 } else { height },
            repeat,
            size,
        },
    }
}

/// The upper count of `{…}`.
enum Max {
    /// `{n,}`
    None,
    /// A count, or the same as the lower one.
    Count(u32),
    /// Too large to hold.
    Huge,
}

/// Reads `{n}`, `{n,}`, `{n,m}`: the lower count (`None` if too large to hold), the upper one and
/// what follows. `None` if it is none of these, and the brace stands for itself.
fn counts(text: &str) -> Option<(Option<u32>, Max, &str)> {
    let (min, rest) = integer(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (min.map_or(Max::Huge, Max::Count), rest),
        Some(rest) if rest.starts_with('}') => (Max::None, rest),
        Some(rest) => {
            let (max, rest) = integer(rest)?;
            (max.map_or(Max::Huge, Max::Count), rest)
        }
    };
    Some((min, max, rest.strip_prefix('}')?))
}

/// Decimal digits without a leading zero.
fn integer(text: &str) -> Option<(Option<u32>, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 || (length > 1 && text.starts_with('0')) {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    Some((digits.parse().ok(), rest))
}

/// One character of a class, as itself or escaped.
fn class_char<'a>(text: &'a str, class: &str) -> Result<(u32, &'a str), RegexError> {
    if text.starts_with('\\') {
        return escape(text);
    }
    match take_char(text) {
        Some((c, rest)) => Ok((c.into(), rest)),
        None => Err(error("missing closing ]", class)),
    }
}

/// An escape for a single character; the code may be a surrogate's.
fn escape(text: &str) -> Result<(u32, &str), RegexError> {
    let Some((c, mut rest)) = take_char(&text[1..]) else {
        return Err(error("trailing backslash at end of expression", ""));
    };
    let octal = |text: &str| text.bytes().next().filter(|b| (b'0'..=b'7').contains(b));
    let code = match c {
        'a' => Some(0x07),
        'f' => Some(0x0c),
        'n' => Some(0x0a),
        'r' => Some(0x0d),
        't' => Some(0x09),
        'v' => Some(0x0b),
        // A single digit would refer back to a group, which no automaton can.
        '1'..='7' if octal(rest).is_none() => None,
        '0'..='7' => {
            let mut code = c as u32 - '0' as u32;
            for _ in 0..2 {
                let Some(digit) = octal(rest) else { break };
                code = code * 8 + u32::from(digit - b'0');
                rest = &rest[1..];
            }
            Some(code)
        }
        'x' => {
            let (code, after) = hexadecimal(rest);
            rest = after;
            code
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c.into()),
        _ => None,
    };
    match code {
        Some(code) => Ok((code, rest)),
        None => Err(error("invalid escape sequence", up_to(text, rest))),
    }
}

/// What follows `\x`: two digits, or any number in braces. Also gives what is left, which in case
/// of an error begins after the character at fault.
fn hexadecimal(text: &str) -> (Option<u32>, &str) {
    let Some((first, mut rest)) = take_char(text) else {
        return (None, text);
    };
    if first != '{' {
        let Some((second, after)) = take_char(rest) else {
            return (None, rest);
        };
        let digits = first.to_digit(16).zip(second.to_digit(16));
        return (digits.map(|(high, low)| high * 16 + low), after);
    }
    let mut code: Option<u32> = None;
    while let Some((c, after)) = take_char(rest) {
        rest = after;
        if c == '}' {
            return (code, rest);
        }
        let Some(digit) = c.to_digit(16) else {
            break;
        };
        code = Some(code.unwrap_or(0) * 16 + digit);
        if code > Some(u32::from(char::MAX)) {
            break;
        }
    }
    (None, rest)
}
