//! Expressions: operands, signs, binary operators with their modifiers, calls.

use super::{Leveled, Parser, Result, Stop, placeholder};
use crate::ast::{
    BinaryExpr, BinaryOp, Call, Cardinality, Expr, FillValues, Function, ParenExpr, StringLiteral,
    UnaryExpr, UnaryOp, VectorMatching,
};
use crate::lexer::{Keyword, Kind, Token};

/// A sign binds like `*`: what comes after it may only hold tighter operators.
pub(super) const OPERAND_OF_SIGN: u8 = BinaryOp::Pow.precedence();

impl Parser<'_> {
    /// Reads an expression of operators that bind at least as tightly as `precedence_min`.
    pub(super) fn expr(&mut self, precedence_min: u8) -> Result<Leveled<Expr>> {
        self.nested(|parser| {
            let mut left = parser.operand()?;
            loop {
                left = match parser.peek()? {
                    Kind::LeftBracket => parser.brackets(left)?,
                    Kind::At => parser.at(left)?,
                    Kind::Keyword(Keyword::Offset) => parser.offset(left)?,
                    Kind::Keyword(Keyword::Anchored) => parser.anchored(left)?,
                    Kind::Keyword(Keyword::Smoothed) => parser.smoothed(left)?,
                    Kind::Op(op) if op.precedence() >= precedence_min => parser.binary(left, op)?,
                    _ => return Ok(left),
                }
            }
        })
    }

    fn operand(&mut self) -> Result<Leveled<Expr>> {
        match self.peek()? {
            Kind::Number | Kind::Duration => {
                let number = self.number_literal()?;
                self.leveled(Expr::Number(number), 0)
            }
            Kind::String => {
                let token = self.bump()?;
                let text = self.unquoted(token);
                let string = StringLiteral {
                    value: text.shown,
                    bytes: text.bytes,
                    position: token.start..token.end,
                };
                self.leveled(Expr::String(string), 0)
            }
            Kind::LeftParen => {
                let open = self.bump()?;
                let inner = self.expr(0)?;
                let close = self.expect(Kind::RightParen)?;
                let paren = Expr::Paren(ParenExpr {
                    expr: Box::new(inner.node),
                    position: open.start..close.end,
                });
                self.leveled(paren, inner.levels)
            }
            Kind::Op(BinaryOp::Add) => self.signed(UnaryOp::Plus),
            Kind::Op(BinaryOp::Sub) => self.signed(UnaryOp::Minus),
            Kind::LeftBrace => self.selector_after(None),
            Kind::Aggregate(op) => {
                let name = self.bump()?;
                match self.peek()? {
                    Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without) => {
                        self.aggregate(name, op)
                    }
                    _ => self.selector_after(Some(name)),
                }
            }
            Kind::Identifier | Kind::Preprocessor(_) => {
                let name = self.bump()?;
                match self.peek()? {
                    Kind::LeftParen => self.call(name),
                    _ => self.selector_after(Some(name)),
                }
            }
            kind if super::selector::can_name_a_metric(kind) => {
                let name = self.bump()?;
                self.selector_after(Some(name))
            }
            _ => Err(Stop::Unexpected),
        }
    }

    fn selector_after(&mut self, name: Option<Token>) -> Result<Leveled<Expr>> {
        let selector = self.selector_named(name)?;
        self.leveled(Expr::Vector(selector), 0)
    }

    /// A sign belongs to the number that it stands before; before anything else it is a node.
    fn signed(&mut self, op: UnaryOp) -> Result<Leveled<Expr>> {
        let sign = self.bump()?;
        let mut operand = self.expr(OPERAND_OF_SIGN)?;
        if let Expr::Number(number) = &mut operand.node {
            if op == UnaryOp::Minus {
                number.value = -number.value;
            }
            number.position.start = sign.start;
            return Ok(operand);
        }
        let unary = Expr::Unary(UnaryExpr {
            op,
            position: sign.start..operand.node.position().end,
            expr: Box::new(operand.node),
        });
        self.leveled(unary, operand.levels)
    }

    fn binary(&mut self, left: Leveled<Expr>, op: BinaryOp) -> Result<Leveled<Expr>> {
        self.bump()?;
        let return_bool = self.accept(Kind::Keyword(Keyword::Bool))?.is_some();
        let matching = self.matching()?;
        let right = self.expr(op.precedence() + u8::from(!op.is_right_associative()))?;
        let position = left.node.position().start..right.node.position().end;
        if matching.fill.is_set() && !self.options.binop_fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled";
            self.error_at(position.clone(), message);
        }
        let levels = left.levels.max(right.levels);
        let binary = Expr::Binary(BinaryExpr {
            op,
            lhs: Box::new(left.node),
            rhs: Box::new(right.node),
            matching: Some(matching),
            return_bool,
            position,
        });
        self.leveled(binary, levels)
    }

    /// What stands between an operator and its right operand: `on`, `group_left`, `fill`.
    fn matching(&mut self) -> Result<VectorMatching> {
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill: FillValues::default(),
        };
        let keyword = self.peek()?;
        if let Kind::Keyword(Keyword::On | Keyword::Ignoring) = keyword {
            self.bump()?;
            matching.labels = self.grouping_labels()?;
            matching.on = keyword == Kind::Keyword(Keyword::On);
            let cardinality = match self.peek()? {
                Kind::Keyword(Keyword::GroupLeft) => Some(Cardinality::ManyToOne),
                Kind::Keyword(Keyword::GroupRight) => Some(Cardinality::OneToMany),
                _ => None,
            };
            if let Some(cardinality) = cardinality {
                self.bump()?;
                matching.cardinality = cardinality;
                let ahead = self.peek()?;
                if ahead == Kind::LeftParen || !starts_expr(ahead) {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        matching.fill = self.fill_values()?;
        Ok(matching)
    }

    /// `fill`, or `fill_left` and `fill_right` in any order, each once at most.
    fn fill_values(&mut self) -> Result<FillValues> {
        let mut fill = FillValues::default();
        if self.accept(Kind::Keyword(Keyword::Fill))?.is_some() {
            let value = self.fill_value()?;
            return Ok(FillValues {
                lhs: Some(value),
                rhs: Some(value),
            });
        }
        loop {
            match self.peek()? {
                Kind::Keyword(Keyword::FillLeft) if fill.lhs.is_none() => {
                    self.bump()?;
                    fill.lhs = Some(self.fill_value()?);
                }
                Kind::Keyword(Keyword::FillRight) if fill.rhs.is_none() => {
                    self.bump()?;
                    fill.rhs = Some(self.fill_value()?);
                }
                _ => return Ok(fill),
            }
            if fill.lhs.is_some() && fill.rhs.is_some() {
                return Ok(fill);
            }
        }
    }

    fn fill_value(&mut self) -> Result<f64> {
        self.expect(Kind::LeftParen)?;
        let sign = self.peek()?;
        let is_negative = sign == Kind::Op(BinaryOp::Sub);
        if is_negative || sign == Kind::Op(BinaryOp::Add) {
            self.bump()?;
        }
        let value = self.number_literal()?.value;
        self.expect(Kind::RightParen)?;
        Ok(if is_negative { -value } else { value })
    }

    fn call(&mut self, name: Token) -> Result<Leveled<Expr>> {
        let args = self.args()?;
        let position = name.start..self.last_closing;
        let text = self.text(name);
        let name_position = name.start..name.end;
        let Some(function) = Function::by_name(text) else {
            let quoted = gocompat::strconv::quote(text);
            self.error_at(
                name_position,
                format!("unknown function with name {quoted}"),
            );
            return self.leveled(placeholder(position), 0);
        };
        if function.experimental && !self.options.experimental_functions {
            self.error_at(name_position, format!("function \"{text}\" is not enabled"));
        }
        let call = Expr::Call(Call {
            function,
            args: args.node,
            position,
        });
        self.leveled(call, args.levels)
    }

    /// Arguments in parentheses, with the levels of the tallest.
    pub(super) fn args(&mut self) -> Result<Leveled<Vec<Expr>>> {
        let mut args = Leveled {
            node: Vec::new(),
            levels: 0,
        };
        self.expect(Kind::LeftParen)?;
        if self.accept(Kind::RightParen)?.is_some() {
            return Ok(args);
        }
        loop {
            let arg = self.expr(0)?;
            args.node.push(arg.node);
            args.levels = args.levels.max(arg.levels);
            if self.accept(Kind::RightParen)?.is_some() {
                return Ok(args);
            }
            let comma = self.expect(Kind::Comma)?;
            if !starts_expr(self.peek()?) {
                let message = "trailing commas not allowed in function call args";
                self.error_at(comma.start..comma.end, message);
                return Err(Stop::Reported);
            }
        }
    }
}

/// Whether an expression can begin with such a token.
fn starts_expr(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Number
            | Kind::Duration
            | Kind::String
            | Kind::LeftParen
            | Kind::LeftBrace
            | Kind::Op(BinaryOp::Add | BinaryOp::Sub)
    ) || super::selector::can_name_a_metric(kind)
}
