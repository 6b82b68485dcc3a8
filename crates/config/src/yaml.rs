//! A YAML document as a tree of nodes that know their line and column.
//!
//! The events are `granit_parser`'s; the tree is ours, because a strict decoder wants what no
//! serde crate gives: the place of every key, the text of every scalar as written, and aliases
//! that share their target. An alias costs one reference, so that a document of aliases of aliases
//! (the "billion laughs") costs nothing to build; what it would cost to walk is counted while it
//! is built, and refused above [`ALIASED_NODES_MAX`]. Depth is counted through aliases too, so that
//! no recursion over a tree is deeper than [`DEPTH_MAX`].

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span};

use crate::{Problem, ProblemKind};

/// A configuration nests about ten levels deep.
const DEPTH_MAX: usize = 64;

/// 400,000 nodes are what a document of some 10 MB has without aliases; below that, aliases may
/// be used at will, above, they may stand for [`ALIAS_GROWTH_MAX`] times what is written.
const ALIASED_NODES_MAX: u64 = 400_000;
const ALIAS_GROWTH_MAX: u64 = 10;

/// 32 MiB: the largest `prometheus.yml` are a few, generated target lists included.
pub(crate) const TEXT_BYTES_MAX: usize = 32 << 20;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
    /// How many nodes a walk meets here, aliases followed.
    walk: u64,
    /// How many levels are here, aliases followed.
    depth: usize,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Rc<Node>>),
    /// Keys and values in the order of the file, duplicates and merge keys included.
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Whether it is neither quoted nor a block, so that it can be something else than a string.
    pub(crate) is_plain: bool,
    /// `!!int`, `!mine`; `None` if there is no tag.
    pub(crate) tag: Option<String>,
}

impl Node {
    /// A problem at this place.
    pub(crate) fn problem(&self, kind: ProblemKind, text: String) -> Problem {
        Problem {
            kind,
            line: self.line,
            column: self.column,
            text,
        }
    }

    /// Whether nothing is said here: `key:`, `key: ~`, `key: null`.
    pub(crate) fn is_null(&self) -> bool {
        let Value::Scalar(scalar) = &self.value else {
            return false;
        };
        match scalar.tag.as_deref() {
            None => {
                scalar.is_plain
                    && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Some(tag) => tag == "!!null",
        }
    }

    /// Whether nothing is said here or anywhere below, as in `alerting: {alertmanagers: []}`. An
    /// item that is null says that something was forgotten.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(_) => self.is_null(),
            Value::Sequence(items) => items.iter().all(|item| !item.is_null() && item.is_empty()),
            Value::Mapping(entries) => entries.iter().all(|(_, value)| value.is_empty()),
        }
    }
}

/// Reads the first document of `text`; `None` if there is none. Others are refused unless they are
/// empty: they would have no effect.
pub(crate) fn parse(text: &str) -> Result<Option<Rc<Node>>, Problem> {
    if text.len() > TEXT_BYTES_MAX {
        let text = format!("the file is larger than {TEXT_BYTES_MAX} bytes");
        return Err(syntax(0, 0, text));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        // They come as events then, and we say which name is unknown.
        emit_unresolved_aliases: true,
    };
    let mut builder = Builder::new(text);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let place = error.marker();
            let text = match error.kind() {
                // The library's text is about a mark that hardly anybody means to write.
                ErrorKind::ExpectedDocumentStart => {
                    "the document ends before this line; its indentation may be wrong".to_owned()
                }
                _ => error.info(),
            };
            syntax(place.line(), place.col() + 1, text)
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.root)
}

fn syntax(line: usize, column: usize, text: String) -> Problem {
    Problem {
        kind: ProblemKind::Structure,
        line,
        column,
        text,
    }
}

/// A collection that is still open.
struct Open {
    line: usize,
    column: usize,
    is_mapping: bool,
    anchor: usize,
    children: Vec<Rc<Node>>,
}

