//! What names a series of a protobuf page.
//!
//! The name stands in the family, the labels in the metric, and the parts of a classic histogram or
//! summary have neither their own name nor `le` or `quantile`. A [`Key`] puts them together into a
//! few bytes that are the same on every page that says the same, so that they can be the key of a
//! scrape cache; labels are made of them only when a series is seen for the first time.
//!
//! ```text
//! key    = 0xff, length of name: u32, name, { length of label: u32, label message }, role, bound
//! role   = u8, see `Role`
//! bound  = f64, of a bucket or quantile; 0 for other roles
//! ```
//!
//! No series of a text page begins with the byte 0xff.

use crate::ParseError;
use crate::protobuf::wire::Fields;

const MARK: u8 = 0xff;
const TAIL_BYTES: usize = 1 + 8;

/// Which part of its metric a series is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// All of it.
    Whole,
    /// The count of a summary or classic histogram.
    Count,
    /// The sum.
    Sum,
    /// A classic bucket with its upper bound.
    Bucket(f64),
    /// A quantile of a summary.
    Quantile(f64),
}

impl Role {
    /// What comes after the name of the family.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Role::Whole | Role::Quantile(_) => "",
            Role::Count => "_count",
            Role::Sum => "_sum",
            Role::Bucket(_) => "_bucket",
        }
    }

    /// The label that only this part has.
    pub(crate) fn label(self) -> Option<(&'static str, f64)> {
        match self {
            Role::Bucket(bound) => Some(("le", bound)),
            Role::Quantile(bound) => Some(("quantile", bound)),
            Role::Whole | Role::Count | Role::Sum => None,
        }
    }

    fn tail(self) -> [u8; TAIL_BYTES] {
        let (code, bound) = match self {
            Role::Whole => (0, 0.0),
            Role::Count => (1, 0.0),
            Role::Sum => (2, 0.0),
            Role::Bucket(bound) => (3, bound),
            Role::Quantile(bound) => (4, bound),
        };
        let mut tail = [code; TAIL_BYTES];
        tail[1..].copy_from_slice(&f64::to_le_bytes(bound));
        tail
    }

    fn of_tail(tail: [u8; TAIL_BYTES]) -> Option<Role> {
        let [code, bound @ ..] = tail;
        let bound = f64::from_le_bytes(bound);
        match code {
            0 => Some(Role::Whole),
            1 => Some(Role::Count),
            2 => Some(Role::Sum),
            3 => Some(Role::Bucket(bound)),
            4 => Some(Role::Quantile(bound)),
            _ => None,
        }
    }
}

/// The key of the current series, in a buffer that is reused.
#[derive(Debug, Default)]
pub(super) struct Key {
    bytes: Vec<u8>,
    /// Where the labels begin and end.
    labels: usize,
    tail: usize,
}

impl Key {
    /// A family begins.
    pub(super) fn set_name(&mut self, name: &[u8]) {
        self.bytes.clear();
        self.bytes.push(MARK);
        push_part(&mut self.bytes, name);
        self.labels = self.bytes.len();
        self.tail = self.labels;
    }

    /// A metric of the family begins: no labels yet.
    pub(super) fn clear_labels(&mut self) {
        self.bytes.truncate(self.labels);
        self.tail = self.labels;
    }

    /// Adds a label; `message` is its `LabelPair`.
    pub(super) fn push_label(&mut self, message: &[u8]) {
        self.bytes.truncate(self.tail);
        push_part(&mut self.bytes, message);
        self.tail = self.bytes.len();
    }

    /// Makes it the key of a part of the metric.
    pub(super) fn set_role(&mut self, role: Role) {
        self.bytes.truncate(self.tail);
        self.bytes.extend_from_slice(&role.tail());
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    // Parts are slices of a page, and pages are bounded far below 4 GB.
    out.extend_from_slice(&(part.len() as u32).to_le_bytes());
    out.extend_from_slice(part);
}

/// A key taken apart.
#[derive(Debug)]
pub(crate) struct KeyParts<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) role: Role,
    labels: &'a [u8],
}

impl<'a> KeyParts<'a> {
    /// The parts; `None` if `key` is none of a protobuf page.
    pub(crate) fn of(key: &'a [u8]) -> Option<KeyParts<'a>> {
        let mut rest = key.strip_prefix(&[MARK])?;
        let name = take_part(&mut rest)?;
        let (labels, tail) = rest.split_last_chunk()?;
        Some(KeyParts {
            name,
            role: Role::of_tail(*tail)?,
            labels,
        })
    }
}

impl<'a> Iterator for KeyParts<'a> {
    type Item = &'a [u8];

    /// The next label's message.
    fn next(&mut self) -> Option<&'a [u8]> {
        take_part(&mut self.labels)
    }
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

/// Name and value of a `LabelPair`.
pub(crate) fn label_pair(message: &[u8]) -> Result<(&[u8], &[u8]), ParseError> {
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::new(message, "LabelPair");
    while let Some(number) = fields.next()? {
        match number {
            1 => name = fields.bytes("Name")?,
            2 => value = fields.bytes("Value")?,
            _ => fields.skip()?,
        }
    }
    Ok((name, value))
}

/// The labels of the message `Exemplar`.
pub(crate) fn exemplar_labels(
    message: &[u8],
) -> impl Iterator<Item = Result<(&[u8], &[u8]), ParseError>> {
    let mut fields = Fields::new(message, "Exemplar");
    std::iter::from_fn(move || {
        loop {
            let label = match fields.next() {
                Ok(None) => return None,
                Ok(Some(1)) => fields.bytes("Label").and_then(label_pair),
                Ok(Some(_)) => match fields.skip() {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if label.is_err() {
                // Nothing can be read behind it.
                fields = Fields::new(&[], "Exemplar");
            }
            return Some(label);
        }
    })
}
