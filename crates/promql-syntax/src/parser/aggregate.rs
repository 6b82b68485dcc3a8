//! Aggregations and lists of labels.

use std::ops::Range;

use super::{Leveled, Parser, Result, Stop, placeholder};
use crate::ast::{AggregateExpr, AggregateOp, Expr};
use crate::lexer::{Keyword, Kind, Token};

/// `by` or `without`, and their labels.
#[derive(Default)]
struct Grouping {
    labels: Vec<String>,
    without: bool,
}

impl Parser<'_> {
    /// An aggregation after its name; the labels may stand before or after the arguments.
    pub(super) fn aggregate(&mut self, name: Token, op: AggregateOp) -> Result<Leveled<Expr>> {
        let result = self.aggregate_body();
        let (grouping, args, end) = self.in_context(result, "aggregation", "")?;
        let position = name.start..end;
        let levels = args.levels;
        let Some((param, expr)) = self.aggregate_args(op, args.node, &position) else {
            return self.leveled(placeholder(position), 0);
        };
        let aggregate = Expr::Aggregate(AggregateExpr {
            op,
            expr: Box::new(expr),
            param: param.map(Box::new),
            grouping: grouping.labels,
            without: grouping.without,
            position,
        });
        self.leveled(aggregate, levels)
    }

    fn aggregate_body(&mut self) -> Result<(Grouping, Leveled<Vec<Expr>>, usize)> {
        if let Some(grouping) = self.grouping()? {
            let args = self.args()?;
            return Ok((grouping, args, self.last_closing));
        }
        let args = self.args()?;
        // Before looking ahead, which may move it.
        let end = self.last_closing;
        match self.grouping()? {
            Some(grouping) => Ok((grouping, args, self.last_closing)),
            None => Ok((Grouping::default(), args, end)),
        }
    }

    /// The parameter and the vector among the arguments; `None` if they are wrong.
    fn aggregate_args(
        &mut self,
        op: AggregateOp,
        args: Vec<Expr>,
        position: &Range<usize>,
    ) -> Option<(Option<Expr>, Expr)> {
        let got = args.len();
        let want = 1 + usize::from(op.has_param());
        let message = if got == 0 {
            "no arguments for aggregate expression provided".to_owned()
        } else if op.is_experimental() && !self.options.experimental_functions {
            format!(
                "{op}() is experimental and must be enabled with \
                 --enable-feature=promql-experimental-functions"
            )
        } else if got == want {
            let mut args = args.into_iter().rev();
            let expr = args.next()?;
            return Some((args.next(), expr));
        } else {
            format!(
                "wrong number of arguments for aggregate expression provided, \
                 expected {want}, got {got}"
            )
        };
        self.error_at(position.clone(), message);
        None
    }

    fn grouping(&mut self) -> Result<Option<Grouping>> {
        let without = match self.peek()? {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.bump()?;
        let labels = self.grouping_labels()?;
        Ok(Some(Grouping { labels, without }))
    }

    /// Labels in parentheses, with an optional comma at the end.
    pub(super) fn grouping_labels(&mut self) -> Result<Vec<String>> {
        let open = self.expect(Kind::LeftParen);
        self.in_context(open, "grouping opts", "\"(\"")?;
        let mut labels = Vec::new();
        while self.accept(Kind::RightParen)?.is_none() {
            let label = self.grouping_label();
            labels.push(self.in_context(label, "grouping opts", "label")?);
            if self.peek()? != Kind::RightParen {
                let comma = self.expect(Kind::Comma);
                self.in_context(comma, "grouping opts", "\",\" or \")\"")?;
            }
        }
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Result<String> {
        let kind = self.peek()?;
        if !can_name_a_label(kind) {
            return Err(Stop::Unexpected);
        }
        let token = self.bump()?;
        if kind != Kind::String {
            return Ok(self.text(token).to_owned());
        }
        let label = self.unquoted(token);
        if label.bytes.is_some() || label.shown.is_empty() {
            let position = token.start..token.end;
            self.error_at(
                position,
                format!("invalid label name for grouping: {label}"),
            );
        }
        Ok(label.shown)
    }
}

/// Which tokens are labels in a list: words of the language, too, but for `without`.
fn can_name_a_label(kind: Kind) -> bool {
    match kind {
        Kind::Identifier | Kind::MetricIdentifier | Kind::String => true,
        Kind::Op(op) => op.as_str().starts_with(|c: char| c.is_ascii_alphabetic()),
        Kind::Aggregate(_) | Kind::Preprocessor(_) => true,
        Kind::Keyword(keyword) => keyword != Keyword::Without,
        _ => false,
    }
}