struct Builder<'t> {
    text: &'t str,
    open: Vec<Open>,
    /// `None` while the node is still open: an alias to it would be within itself.
    anchors: HashMap<usize, Option<Rc<Node>>>,
    /// Nodes as written, without what aliases stand for.
    written: u64,
    documents: usize,
    root: Option<Rc<Node>>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Builder<'t> {
        Builder {
            text,
            open: Vec::new(),
            anchors: HashMap::new(),
            written: 0,
            documents: 0,
            root: None,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = Value::Scalar(Scalar {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain,
                    tag: tag.map(|tag| short_tag(&tag)),
                });
                self.close(line, column, anchor, value)
            }
            Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) => {
                let is_mapping = matches!(event, Event::MappingStart(..));
                self.anchors.insert(anchor, None);
                self.open.push(Open {
                    line,
                    column,
                    is_mapping,
                    anchor,
                    children: Vec::new(),
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let value = if open.is_mapping {
                    let mut children = open.children.into_iter();
                    let mut entries = Vec::with_capacity(children.len() / 2);
                    while let (Some(key), Some(value)) = (children.next(), children.next()) {
                        entries.push((key, value));
                    }
                    Value::Mapping(entries)
                } else {
                    Value::Sequence(open.children)
                };
                self.close(open.line, open.column, open.anchor, value)
            }
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned().flatten();
                let Some(target) = target else {
                    let name = span.slice(self.text).unwrap_or_default();
                    let name = name.trim_start_matches('*');
                    let text = format!("anchor '{name}' value contains itself");
                    return Err(syntax(line, column, text));
                };
                self.add(line, column, target)
            }
            Event::UnresolvedAlias(name) => {
                let text = format!("unknown anchor '{name}' referenced");
                Err(syntax(line, column, text))
            }
            _ => Ok(()),
        }
    }

    /// Makes the node of a value that is complete.
    fn close(
        &mut self,
        line: usize,
        column: usize,
        anchor: usize,
        value: Value,
    ) -> Result<(), Problem> {
        let (mut walk, mut depth) = (1_u64, 0);
        let mut count = |node: &Node| {
            walk = walk.saturating_add(node.walk);
            depth = depth.max(node.depth);
        };
        match &value {
            Value::Scalar(_) => {}
            Value::Sequence(items) => items.iter().for_each(|item| count(item)),
            Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                count(key);
                count(value);
            }),
        }
        self.written += 1;
        let node = Rc::new(Node {
            line,
            column,
            value,
            walk,
            depth: depth + 1,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, Some(Rc::clone(&node)));
        }
        self.add(line, column, node)
    }

    /// Hangs a node where the document is.
    fn add(&mut self, line: usize, column: usize, node: Rc<Node>) -> Result<(), Problem> {
        let refuse = |text: String| Err(syntax(line, column, text));
        if node.depth + self.open.len() > DEPTH_MAX {
            return refuse(format!("more than {DEPTH_MAX} levels deep"));
        }
        let walk_max = ALIASED_NODES_MAX.max(self.written.saturating_mul(ALIAS_GROWTH_MAX));
        if node.walk > walk_max {
            return refuse("document contains excessive aliasing".to_owned());
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None if self.documents <= 1 => self.root = Some(node),
            None if node.is_null() => {}
            None => {
                return refuse(
                    "a second document begins here; only the first one would be read".to_owned(),
                );
            }
        }
        Ok(())
    }
}

fn short_tag(tag: &granit_parser::Tag) -> String {
    match tag.core_suffix() {
        Some(suffix) => format!("!!{suffix}"),
        None => tag.original(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree on one line: scalars with their line, quoted if they were.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_plain => format!("{}@{}", scalar.text, node.line),
            Value::Scalar(scalar) => format!("{:?}@{}", scalar.text, node.line),
            Value::Sequence(items) => {
                let items: Vec<String> = items.iter().map(|item| show(item)).collect();
                format!("[{}]", items.join(" "))
            }
            Value::Mapping(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}={}", show(key), show(value)))
                    .collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    #[test]
    fn trees_know_their_lines() {
        for (text, tree) in [
            ("a: 1", "{a@1=1@1}"),
            ("\u{feff}a: 1\r\nb: x y # c\r\n", "{a@1=1@1 b@2=x y@2}"),
            ("a:\n- 'x'\n- \"y\"\n", "{a@1=[\"x\"@2 \"y\"@3]}"),
            (
                "# head\n---\na: &x [1]\nb: *x\n...\n",
                "{a@3=[1@3] b@4=[1@3]}",
            ),
            ("a: |\n  x\n  y\nb: 2", "{a@1=\"x\\ny\\n\"@2 b@4=2@4}"),
            ("a: {b: [c, {d: e}]}", "{a@1={b@1=[c@1 {d@1=e@1}]}}"),
        ] {
            let root = parse(text).unwrap().unwrap();
            assert_eq!(show(&root), tree, "{text}");
        }
        assert!(parse("").unwrap().is_none());
        assert!(parse("# nothing\n").unwrap().is_none());
    }

    #[test]
    fn refuses_what_is_no_yaml() {
        for (text, line, what) in [
            (
                "a: b: c",
                1,
                "mapping values are not allowed in this context",
            ),
            ("a:\n\tb: 1", 2, "tab"),
            ("a: [1,\nb: 2", 1, "unclosed bracket"),
            ("a: 1\nb: *x\n", 2, "unknown anchor"),
            ("a: &x [*x]\n", 1, "anchor 'x' value contains itself"),
            ("a: 1\n---\nb: 2\n", 3, "a second document begins here"),
            ("a: \"x\n", 1, "unclosed quote"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.text.contains(what), "{text}: {problem:?}");
            assert_eq!(problem.line, line, "{text}: {problem:?}");
        }
        assert!(parse("a: 1\n---\n").unwrap().is_some());
    }

    #[test]
    fn aliases_of_aliases_are_refused_not_expanded() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        let problem = parse(&text).unwrap_err();
        assert_eq!(problem.text, "document contains excessive aliasing");

        // Each level is shallow, and the chain is not.
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..200 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        let problem = parse(&text).unwrap_err();
        assert_eq!(problem.text, "more than 64 levels deep");

        // A fleet that shares one block is no attack.
        let mut text = "d: &d {a: 1, b: 2, c: [1, 2, 3]}\nall:\n".to_owned();
        for _ in 0..10_000 {
            text.push_str("- *d\n");
        }
        assert!(parse(&text).is_ok());
    }

    #[test]
    fn depth_and_size_are_limited() {
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        let long = "#".repeat(TEXT_BYTES_MAX + 1);
        assert!(parse(&long).unwrap_err().text.contains("larger than"));
    }

    #[test]
    fn empty_says_nothing_at_any_depth() {
        for (text, empty) in [
            ("a:", true),
            ("a: []", true),
            ("a: {b: [{c: ~}]}", true),
            ("a: ''", false),
            ("a: 0", false),
            ("a: [x]", false),
            ("a: [~]", false),
        ] {
            let root = parse(text).unwrap().unwrap();
            assert_eq!(root.is_empty(), empty, "{text}");
        }
    }
}
