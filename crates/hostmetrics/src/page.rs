//! Writes text exposition.

use std::fmt::Write;

/// The type of a family, as far as there are any here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Untyped,
}

/// A page that grows, family by family.
pub(crate) struct Page<'a> {
    out: &'a mut String,
    /// Where the page begins in `out`.
    start: usize,
    /// The family that samples belong to.
    family: String,
}

impl<'a> Page<'a> {
    pub(crate) fn new(out: &'a mut String) -> Page<'a> {
        let start = out.len();
        Page {
            out,
            start,
            family: String::new(),
        }
    }

    /// Bytes so far.
    pub(crate) fn length(&self) -> usize {
        self.out.len() - self.start
    }

    /// Takes back what came after the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.out.truncate(self.start + length);
    }

    /// Begins a family; `help` is one line without backslashes.
    pub(crate) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.family.clear();
        self.family.push_str(name);
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Untyped => "untyped",
        };
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family. Labels with an empty value are left out.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(&self.family);
        let mut opened = false;
        for (name, text) in labels.iter().filter(|(_, text)| !text.is_empty()) {
            self.out.push(if opened { ',' } else { '{' });
            opened = true;
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.escaped(text);
            self.out.push('"');
        }
        if opened {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// A family of one sample without labels.
    pub(crate) fn single(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                c => self.out.push(c),
            }
        }
    }
}
