//! Strict decoding of a tree: what every section needs, and nothing about any section.
//!
//! A [`Decoder`] collects problems and goes on, so that one run names them all. Each reading
//! function answers `None` after it has noted why; the caller then keeps its default.
//!
//! A null scalar is the zero of its kind (an empty text, `false`, 0), not the default: so does
//! upstream, and `replacement:` without a value is a way to write an empty one. Type names in the
//! texts are Go's, because they are what upstream's users know and search for.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use gocompat::Regex;
use gocompat::strconv::quote;
use model::{Labels, NameScheme};

use crate::scalar::{self, Resolved, resolve};
use crate::yaml::{Node, Scalar, Value};
use crate::{Problem, ProblemKind};

/// A file with thousands of mistakes is another file; the first hundred say enough.
const PROBLEMS_MAX: usize = 100;

/// What users are told of a key that is Prometheus's and not yet ours.
const NOT_YET: &str = "is not supported yet by Promontory";

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    problems: Vec<Problem>,
    /// Jobs repeat each other's rules, and an expression costs some 100 µs and 10 KB to compile.
    regexes: HashMap<String, Regex>,
}

/// The keys of a mapping that stands for a Go struct. Every key is taken once; [`Fields::finish`]
/// refuses the others.
pub(crate) struct Fields<'n> {
    pub(crate) node: &'n Node,
    type_name: &'static str,
    entries: Vec<Entry<'n>>,
}

struct Entry<'n> {
    name: String,
    key: &'n Node,
    value: &'n Node,
    taken: Cell<bool>,
}

impl<'n> Fields<'n> {
    /// The value of a key, null included.
    pub(crate) fn take(&self, name: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        entry.taken.set(true);
        Some(entry.value)
    }

    /// The value of a key that says something.
    pub(crate) fn section(&self, name: &str) -> Option<&'n Node> {
        self.take(name).filter(|node| !node.is_null())
    }

    /// Refuses keys that are Prometheus's and not supported, unless they say nothing. `path` is
    /// where the mapping stands, with a dot at its end if it is not the root.
    pub(crate) fn refuse_unsupported(&self, decoder: &mut Decoder, path: &str, names: &[&str]) {
        for entry in &self.entries {
            if names.contains(&entry.name.as_str()) {
                entry.taken.set(true);
                if !entry.value.is_empty() {
                    decoder.refuse_unsupported(entry.key, &format!("{path}{}", entry.name));
                }
            }
        }
    }

    /// Refuses keys that nobody took.
    pub(crate) fn finish(self, decoder: &mut Decoder) {
        for entry in self.entries.iter().filter(|entry| !entry.taken.get()) {
            decoder.refuse_structure(
                entry.key,
                format!("field {} not found in type {}", entry.name, self.type_name),
            );
        }
    }
}

