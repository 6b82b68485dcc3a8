//! Going through a tree.

use super::Expr;

impl Expr {
    /// The expressions right below, an aggregation's vector before its parameter.
    pub fn children(&self) -> impl Iterator<Item = &Expr> {
        let (first, second, many): (Option<&Expr>, Option<&Expr>, &[Expr]) = match self {
            Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {
                (None, None, &[])
            }
            Expr::Subquery(e) => (Some(&e.expr), None, &[]),
            Expr::Unary(e) => (Some(&e.expr), None, &[]),
            Expr::Binary(e) => (Some(&e.lhs), Some(&e.rhs), &[]),
            Expr::Aggregate(e) => (Some(&e.expr), e.param.as_deref(), &[]),
            Expr::Call(e) => (None, None, &e.args),
            Expr::Paren(e) => (Some(&e.expr), None, &[]),
        };
        first.into_iter().chain(second).chain(many)
    }

    /// The same, to change them.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let (first, second, many): (Option<&mut Expr>, Option<&mut Expr>, &mut [Expr]) = match self
        {
            Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {
                (None, None, &mut [])
            }
            Expr::Subquery(e) => (Some(&mut e.expr), None, &mut []),
            Expr::Unary(e) => (Some(&mut e.expr), None, &mut []),
            Expr::Binary(e) => (Some(&mut e.lhs), Some(&mut e.rhs), &mut []),
            Expr::Aggregate(e) => (Some(&mut e.expr), e.param.as_deref_mut(), &mut []),
            Expr::Call(e) => (None, None, &mut e.args),
            Expr::Paren(e) => (Some(&mut e.expr), None, &mut []),
        };
        first.into_iter().chain(second).chain(many)
    }

    /// Calls `visit` for this expression and all below it, each before its children.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The same, to change them; the children are those that `visit` leaves.
    pub fn walk_mut(&mut self, visit: &mut impl FnMut(&mut Expr)) {
        visit(self);
        for child in self.children_mut() {
            child.walk_mut(visit);
        }
    }

    /// The selectors in it, those of ranges included, in the order of [`Expr::walk`].
    #[must_use]
    pub fn selectors(&self) -> Vec<&super::VectorSelector> {
        let mut selectors = Vec::new();
        self.walk(&mut |expr| match expr {
            Expr::Vector(selector) => selectors.push(selector),
            Expr::Matrix(matrix) => selectors.push(&matrix.selector),
            _ => {}
        });
        selectors
    }
}
