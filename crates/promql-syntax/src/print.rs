//! The normal form of a query.

use std::fmt::{self, Display, Formatter, Write};

use gocompat::strconv::{format_float_f, format_float_g, quote};
use model::format_duration_ms;

use crate::ast::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Cardinality, DurationArg, DurationExpr,
    DurationOp, DurationOperand, Expr, MatrixSelector, NumberLiteral, Subquery, TimeShift,
    VectorMatching, VectorSelector,
};
use crate::durations::literal_ms;
use crate::text::quote_bytes;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Number(number) => number.fmt(f),
            Expr::String(string) => {
                let bytes = string.bytes.as_deref().unwrap_or(string.value.as_bytes());
                f.write_str(&quote_bytes(bytes))
            }
            Expr::Vector(selector) => selector.fmt(f),
            Expr::Matrix(matrix) => matrix.fmt(f),
            Expr::Subquery(subquery) => subquery.fmt(f),
            Expr::Unary(unary) => write!(f, "{}{}", unary.op, unary.expr),
            Expr::Binary(binary) => binary.fmt(f),
            Expr::Aggregate(aggregate) => aggregate.fmt(f),
            Expr::Call(call) => call.fmt(f),
            Expr::Paren(paren) => write!(f, "({})", paren.expr),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            f.write_str(&format_duration_ms(literal_ms(self.value)))
        } else {
            f.write_str(&format_float_f(self.value))
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_series(f)?;
        self.shift.write_at(f)?;
        self.write_extension(f)?;
        self.shift.write_offset(f)
    }
}

impl VectorSelector {
    /// Name and braces.
    fn write_series(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let mut matchers: Vec<String> = self
            .matchers
            .iter()
            .filter(|matcher| !self.is_own_name(matcher))
            .map(ToString::to_string)
            .collect();
        if matchers.is_empty() && !self.name.is_empty() {
            return Ok(());
        }
        matchers.sort_unstable();
        write!(f, "{{{}}}", matchers.join(","))
    }

    /// Whether a matcher is what the name before the braces says already.
    fn is_own_name(&self, matcher: &model::Matcher) -> bool {
        matcher.is_on_name()
            && matcher.op() == model::MatchOp::Equal
            && matcher.value() == self.name
            && !self.name.is_empty()
    }

    fn write_extension(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.anchored, self.smoothed) {
            (true, _) => " anchored",
            (_, true) => " smoothed",
            _ => "",
        })
    }
}

impl TimeShift {
    fn write_at(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            None => Ok(()),
            Some(AtModifier::TimestampMs(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
            Some(AtModifier::Start) => f.write_str(" @ start()"),
            Some(AtModifier::End) => f.write_str(" @ end()"),
        }
    }

    fn write_offset(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.offset.is_set() {
            write!(f, " offset {}", self.offset)?;
        }
        Ok(())
    }
}

impl Display for DurationArg {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.expr {
            Some(expr) => expr.fmt(f),
            None => f.write_str(&format_duration_ms(self.ms)),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_char('(')?;
        }
        match (self.op, &self.lhs, &self.rhs) {
            (DurationOp::MinOf | DurationOp::MaxOf, Some(lhs), Some(rhs)) => {
                write!(f, "{}({lhs}, {rhs})", self.op)?;
            }
            (op, Some(lhs), Some(rhs)) => write!(f, "{lhs} {op} {rhs}")?,
            // A plus is not written: it only marks a number in parentheses.
            (DurationOp::Add, None, Some(rhs)) => rhs.fmt(f)?,
            (op, None, Some(rhs)) => write!(f, "{op}{rhs}")?,
            (op, _, None) => write!(f, "{op}()")?,
        }
        if self.wrapped {
            f.write_char(')')?;
        }
        Ok(())
    }
}

impl Display for DurationOperand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DurationOperand::Number(number) => number.fmt(f),
            DurationOperand::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selector.write_series(f)?;
        write!(f, "[{}]", self.range)?;
        self.selector.write_extension(f)?;
        self.selector.shift.write_at(f)?;
        self.selector.shift.write_offset(f)
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, SubquerySuffix(self))
    }
}

/// The part of a subquery after its expression.
pub(crate) struct SubquerySuffix<'a>(pub(crate) &'a Subquery);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subquery {
            range, step, shift, ..
        } = self.0;
        write!(f, "[{range}:")?;
        if let Some(step) = step {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        shift.write_at(f)?;
        shift.write_offset(f)
    }
}

impl Display for BinaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.lhs, Operator(self), self.rhs)
    }
}

/// An operator with its modifiers.
pub(crate) struct Operator<'a>(pub(crate) &'a BinaryExpr);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        match &self.0.matching {
            Some(matching) => matching.write(f),
            None => Ok(()),
        }
    }
}

impl VectorMatching {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            let word = if self.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", LabelList(&self.labels))?;
        }
        if let Some(group) = group {
            write!(f, " {group} ({})", LabelList(&self.include))?;
        }
        match (self.fill.lhs, self.fill.rhs) {
            (Some(lhs), Some(rhs)) if lhs == rhs => write!(f, " fill ({})", format_float_g(lhs)),
            (lhs, rhs) => {
                for (side, value) in [("left", lhs), ("right", rhs)] {
                    if let Some(value) = value {
                        write!(f, " fill_{side} ({})", format_float_g(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Display for AggregateExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", Aggregation(self))?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

/// An aggregation's name with its grouping.
pub(crate) struct Aggregation<'a>(pub(crate) &'a AggregateExpr);

impl Display for Aggregation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let AggregateExpr {
            op,
            grouping,
            without,
            ..
        } = self.0;
        f.write_str(op.as_str())?;
        if *without {
            write!(f, " without ({}) ", LabelList(grouping))
        } else if grouping.is_empty() {
            Ok(())
        } else {
            write!(f, " by ({}) ", LabelList(grouping))
        }
    }
}

/// Labels with commas, quoted where they must be.
struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, label) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if model::names::is_legacy_label_name(label) {
                f.write_str(label)?;
            } else {
                f.write_str(&quote(label))?;
            }
        }
        Ok(())
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            arg.fmt(f)?;
        }
        f.write_char(')')
    }
}
