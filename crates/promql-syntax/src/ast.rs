//! The tree of a query.
//!
//! Every node has its `position`: the bytes of the query that it covers. Durations are whole
//! milliseconds; where the query computes one, the arithmetic is kept beside it as a
//! [`DurationExpr`] until [`resolve_durations`](crate::resolve_durations) folds it.

mod functions;
mod ops;
mod walk;

use std::fmt;
use std::ops::Range;

use model::Matcher;

pub use functions::{FUNCTIONS, Function};
pub use ops::{AggregateOp, BinaryOp, DurationOp, UnaryOp};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `1.5`, `0x1f`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `up{job="a"} offset 5m`
    Vector(VectorSelector),
    /// `up{job="a"}[5m]`
    Matrix(MatrixSelector),
    /// `sum(up)[1h:5m]`
    Subquery(Subquery),
    /// `-up`
    Unary(UnaryExpr),
    /// `a + on (b) c`
    Binary(BinaryExpr),
    /// `sum by (job) (up)`
    Aggregate(AggregateExpr),
    /// `rate(up[5m])`
    Call(Call),
    /// `(up)`
    Paren(ParenExpr),
}

impl Expr {
    /// The bytes of the query that it covers.
    #[must_use]
    pub fn position(&self) -> Range<usize> {
        match self {
            Expr::Number(e) => &e.position,
            Expr::String(e) => &e.position,
            Expr::Vector(e) => &e.position,
            Expr::Matrix(e) => &e.position,
            Expr::Subquery(e) => &e.position,
            Expr::Unary(e) => &e.position,
            Expr::Binary(e) => &e.position,
            Expr::Aggregate(e) => &e.position,
            Expr::Call(e) => &e.position,
            Expr::Paren(e) => &e.position,
        }
        .clone()
    }

    /// What it evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Vector(_) | Expr::Aggregate(_) => ValueType::Vector,
            Expr::Matrix(_) | Expr::Subquery(_) => ValueType::Matrix,
            Expr::Unary(e) => e.expr.value_type(),
            Expr::Binary(e) => e.value_type(),
            Expr::Call(e) => e.function.return_type,
            Expr::Paren(e) => e.expr.value_type(),
        }
    }

    /// The expression inside any parentheses.
    #[must_use]
    pub fn without_parens(&self) -> &Expr {
        let mut expr = self;
        while let Expr::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// An instant vector: a sample of each series.
    Vector,
    /// A range vector: a window of samples of each series.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// Prometheus's name of it in the API: `vector`, `matrix`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
            ValueType::String => "string",
        }
    }

    /// The name of it in documentation and errors: `instant vector`, `range vector`.
    #[must_use]
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            other => other.as_str(),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberLiteral {
    /// Its value; a duration in seconds.
    pub value: f64,
    /// Whether it was written as a duration (`5m`), and is printed as one.
    pub is_duration: bool,
    /// With its sign, if it has one.
    pub position: Range<usize>,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringLiteral {
    /// The text without quotes and escapes; with replacement characters where it is no UTF-8.
    pub value: String,
    /// The bytes of the text, if escapes (`"\xff"`) made them something else than UTF-8. Such a
    /// text is legal but is no name, and no stored value equals it.
    pub bytes: Option<Box<[u8]>>,
    /// With its quotes.
    pub position: Range<usize>,
}

/// A selection of series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric's name if it stands before the braces, else empty.
    pub name: String,
    /// All conditions; the last is the name's if `name` is not empty.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub shift: TimeShift,
    /// `anchored`
    pub anchored: bool,
    /// `smoothed`
    pub smoothed: bool,
    /// With `offset` and `@`, but without `anchored` and `smoothed` at its end.
    pub position: Range<usize>,
}

/// A selection of the samples of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// What is selected; the modifiers after the brackets are in here, too. Its own position ends
    /// before the brackets.
    pub selector: VectorSelector,
    /// Length of the window.
    pub range: DurationArg,
    /// With brackets, `offset` and `@`.
    pub position: Range<usize>,
}

/// An expression evaluated at the steps of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// Length of the window.
    pub range: DurationArg,
    /// Time between two evaluations; `None` for the server's evaluation interval.
    pub step: Option<DurationArg>,
    /// `offset` and `@`.
    pub shift: TimeShift,
    /// With brackets, `offset` and `@`.
    pub position: Range<usize>,
}

