//! The functions of PromQL by name, sorted into the ways in which they are evaluated.

use gocompat::math;
use model::FloatHistogram;

use crate::dates::DatePart;
use crate::native::quantiles::variance;
use crate::plan::Type;
use crate::window::RangeFunction;

/// A function, by how it is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    /// Over the samples of a range.
    Range(RangeFunction),
    /// Value by value.
    Math(fn(f64) -> f64),
    /// Value by value, a part of the time that the value is.
    Date(DatePart),
    Clamp,
    ClampMin,
    ClampMax,
    Round,
    Time,
    Pi,
    Scalar,
    Vector,
    MaxOf,
    MinOf,
    Timestamp,
    StartTimestamp,
    Absent,
    Sort {
        descending: bool,
    },
    SortByLabel {
        descending: bool,
    },
    LabelReplace,
    LabelJoin,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramFraction,
    /// Of native histograms only: floats are left out.
    NativeHistogram(HistogramPart),
    Info,
}

/// A number that a native histogram gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistogramPart {
    Average,
    Count,
    Sum,
    Deviation,
    Variance,
}

impl HistogramPart {
    pub(crate) fn of(self, histogram: &FloatHistogram) -> f64 {
        match self {
            HistogramPart::Average => histogram.sum / histogram.count,
            HistogramPart::Count => histogram.count,
            HistogramPart::Sum => histogram.sum,
            HistogramPart::Deviation => variance(histogram).sqrt(),
            HistogramPart::Variance => variance(histogram),
        }
    }

    /// Whether it depends on more than count and sum.
    pub(crate) fn needs_buckets(self) -> bool {
        matches!(self, HistogramPart::Deviation | HistogramPart::Variance)
    }
}

impl Function {
    pub(crate) fn from_name(name: &str) -> Option<Function> {
        use Function as F;
        if let Some(function) = RangeFunction::from_name(name) {
            return Some(F::Range(function));
        }
        if let Some(function) = math_function(name) {
            return Some(F::Math(function));
        }
        Some(match name {
            "minute" => F::Date(DatePart::Minute),
            "hour" => F::Date(DatePart::Hour),
            "day_of_week" => F::Date(DatePart::DayOfWeek),
            "day_of_month" => F::Date(DatePart::DayOfMonth),
            "day_of_year" => F::Date(DatePart::DayOfYear),
            "days_in_month" => F::Date(DatePart::DaysInMonth),
            "month" => F::Date(DatePart::Month),
            "year" => F::Date(DatePart::Year),
            "clamp" => F::Clamp,
            "clamp_min" => F::ClampMin,
            "clamp_max" => F::ClampMax,
            "round" => F::Round,
            "time" => F::Time,
            "pi" => F::Pi,
            "scalar" => F::Scalar,
            "vector" => F::Vector,
            "max_of" => F::MaxOf,
            "min_of" => F::MinOf,
            "timestamp" => F::Timestamp,
            "start_timestamp" => F::StartTimestamp,
            "absent" => F::Absent,
            "sort" => F::Sort { descending: false },
            "sort_desc" => F::Sort { descending: true },
            "sort_by_label" => F::SortByLabel { descending: false },
            "sort_by_label_desc" => F::SortByLabel { descending: true },
            "label_replace" => F::LabelReplace,
            "label_join" => F::LabelJoin,
            "histogram_quantile" => F::HistogramQuantile,
            "histogram_quantiles" => F::HistogramQuantiles,
            "histogram_fraction" => F::HistogramFraction,
            "histogram_avg" => F::NativeHistogram(HistogramPart::Average),
            "histogram_count" => F::NativeHistogram(HistogramPart::Count),
            "histogram_sum" => F::NativeHistogram(HistogramPart::Sum),
            "histogram_stddev" => F::NativeHistogram(HistogramPart::Deviation),
            "histogram_stdvar" => F::NativeHistogram(HistogramPart::Variance),
            "info" => F::Info,
            _ => return None,
        })
    }

    pub(crate) fn value_type(self) -> Type {
        match self {
            Function::Time
            | Function::Pi
            | Function::Scalar
            | Function::MaxOf
            | Function::MinOf => Type::Scalar,
            _ => Type::Vector,
        }
    }

    /// Whether the evaluation time shows in the result though all arguments are the same at all
    /// steps. `timestamp` over a plain selector is decided by the planner.
    pub(crate) fn depends_on_time(self) -> bool {
        matches!(
            self,
            Function::Date(_)
                | Function::Time
                | Function::Timestamp
                | Function::Range(RangeFunction::PredictLinear)
        )
    }
}

fn math_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "sqrt" => f64::sqrt,
        "exp" => math::exp,
        "ln" => math::ln,
        "log2" => math::log2,
        "log10" => math::log10,
        "sin" => math::sin,
        "cos" => math::cos,
        "tan" => math::tan,
        "asin" => math::asin,
        "acos" => math::acos,
        "atan" => math::atan,
        "sinh" => math::sinh,
        "cosh" => math::cosh,
        "tanh" => math::tanh,
        "asinh" => math::asinh,
        "acosh" => math::acosh,
        "atanh" => math::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => sign,
        _ => return None,
    })
}

fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_syntax_is_known() {
        for function in promql_syntax::ast::FUNCTIONS {
            // These are numbers by the time that functions are looked up.
            if matches!(function.name, "start" | "end" | "range" | "step") {
                continue;
            }
            let found = Function::from_name(function.name);
            let found = found.unwrap_or_else(|| panic!("{} is missing", function.name));
            let scalar = found.value_type() == Type::Scalar;
            let declared = function.return_type == promql_syntax::ast::ValueType::Scalar;
            assert_eq!(scalar, declared, "{}", function.name);
        }
    }
}
