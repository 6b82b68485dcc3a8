//! The tree of a query as JSON, for the page's tree and explain views
//! (web/api/v1/translate_ast.go). Keys are sorted, as Go's maps are written.

use gocompat::strconv::format_float_f;
use model::Matcher;
use promql_syntax::Expr;
use promql_syntax::ast::{
    AggregateExpr, AtModifier, BinaryExpr, Call, DurationArg, DurationExpr, DurationOperand,
    MatrixSelector, NumberLiteral, Subquery, TimeShift, VectorMatching, VectorSelector,
};

use crate::json::Json;

/// One node with all below it. Depth is bounded by the parser.
pub(crate) fn write_expr(json: &mut Json, expr: &Expr) {
    json.object(|json| match expr {
        Expr::Number(number) => {
            json.key("type").text("numberLiteral");
            json.key("val").text(&format_float_f(number.value));
        }
        Expr::String(string) => {
            json.key("type").text("stringLiteral");
            json.key("val").text(&string.value);
        }
        Expr::Vector(selector) => write_vector(json, selector),
        Expr::Matrix(selector) => write_matrix(json, selector),
        Expr::Subquery(subquery) => write_subquery(json, subquery),
        Expr::Unary(unary) => {
            write_expr(json.key("expr"), &unary.expr);
            json.key("op").text(unary.op.as_str());
            json.key("type").text("unaryExpr");
        }
        Expr::Binary(binary) => write_binary(json, binary),
        Expr::Aggregate(aggregate) => write_aggregate(json, aggregate),
        Expr::Call(call) => write_call(json, call),
        Expr::Paren(paren) => {
            write_expr(json.key("expr"), &paren.expr);
            json.key("type").text("parenExpr");
        }
    });
}

fn write_vector(json: &mut Json, selector: &VectorSelector) {
    json.key("anchored").bool(selector.anchored);
    write_matchers(json.key("matchers"), &selector.matchers);
    json.key("name").text(&selector.name);
    write_offset(json, &selector.shift);
    json.key("smoothed").bool(selector.smoothed);
    write_at(json, &selector.shift);
    json.key("type").text("vectorSelector");
}

fn write_matrix(json: &mut Json, matrix: &MatrixSelector) {
    let selector = &matrix.selector;
    json.key("anchored").bool(selector.anchored);
    write_matchers(json.key("matchers"), &selector.matchers);
    json.key("name").text(&selector.name);
    write_offset(json, &selector.shift);
    write_duration(json, "range", "rangeExpr", &matrix.range);
    json.key("smoothed").bool(selector.smoothed);
    write_at(json, &selector.shift);
    json.key("type").text("matrixSelector");
}

fn write_subquery(json: &mut Json, subquery: &Subquery) {
    write_expr(json.key("expr"), &subquery.expr);
    write_offset(json, &subquery.shift);
    write_duration(json, "range", "rangeExpr", &subquery.range);
    write_start_or_end(json, &subquery.shift);
    let step = subquery.step.clone().unwrap_or_default();
    write_duration(json, "step", "stepExpr", &step);
    write_timestamp(json, &subquery.shift);
    json.key("type").text("subquery");
}

fn write_binary(json: &mut Json, binary: &BinaryExpr) {
    json.key("bool").bool(binary.return_bool);
    write_expr(json.key("lhs"), &binary.lhs);
    match &binary.matching {
        Some(matching) => json
            .key("matching")
            .object(|json| write_matching(json, matching)),
        None => json.key("matching").null(),
    }
    json.key("op").text(binary.op.as_str());
    write_expr(json.key("rhs"), &binary.rhs);
    json.key("type").text("binaryExpr");
}

fn write_matching(json: &mut Json, matching: &VectorMatching) {
    let fill = |json: &mut Json, key: &str, value: Option<f64>| match value {
        Some(value) => json.key(key).float(value),
        None => json.key(key).null(),
    };
    json.key("card").text(matching.cardinality.as_str());
    json.key("fillValues").object(|json| {
        fill(json, "lhs", matching.fill.lhs);
        fill(json, "rhs", matching.fill.rhs);
    });
    write_texts(json.key("include"), &matching.include);
    write_texts(json.key("labels"), &matching.labels);
    json.key("on").bool(matching.on);
}

