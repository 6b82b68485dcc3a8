//! What may follow an expression: brackets, `offset`, `@`, `anchored`, `smoothed`.

use super::{Leveled, Parser, Result, Stop};
use crate::ast::{
    AtModifier, BinaryOp, DurationArg, DurationOperand as Operand, Expr, MatrixSelector, Subquery,
    TimeShift, VectorSelector,
};
use crate::lexer::{Kind, Preprocessor, Token};

impl Parser<'_> {
    /// `[5m]` or `[5m:1m]`.
    pub(super) fn brackets(&mut self, of: Leveled<Expr>) -> Result<Leveled<Expr>> {
        let open = self.bump()?;
        let range = self.positive_duration();
        let range = self.in_context(
            range,
            "subquery or range selector",
            "number, duration, step(), or range()",
        )?;
        match self.peek()? {
            Kind::RightBracket => {
                let close = self.bump()?;
                Ok(self.matrix(of, range, open, close))
            }
            Kind::Colon => {
                self.bump()?;
                self.subquery(of, range)
            }
            _ => {
                let stop = Err(Stop::Unexpected);
                self.in_context(stop, "subquery or range", "\":\" or \"]\"")
            }
        }
    }

    fn matrix(
        &mut self,
        of: Leveled<Expr>,
        range: DurationArg,
        open: Token,
        close: Token,
    ) -> Leveled<Expr> {
        let error = match &of.node {
            Expr::Vector(VectorSelector { shift, .. }) if shift.offset.is_set() => {
                "no offset modifiers allowed before range"
            }
            Expr::Vector(VectorSelector { shift, .. }) if shift.at.is_some() => {
                "no @ modifiers allowed before range"
            }
            Expr::Vector(_) => "",
            _ => "ranges only allowed for vector selectors",
        };
        if !error.is_empty() {
            self.error_at(open.start..close.end, error);
        }
        let levels = of.levels;
        let node = match of.node {
            Expr::Vector(selector) => Expr::Matrix(MatrixSelector {
                range,
                position: selector.position.start..close.end,
                selector,
            }),
            other => other,
        };
        Leveled { node, levels }
    }

    /// A subquery after its colon.
    fn subquery(&mut self, of: Leveled<Expr>, range: DurationArg) -> Result<Leveled<Expr>> {
        let (step, close) = match self.accept(Kind::RightBracket)? {
            Some(close) => (None, close),
            None => {
                let step = self.positive_duration();
                let step = self.in_context(
                    step,
                    "subquery selector",
                    "number, duration, step(), range(), or \"]\"",
                )?;
                let close = self.expect(Kind::RightBracket);
                (
                    Some(step),
                    self.in_context(close, "subquery selector", "\"]\"")?,
                )
            }
        };
        let subquery = Expr::Subquery(Subquery {
            range,
            step,
            shift: TimeShift::default(),
            position: of.node.position().start..close.end,
            expr: Box::new(of.node),
        });
        self.leveled(subquery, of.levels)
    }

    /// `offset 5m`
    pub(super) fn offset(&mut self, mut of: Leveled<Expr>) -> Result<Leveled<Expr>> {
        self.bump()?;
        let offset = self.offset_duration();
        let offset = self.in_context(offset, "offset", "number, duration, step(), or range()")?;
        let position = of.node.position();
        let end = self.last_closing;
        let Some(shift) = shift_of(&mut of.node) else {
            self.error_at(
                position,
                "offset modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery",
            );
            return Ok(of);
        };
        if shift.offset.is_set() {
            self.error_at(position, "offset may not be set multiple times");
        } else {
            shift.offset = offset.into_arg();
        }
        set_end(&mut of.node, end);
        Ok(of)
    }

    /// `@ 1.5`, `@ start()`, `@ end()`
    pub(super) fn at(&mut self, mut of: Leveled<Expr>) -> Result<Leveled<Expr>> {
        self.bump()?;
        let at = self.at_time();
        let at = self.in_context(at, "@", "timestamp")?;
        let position = of.node.position();
        let at = match at {
            AtTime::Seconds(seconds) => {
                if out_of_bounds(seconds) {
                    let shown = format_six_decimals(seconds);
                    let message = format!("timestamp out of bounds for @ modifier: {shown}");
                    self.error_at(position.clone(), message);
                }
                AtModifier::TimestampMs(timestamp_ms(seconds))
            }
            AtTime::Start => AtModifier::Start,
            AtTime::End => AtModifier::End,
        };
        let end = self.last_closing;
        let Some(shift) = shift_of(&mut of.node) else {
            self.error_at(
                position,
                "@ modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery",
            );
            return Ok(of);
        };
        if shift.at.is_some() {
            self.error_at(position, "@ <timestamp> may not be set multiple times");
            return Ok(of);
        }
        shift.at = Some(at);
        set_end(&mut of.node, end);
        Ok(of)
    }

    fn at_time(&mut self) -> Result<AtTime> {
        let time = match self.peek()? {
            Kind::Preprocessor(Preprocessor::Start) => AtTime::Start,
            Kind::Preprocessor(Preprocessor::End) => AtTime::End,
            Kind::Op(BinaryOp::Add) => {
                self.bump()?;
                return Ok(AtTime::Seconds(self.number_literal()?.value));
            }
            Kind::Op(BinaryOp::Sub) => {
                self.bump()?;
                return Ok(AtTime::Seconds(-self.number_literal()?.value));
            }
            _ => return Ok(AtTime::Seconds(self.number_literal()?.value)),
        };
        self.bump()?;
        self.expect(Kind::LeftParen)?;
        self.expect(Kind::RightParen)?;
        Ok(time)
    }

    pub(super) fn anchored(&mut self, of: Leveled<Expr>) -> Result<Leveled<Expr>> {
        self.extended(of, "anchored", |selector| &mut selector.anchored)
    }

    pub(super) fn smoothed(&mut self, of: Leveled<Expr>) -> Result<Leveled<Expr>> {
        self.extended(of, "smoothed", |selector| &mut selector.smoothed)
    }

    /// `anchored` and `smoothed`, of which a selector can have one.
    fn extended(
        &mut self,
        mut of: Leveled<Expr>,
        word: &str,
        flag: impl FnOnce(&mut VectorSelector) -> &mut bool,
    ) -> Result<Leveled<Expr>> {
        self.bump()?;
        let position = of.node.position();
        if !self.options.extended_range_selectors {
            let message = format!("{word} modifier is experimental and not enabled");
            self.error_at(position, message);
            return Ok(of);
        }
        let selector = match &mut of.node {
            Expr::Vector(selector) => selector,
            Expr::Matrix(matrix) => &mut matrix.selector,
            Expr::Subquery(_) => {
                let message = format!("{word} modifier is not supported for subqueries");
                self.error_at(position, message);
                return Ok(of);
            }
            _ => {
                self.error_at(position, format!("{word} modifier not implemented"));
                return Ok(of);
            }
        };
        *flag(selector) = true;
        if selector.anchored && selector.smoothed {
            let message = "anchored and smoothed modifiers cannot be used together";
            self.error_at(position, message);
        }
        Ok(of)
    }

    /// The length of a window or a step; a literal must be above zero.
    fn positive_duration(&mut self) -> Result<DurationArg> {
        let duration = self.duration(0)?.node;
        if let Operand::Number(number) = &duration
            && number.value <= 0.0
        {
            self.error_at(number.position.clone(), "duration must be greater than 0");
        }
        Ok(duration.into_arg())
    }
}

/// The time of an `@` as it is written.
enum AtTime {
    Seconds(f64),
    Start,
    End,
}

fn shift_of(expr: &mut Expr) -> Option<&mut TimeShift> {
    match expr {
        Expr::Vector(selector) => Some(&mut selector.shift),
        Expr::Matrix(matrix) => Some(&mut matrix.selector.shift),
        Expr::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}

fn set_end(expr: &mut Expr, end: usize) {
    match expr {
        Expr::Vector(selector) => selector.position.end = end,
        Expr::Matrix(matrix) => matrix.position.end = end,
        Expr::Subquery(subquery) => subquery.position.end = end,
        _ => {}
    }
}

/// Whether Go's 64-bit integers cannot hold it.
fn out_of_bounds(seconds: f64) -> bool {
    const BOUND: f64 = (1_u64 << 63) as f64;
    !(seconds < BOUND && seconds > -BOUND)
}

/// Go's `%f`.
fn format_six_decimals(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.6}")
    } else {
        gocompat::strconv::format_float_f(value)
    }
}

/// In milliseconds; what does not fit turns into the earliest time, as Go's conversion does it.
fn timestamp_ms(seconds: f64) -> i64 {
    crate::durations::to_i64_as_go((seconds * 1000.0).round())
}
