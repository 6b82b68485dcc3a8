//! Duration expressions: what stands in brackets and after `offset`.

use super::expr::OPERAND_OF_SIGN;
use super::{Leveled, Parser, Result, Stop};
use crate::ast::{
    BinaryOp, DurationArg, DurationExpr, DurationOp, DurationOperand as Operand, NumberLiteral,
};
use crate::durations::{literal_ms, out_of_range};
use crate::lexer::{Kind, Preprocessor, Token};

impl Operand {
    pub(super) fn into_arg(self) -> DurationArg {
        match self {
            Operand::Number(number) => DurationArg {
                ms: literal_ms(number.value),
                expr: None,
            },
            Operand::Expr(expr) => DurationArg {
                ms: 0,
                expr: Some(expr),
            },
        }
    }

    fn position(&self) -> std::ops::Range<usize> {
        match self {
            Operand::Number(number) => number.position.clone(),
            Operand::Expr(expr) => expr.position.clone(),
        }
    }
}

impl Parser<'_> {
    /// Reads operators that bind at least as tightly as `precedence_min`.
    pub(super) fn duration(&mut self, precedence_min: u8) -> Result<Leveled<Operand>> {
        let left = self.nested(|parser| parser.duration_operand())?;
        self.duration_operators(left, precedence_min)
    }

    fn duration_operators(
        &mut self,
        mut left: Leveled<Operand>,
        precedence_min: u8,
    ) -> Result<Leveled<Operand>> {
        while let Kind::Op(op) = self.peek()? {
            let Some(duration_op) = duration_op(op).filter(|_| op.precedence() >= precedence_min)
            else {
                break;
            };
            let sign = self.bump()?;
            let above = op.precedence() + u8::from(!op.is_right_associative());
            let right = self.nested(|parser| parser.duration(above))?;
            left = self.duration_binary(left, (sign, duration_op), right)?;
        }
        Ok(left)
    }

    fn duration_binary(
        &mut self,
        left: Leveled<Operand>,
        (sign, op): (Token, DurationOp),
        right: Leveled<Operand>,
    ) -> Result<Leveled<Operand>> {
        self.require_duration_expressions(&left.node);
        if let Operand::Number(number) = &right.node
            && number.value == 0.0
        {
            let message = match op {
                DurationOp::Div => "division by zero",
                DurationOp::Mod => "modulo by zero",
                _ => "",
            };
            if !message.is_empty() {
                self.error_at(sign.start..sign.end, message);
                return Ok(Leveled {
                    node: zero(),
                    levels: 1,
                });
            }
        }
        let levels = left.levels.max(right.levels);
        let expr = Operand::Expr(Box::new(DurationExpr {
            op,
            position: left.node.position().start..right.node.position().end,
            lhs: Some(left.node),
            rhs: Some(right.node),
            wrapped: false,
        }));
        self.leveled(expr, levels)
    }

    fn duration_operand(&mut self) -> Result<Leveled<Operand>> {
        match self.peek()? {
            Kind::Number | Kind::Duration => self.duration_literal(),
            Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                let sign = self.bump()?;
                let operand = self.duration(OPERAND_OF_SIGN)?;
                self.signed_duration(sign, op, operand)
            }
            Kind::Preprocessor(word) => self.duration_function(word),
            Kind::LeftParen => self.wrapped_duration(),
            _ => Err(Stop::Unexpected),
        }
    }

    fn duration_literal(&mut self) -> Result<Leveled<Operand>> {
        let number = self.number_literal()?;
        let position = number.position.clone();
        let node = self.in_range(number, position);
        Ok(Leveled { node, levels: 1 })
    }

    /// The number, or zero and an error if it is too large.
    fn in_range(&mut self, number: NumberLiteral, position: std::ops::Range<usize>) -> Operand {
        if out_of_range(number.value) {
            self.error_at(position, "duration out of range");
            return zero();
        }
        Operand::Number(number)
    }

    /// A sign before an operand: part of a number, or a node if it is a minus.
    fn signed_duration(
        &mut self,
        sign: Token,
        op: BinaryOp,
        operand: Leveled<Operand>,
    ) -> Result<Leveled<Operand>> {
        match operand.node {
            Operand::Number(mut number) => {
                if op == BinaryOp::Sub {
                    number.value = -number.value;
                }
                let node = if out_of_range(number.value) {
                    self.in_range(number, sign.start..sign.end)
                } else {
                    number.position.start = sign.start;
                    Operand::Number(number)
                };
                Ok(Leveled { node, levels: 1 })
            }
            Operand::Expr(_) if op == BinaryOp::Add => Ok(operand),
            Operand::Expr(_) => self.sign_node(sign, DurationOp::Sub, operand),
        }
    }

    fn sign_node(
        &mut self,
        sign: Token,
        op: DurationOp,
        operand: Leveled<Operand>,
    ) -> Result<Leveled<Operand>> {
        let expr = Operand::Expr(Box::new(DurationExpr {
            op,
            lhs: None,
            position: sign.start..operand.node.position().end,
            rhs: Some(operand.node),
            wrapped: false,
        }));
        self.leveled(expr, operand.levels)
    }

    /// `step()`, `range()`, `min_of(a, b)`, `max_of(a, b)`
    fn duration_function(&mut self, word: Preprocessor) -> Result<Leveled<Operand>> {
        let call = self.duration_call(word)?;
        self.require_duration_expressions(&call.node);
        Ok(call)
    }

    fn duration_call(&mut self, word: Preprocessor) -> Result<Leveled<Operand>> {
        let op = match word {
            Preprocessor::Step => DurationOp::Step,
            Preprocessor::Range => DurationOp::Range,
            Preprocessor::MinOf => DurationOp::MinOf,
            Preprocessor::MaxOf => DurationOp::MaxOf,
            Preprocessor::Start | Preprocessor::End => return Err(Stop::Unexpected),
        };
        let name = self.bump()?;
        self.expect(Kind::LeftParen)?;
        let mut levels = 0;
        let mut sides = (None, None);
        let mut position = name.start..name.end;
        if matches!(op, DurationOp::MinOf | DurationOp::MaxOf) {
            let left = self.duration(0)?;
            self.expect(Kind::Comma)?;
            let right = self.duration(0)?;
            levels = left.levels.max(right.levels);
            position = left.node.position().start..right.node.position().end;
            sides = (Some(left.node), Some(right.node));
            self.expect(Kind::RightParen)?;
        } else {
            position.end = self.expect(Kind::RightParen)?.end;
        }
        let expr = Operand::Expr(Box::new(DurationExpr {
            op,
            lhs: sides.0,
            rhs: sides.1,
            wrapped: false,
            position,
        }));
        self.leveled(expr, levels)
    }

    /// A duration in parentheses.
    fn wrapped_duration(&mut self) -> Result<Leveled<Operand>> {
        let open = self.bump()?;
        let inner = self.duration(0)?;
        self.expect(Kind::RightParen)?;
        self.require_duration_expressions(&inner.node);
        self.wrap(inner, open.start)
    }

    /// Remembers that a duration stood in parentheses; a number becomes a plus before it.
    fn wrap(&mut self, inner: Leveled<Operand>, start: usize) -> Result<Leveled<Operand>> {
        match inner.node {
            Operand::Expr(mut expr) => {
                expr.wrapped = true;
                Ok(Leveled {
                    node: Operand::Expr(expr),
                    levels: inner.levels,
                })
            }
            Operand::Number(number) => {
                let expr = Operand::Expr(Box::new(DurationExpr {
                    op: DurationOp::Add,
                    lhs: None,
                    position: start..number.position.end,
                    rhs: Some(Operand::Number(number)),
                    wrapped: true,
                }));
                self.leveled(expr, 1)
            }
        }
    }

    /// What follows `offset`. A literal, a signed literal and a call end it, so that
    /// `a offset 5m ^ 2` is the square of a selector; only what begins with parentheses or two
    /// signs takes operators.
    pub(super) fn offset_duration(&mut self) -> Result<Operand> {
        let offset = match self.peek()? {
            Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => self.signed_offset(op)?,
            Kind::LeftParen => {
                let left = self.wrapped_duration()?;
                self.duration_operators(left, 0)?
            }
            _ => self.duration_operand()?,
        };
        Ok(offset.node)
    }

    fn signed_offset(&mut self, op: BinaryOp) -> Result<Leveled<Operand>> {
        let sign = self.bump()?;
        match self.peek()? {
            Kind::Number | Kind::Duration => {
                let number = self.number_literal()?;
                let number = Leveled {
                    node: Operand::Number(number),
                    levels: 1,
                };
                self.signed_duration(sign, op, number)
            }
            Kind::LeftParen => {
                self.bump()?;
                let inner = self.duration(0)?;
                self.expect(Kind::RightParen)?;
                let start = inner.node.position().start;
                let inner = self.wrap(inner, start)?;
                self.signed_duration(sign, op, inner)
            }
            Kind::Preprocessor(word) => {
                let call = self.duration_call(word)?;
                let op = if op == BinaryOp::Sub {
                    DurationOp::Sub
                } else {
                    DurationOp::Add
                };
                let signed = self.sign_node(sign, op, call)?;
                self.require_duration_expressions(&signed.node);
                Ok(signed)
            }
            _ => {
                let operand = self.duration(OPERAND_OF_SIGN)?;
                let left = self.signed_duration(sign, op, operand)?;
                self.duration_operators(left, 0)
            }
        }
    }

    fn require_duration_expressions(&mut self, at: &Operand) {
        if !self.options.duration_expressions {
            self.error_at(
                at.position(),
                "experimental duration expression is not enabled",
            );
        }
    }
}

/// What stands for a duration that is wrong.
fn zero() -> Operand {
    Operand::Number(NumberLiteral {
        value: 0.0,
        is_duration: false,
        position: 0..0,
    })
}

fn duration_op(op: BinaryOp) -> Option<DurationOp> {
    Some(match op {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _ => return None,
    })
}