/// A duration in a range, a step or an offset: known, or to be computed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DurationArg {
    /// Its length; zero as long as `expr` is not resolved.
    pub ms: i64,
    /// The arithmetic, if it is not one literal. It stays after it is resolved, for printing.
    pub expr: Option<Box<DurationExpr>>,
}

impl DurationArg {
    /// Whether anything but a literal zero was written.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.ms != 0 || self.expr.is_some()
    }
}

/// Which time a selection looks at instead of the evaluation's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimeShift {
    /// How far back it looks; negative for the future.
    pub offset: DurationArg,
    /// A fixed time.
    pub at: Option<AtModifier>,
}

/// The time of an `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtModifier {
    /// `@ 1700000000.5`, in milliseconds.
    TimestampMs(i64),
    /// `@ start()`: the start of the query's range.
    Start,
    /// `@ end()`: its end.
    End,
}

/// Arithmetic that gives a duration, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationExpr {
    /// What is done.
    pub op: DurationOp,
    /// Left operand; none for a sign, `step()` and `range()`.
    pub lhs: Option<DurationOperand>,
    /// Right operand, or that of a sign; none for `step()` and `range()`.
    pub rhs: Option<DurationOperand>,
    /// Whether it stands in parentheses.
    pub wrapped: bool,
    /// Without its parentheses, and without name and parentheses of `min_of` and `max_of`.
    pub position: Range<usize>,
}

/// An operand of a [`DurationExpr`].
#[derive(Debug, Clone, PartialEq)]
pub enum DurationOperand {
    /// A literal.
    Number(NumberLiteral),
    /// More arithmetic.
    Expr(Box<DurationExpr>),
}

/// A sign before an expression that is no number.
#[derive(Debug, Clone, PartialEq)]
pub struct UnaryExpr {
    /// The sign.
    pub op: UnaryOp,
    /// What it stands before.
    pub expr: Box<Expr>,
    /// With the sign.
    pub position: Range<usize>,
}

/// Two expressions and an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryExpr {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: Box<Expr>,
    /// Right operand.
    pub rhs: Box<Expr>,
    /// How series find each other; `None` unless both operands are instant vectors.
    pub matching: Option<VectorMatching>,
    /// Whether a comparison gives 0 and 1 instead of filtering.
    pub return_bool: bool,
    /// From the start of the left operand to the end of the right one.
    pub position: Range<usize>,
}

impl BinaryExpr {
    /// What it evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match (self.lhs.value_type(), self.rhs.value_type()) {
            (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
            _ => ValueType::Vector,
        }
    }
}

/// How the series of two vectors find each other.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorMatching {
    /// How many may meet on each side.
    pub cardinality: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether the labels are the only ones compared (`on`) or the only ones not compared.
    pub on: bool,
    /// Labels of `group_left` or `group_right`: taken from the side of "one".
    pub include: Vec<String>,
    /// What stands in for a missing series.
    pub fill: FillValues,
}

/// How many series may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// One on each side.
    OneToOne,
    /// Many on the left: `group_left`.
    ManyToOne,
    /// Many on the right: `group_right`.
    OneToMany,
    /// Many on both sides: set operators.
    ManyToMany,
}

impl Cardinality {
    /// Prometheus's name of it: `one-to-one`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        }
    }
}

/// What stands in for a series that is missing on one side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FillValues {
    /// For one missing on the left.
    pub lhs: Option<f64>,
    /// For one missing on the right.
    pub rhs: Option<f64>,
}

impl FillValues {
    /// Whether any side is filled.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.lhs.is_some() || self.rhs.is_some()
    }
}

/// An aggregation over the series of a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateExpr {
    /// How it aggregates.
    pub op: AggregateOp,
    /// The vector.
    pub expr: Box<Expr>,
    /// The parameter of `topk` and its like.
    pub param: Option<Box<Expr>>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether the labels are dropped instead of kept.
    pub without: bool,
    /// All of it.
    pub position: Range<usize>,
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// From the name to the closing parenthesis.
    pub position: Range<usize>,
}

/// An expression in parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct ParenExpr {
    /// What is inside.
    pub expr: Box<Expr>,
    /// With the parentheses.
    pub position: Range<usize>,
}