fn write_aggregate(json: &mut Json, aggregate: &AggregateExpr) {
    write_expr(json.key("expr"), &aggregate.expr);
    write_texts(json.key("grouping"), &aggregate.grouping);
    json.key("op").text(aggregate.op.as_str());
    match &aggregate.param {
        Some(param) => write_expr(json.key("param"), param),
        None => json.key("param").null(),
    }
    json.key("type").text("aggregation");
    json.key("without").bool(aggregate.without);
}

fn write_call(json: &mut Json, call: &Call) {
    json.key("args").array(|json| {
        for arg in &call.args {
            write_expr(json, arg);
        }
    });
    let function = call.function;
    json.key("func").object(|json| {
        json.key("argTypes").array(|json| {
            for kind in function.arg_types {
                json.text(kind.as_str());
            }
        });
        json.key("name").text(function.name);
        json.key("returnType").text(function.return_type.as_str());
        json.key("variadic").int(function.variadic.into());
    });
    json.key("type").text("call");
}

fn write_matchers(json: &mut Json, matchers: &[Matcher]) {
    json.array(|json| {
        for matcher in matchers {
            json.object(|json| {
                json.key("name").text(matcher.name());
                json.key("type").text(matcher.op().as_str());
                json.key("value").text(matcher.value());
            });
        }
    });
}

fn write_offset(json: &mut Json, shift: &TimeShift) {
    write_duration(json, "offset", "offsetExpr", &shift.offset);
}

/// The two that `@` sets, which stand together in selectors.
fn write_at(json: &mut Json, shift: &TimeShift) {
    write_start_or_end(json, shift);
    write_timestamp(json, shift);
}

fn write_start_or_end(json: &mut Json, shift: &TimeShift) {
    let json = json.key("startOrEnd");
    match shift.at {
        Some(AtModifier::Start) => json.text("start"),
        Some(AtModifier::End) => json.text("end"),
        Some(AtModifier::TimestampMs(_)) | None => json.null(),
    }
}

fn write_timestamp(json: &mut Json, shift: &TimeShift) {
    let json = json.key("timestamp");
    match shift.at {
        Some(AtModifier::TimestampMs(ms)) => json.int(ms),
        _ => json.null(),
    }
}

/// A duration in milliseconds, and the arithmetic that gives it, if there is some.
fn write_duration(json: &mut Json, ms_key: &str, expr_key: &str, duration: &DurationArg) {
    json.key(ms_key).int(duration.ms);
    match &duration.expr {
        Some(expr) => write_duration_expr(json.key(expr_key), expr),
        None => json.key(expr_key).null(),
    }
}

fn write_duration_expr(json: &mut Json, expr: &DurationExpr) {
    json.object(|json| {
        write_operand(json.key("lhs"), expr.lhs.as_ref());
        json.key("op").text(expr.op.as_str());
        write_operand(json.key("rhs"), expr.rhs.as_ref());
        json.key("type").text("durationExpr");
        json.key("wrapped").bool(expr.wrapped);
    });
}

fn write_operand(json: &mut Json, operand: Option<&DurationOperand>) {
    match operand {
        None => json.null(),
        Some(DurationOperand::Expr(expr)) => write_duration_expr(json, expr),
        Some(DurationOperand::Number(number)) => write_duration_number(json, number),
    }
}

fn write_duration_number(json: &mut Json, number: &NumberLiteral) {
    json.object(|json| {
        json.key("duration").bool(number.is_duration);
        json.key("type").text("numberLiteral");
        json.key("val").text(&format_float_f(number.value));
    });
}

fn write_texts(json: &mut Json, texts: &[String]) {
    json.array(|json| {
        for text in texts {
            json.text(text);
        }
    });
}