impl Decoder {
    /// All problems, in the order of the file, each once.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        // A stable sort: what stands on one line keeps the order in which it was found.
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
            .dedup_by(|a, b| a.line == b.line && a.text == b.text);
        self.problems.truncate(PROBLEMS_MAX);
        self.problems
    }

    /// How many problems were noted so far.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Notes that what a node says cannot be.
    pub(crate) fn refuse(&mut self, node: &Node, text: String) {
        self.problems.push(node.problem(ProblemKind::Meaning, text));
    }

    /// Notes that what a node says is Prometheus's and not supported yet; `what` is the path of the
    /// key, with the value if only that one is not.
    pub(crate) fn refuse_unsupported(&mut self, node: &Node, what: &str) {
        self.refuse_structure(node, format!("{what} {NOT_YET}"));
    }

    /// Notes that a node cannot be here, or not in this form.
    fn refuse_structure(&mut self, node: &Node, text: String) {
        self.problems
            .push(node.problem(ProblemKind::Structure, text));
    }

    /// The keys of a mapping, merge keys (`<<`) resolved: a key of the mapping itself wins over a
    /// merged one, an earlier merged mapping over a later one.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        type_name: &'static str,
    ) -> Option<Fields<'n>> {
        let mut entries: Vec<Entry<'n>> = Vec::new();
        let mut seen = HashSet::new();
        for (name, key, value, is_merged) in self.pairs(node, type_name)? {
            if !seen.insert(name.clone()) {
                if !is_merged {
                    let text = format!("field {name} already set in type {type_name}");
                    self.refuse_structure(key, text);
                }
                continue;
            }
            entries.push(Entry {
                name,
                key,
                value,
                taken: Cell::new(false),
            });
        }
        Some(Fields {
            node,
            type_name,
            entries,
        })
    }

    /// Names, keys, values and whether they were merged; those of the mapping itself first.
    fn pairs<'n>(
        &mut self,
        node: &'n Node,
        type_name: &str,
    ) -> Option<Vec<(String, &'n Node, &'n Node, bool)>> {
        let Value::Mapping(entries) = &node.value else {
            return self.mismatch(node, type_name);
        };
        let mut pairs = Vec::with_capacity(entries.len());
        let mut merges = Vec::new();
        for (key, value) in entries {
            if is_merge_key(key) {
                merges.push(&**value);
            } else if let Some(name) = self.text(key, "string") {
                pairs.push((name, &**key, &**value, false));
            }
        }
        for merge in merges {
            let sources: Vec<&'n Node> = match &merge.value {
                Value::Sequence(items) => items.iter().map(|item| &**item).collect(),
                _ => vec![merge],
            };
            for source in sources {
                if !matches!(source.value, Value::Mapping(_)) {
                    let text = "yaml: map merge requires map or sequence of maps as the value";
                    self.refuse(source, text.to_owned());
                    continue;
                }
                let merged = self.pairs(source, type_name).unwrap_or_default();
                pairs.extend(merged.into_iter().map(|(n, k, v, _)| (n, k, v, true)));
            }
        }
        Some(pairs)
    }

    /// The items of a list; none if it is null.
    pub(crate) fn items<'n>(&mut self, node: &'n Node, type_name: &str) -> Option<&'n [Rc<Node>]> {
        match &node.value {
            _ if node.is_null() => Some(&[]),
            Value::Sequence(items) => Some(items),
            _ => self.mismatch(node, type_name),
        }
    }

    /// A text, as written: numbers and booleans keep their form.
    pub(crate) fn string(&mut self, node: &Node) -> Option<String> {
        self.text(node, "string")
    }

    /// A text of a named Go type.
    pub(crate) fn text(&mut self, node: &Node, type_name: &str) -> Option<String> {
        let bytes = self.bytes_of(node, type_name)?;
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let shown = quote_bytes(error.as_bytes());
                self.refuse(node, format!("{shown} is not valid UTF-8"));
                None
            }
        }
    }

    /// The bytes of a text; only a `!!binary` one can be other than UTF-8.
    fn bytes_of(&mut self, node: &Node, type_name: &str) -> Option<Vec<u8>> {
        let scalar = self.scalar(node, type_name)?;
        match self.resolved(node, scalar)? {
            Resolved::Null => Some(Vec::new()),
            Resolved::Binary => {
                let bytes = scalar::decode_base64(&scalar.text);
                if bytes.is_none() {
                    let text = "yaml: !!binary value contains invalid base64 data";
                    self.refuse(node, text.to_owned());
                }
                bytes
            }
            _ => Some(scalar.text.clone().into_bytes()),
        }
    }

    /// `true`, `yes`, `on`, and their contraries.
    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        let scalar = self.scalar(node, "bool")?;
        match self.resolved(node, scalar)? {
            Resolved::Null => Some(false),
            Resolved::Bool(value) => Some(value),
            _ => self.mismatch(node, "bool"),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn uint(&mut self, node: &Node, type_name: &str) -> Option<u64> {
        match self.integer(node, type_name)?.try_into() {
            Ok(value) => Some(value),
            Err(_) => self.mismatch(node, type_name),
        }
    }

    /// A whole number.
    pub(crate) fn int(&mut self, node: &Node, type_name: &str) -> Option<i64> {
        match self.integer(node, type_name)?.try_into() {
            Ok(value) => Some(value),
            Err(_) => self.mismatch(node, type_name),
        }
    }

    fn integer(&mut self, node: &Node, type_name: &str) -> Option<i128> {
        let scalar = self.scalar(node, type_name)?;
        match self.resolved(node, scalar)? {
            Resolved::Null => Some(0),
            Resolved::Int(value) => Some(value),
            // 1e6 is a way to write a whole number; 1.5 is not, though upstream cuts it off.
            Resolved::Float(value) if value.fract() == 0.0 && value.abs() < 1e18 => {
                Some(value as i128)
            }
            _ => self.mismatch(node, type_name),
        }
    }

    /// A number.
    pub(crate) fn float(&mut self, node: &Node) -> Option<f64> {
        let scalar = self.scalar(node, "float64")?;
        match self.resolved(node, scalar)? {
            Resolved::Null => Some(0.0),
            Resolved::Int(value) => Some(value as f64),
            Resolved::Float(value) => Some(value),
            _ => self.mismatch(node, "float64"),
        }
    }

    /// `1h30m`, in milliseconds.
    pub(crate) fn duration_ms(&mut self, node: &Node) -> Option<i64> {
        if node.is_null() {
            return Some(0);
        }
        let text = self.string(node)?;
        match model::parse_duration_ms(&text) {
            Ok(duration_ms) => Some(duration_ms),
            Err(error) => {
                self.refuse(node, error.to_string());
                None
            }
        }
    }

    /// `15MB`, in bytes; `key` is what a negative size is said to be of.
    pub(crate) fn size_bytes(&mut self, node: &Node, key: &str) -> Option<u64> {
        if node.is_null() {
            return Some(0);
        }
        let text = self.text(node, "units.Base2Bytes")?;
        let refusal = match scalar::parse_size(&text) {
            Ok(size) => match u64::try_from(size) {
                Ok(size) => return Some(size),
                Err(_) => {
                    let shown = scalar::format_size(size.unsigned_abs());
                    format!("'{key}' must be greater than or equal to 0, got -{shown}")
                }
            },
            Err(error) => error,
        };
        self.refuse(node, refusal);
        None
    }

    /// An expression as relabelling anchors it.
    pub(crate) fn regex(&mut self, node: &Node) -> Option<Regex> {
        let pattern = self.string(node)?;
        if let Some(regex) = self.regexes.get(&pattern) {
            return Some(regex.clone());
        }
        match Regex::new_spliced(&pattern) {
            Ok(regex) => {
                self.regexes.insert(pattern, regex.clone());
                Some(regex)
            }
            Err(error) => {
                self.refuse(node, error.to_string());
                None
            }
        }
    }

    /// A list of texts.
    pub(crate) fn strings(&mut self, node: &Node, type_name: &str) -> Option<Vec<String>> {
        let items = self.items(node, &format!("[]{type_name}"))?;
        let texts = items.iter().filter_map(|item| self.text(item, type_name));
        Some(texts.collect())
    }

    /// A mapping of texts, sorted, with names of the scheme. `type_name` is Go's.
    pub(crate) fn labels(
        &mut self,
        node: &Node,
        type_name: &str,
        scheme: NameScheme,
    ) -> Option<Labels> {
        if node.is_null() {
            return Some(Labels::empty());
        }
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in self.entries(node, type_name)? {
            if !scheme.is_valid_label_name(&name) {
                let text = format!("{} is not a valid label name", quote(&name));
                self.refuse(value, text);
                continue;
            }
            let Some(bytes) = self.bytes_of(value, "string") else {
                continue;
            };
            match String::from_utf8(bytes) {
                Ok(text) => {
                    labels.push((name, text));
                }
                Err(error) => {
                    let shown = quote_bytes(error.as_bytes());
                    self.refuse(value, format!("{shown} is not a valid label value"));
                }
            }
        }
        let pairs = labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        Some(Labels::from_pairs(pairs))
    }

    /// The entries of a mapping with free keys, merge keys resolved.
    pub(crate) fn entries<'n>(
        &mut self,
        node: &'n Node,
        type_name: &str,
    ) -> Option<Vec<(String, &'n Node)>> {
        // A key can be a `!!binary` that is no text; say so as upstream does.
        if let Value::Mapping(entries) = &node.value
            && let Some((key, _)) = entries.iter().find(|(key, _)| is_bad_binary(key))
        {
            let bytes = self.bytes_of(key, "string")?;
            let shown = quote_bytes(&bytes);
            self.refuse(key, format!("{shown} is not a valid label name"));
            return None;
        }
        let mut kept: Vec<(String, &'n Node)> = Vec::new();
        let mut seen = HashSet::new();
        for (name, _, value, is_merged) in self.pairs(node, type_name)? {
            if !seen.insert(name.clone()) {
                if !is_merged {
                    self.refuse_structure(
                        value,
                        format!("key {} already set in map", quote(&name)),
                    );
                }
                continue;
            }
            kept.push((name, value));
        }
        Some(kept)
    }

    fn scalar<'n>(&mut self, node: &'n Node, type_name: &str) -> Option<&'n Scalar> {
        match &node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => self.mismatch(node, type_name),
        }
    }

    fn resolved(&mut self, node: &Node, scalar: &Scalar) -> Option<Resolved> {
        match resolve(scalar) {
            Ok(resolved) => Some(resolved),
            Err(text) => {
                self.refuse(node, text);
                None
            }
        }
    }

    /// Notes that a node is not what it should be.
    pub(crate) fn mismatch<T>(&mut self, node: &Node, type_name: &str) -> Option<T> {
        let found = match &node.value {
            Value::Sequence(_) => "!!seq".to_owned(),
            Value::Mapping(_) => "!!map".to_owned(),
            Value::Scalar(scalar) => {
                let tag = match (scalar.tag.as_deref(), resolve(scalar)) {
                    (Some(tag), _) => tag,
                    (None, Ok(resolved)) => resolved.tag(),
                    (None, Err(_)) => "!!str",
                };
                format!("{tag} `{}`", shortened(&scalar.text))
            }
        };
        self.refuse_structure(node, format!("cannot unmarshal {found} into {type_name}"));
        None
    }
}

fn is_merge_key(key: &Node) -> bool {
    match &key.value {
        Value::Scalar(scalar) => match scalar.tag.as_deref() {
            None => scalar.is_plain && scalar.text == "<<",
            Some(tag) => tag == "!!merge",
        },
        _ => false,
    }
}

fn is_bad_binary(key: &Node) -> bool {
    match &key.value {
        Value::Scalar(scalar) if scalar.tag.as_deref() == Some("!!binary") => {
            scalar::decode_base64(&scalar.text)
                .is_none_or(|bytes| String::from_utf8(bytes).is_err())
        }
        _ => false,
    }
}

/// More than ten bytes are cut to seven.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return text.to_owned();
    }
    let end = (0..=7).rev().find(|&end| text.is_char_boundary(end));
    format!("{}...", &text[..end.unwrap_or(0)])
}

/// Quotes bytes that are no UTF-8 as Go does: `\xff`.
fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let valid = quote(chunk.valid());
        quoted.push_str(&valid[1..valid.len() - 1]);
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}
