//! The functions of the language.

use super::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function: what it takes and gives.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments. The last one may be left out or repeated if `variadic` says so.
    pub arg_types: &'static [ValueType],
    /// 0: as many arguments as `arg_types`. Above 0: one less is enough, and this many more than
    /// that are allowed. -1: one less is enough, and any number more is allowed.
    pub variadic: i32,
    /// What it gives.
    pub return_type: ValueType,
    /// Whether it needs `promql-experimental-functions`.
    pub experimental: bool,
}

impl Function {
    /// Looks a function up by its exact name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Function> {
        FUNCTIONS
            .binary_search_by(|function| function.name.cmp(name))
            .ok()
            .map(|index| &FUNCTIONS[index])
    }

    const fn new(
        name: &'static str,
        arg_types: &'static [ValueType],
        return_type: ValueType,
    ) -> Function {
        Function {
            name,
            arg_types,
            variadic: 0,
            return_type,
            experimental: false,
        }
    }

    const fn variadic(self, variadic: i32) -> Function {
        Function { variadic, ..self }
    }

    const fn experimental(self) -> Function {
        Function {
            experimental: true,
            ..self
        }
    }
}

/// All functions, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    Function::new("abs", &[Vector], Vector),
    Function::new("absent", &[Vector], Vector),
    Function::new("absent_over_time", &[Matrix], Vector),
    Function::new("acos", &[Vector], Vector),
    Function::new("acosh", &[Vector], Vector),
    Function::new("asin", &[Vector], Vector),
    Function::new("asinh", &[Vector], Vector),
    Function::new("atan", &[Vector], Vector),
    Function::new("atanh", &[Vector], Vector),
    Function::new("avg_over_time", &[Matrix], Vector),
    Function::new("ceil", &[Vector], Vector),
    Function::new("changes", &[Matrix], Vector),
    Function::new("clamp", &[Vector, Scalar, Scalar], Vector),
    Function::new("clamp_max", &[Vector, Scalar], Vector),
    Function::new("clamp_min", &[Vector, Scalar], Vector),
    Function::new("cos", &[Vector], Vector),
    Function::new("cosh", &[Vector], Vector),
    Function::new("count_over_time", &[Matrix], Vector),
    Function::new("day_of_month", &[Vector], Vector).variadic(1),
    Function::new("day_of_week", &[Vector], Vector).variadic(1),
    Function::new("day_of_year", &[Vector], Vector).variadic(1),
    Function::new("days_in_month", &[Vector], Vector).variadic(1),
    Function::new("deg", &[Vector], Vector),
    Function::new("delta", &[Matrix], Vector),
    Function::new("deriv", &[Matrix], Vector),
    Function::new(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        Vector,
    )
    .experimental(),
    Function::new("end", &[], Scalar).experimental(),
    Function::new("exp", &[Vector], Vector),
    Function::new("first_over_time", &[Matrix], Vector),
    Function::new("floor", &[Vector], Vector),
    Function::new("histogram_avg", &[Vector], Vector),
    Function::new("histogram_count", &[Vector], Vector),
    Function::new("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    Function::new("histogram_quantile", &[Scalar, Vector], Vector),
    Function::new(
        "histogram_quantiles",
        &[Vector, String, Scalar, Scalar],
        Vector,
    )
    .variadic(9)
    .experimental(),
    Function::new("histogram_stddev", &[Vector], Vector),
    Function::new("histogram_stdvar", &[Vector], Vector),
    Function::new("histogram_sum", &[Vector], Vector),
    Function::new("hour", &[Vector], Vector).variadic(1),
    Function::new("idelta", &[Matrix], Vector),
    Function::new("increase", &[Matrix], Vector),
    Function::new("info", &[Vector, Vector], Vector)
        .variadic(1)
        .experimental(),
    Function::new("irate", &[Matrix], Vector),
    Function::new("label_join", &[Vector, String, String, String], Vector).variadic(-1),
    Function::new(
        "label_replace",
        &[Vector, String, String, String, String],
        Vector,
    ),
    Function::new("last_over_time", &[Matrix], Vector),
    Function::new("ln", &[Vector], Vector),
    Function::new("log10", &[Vector], Vector),
    Function::new("log2", &[Vector], Vector),
    Function::new("mad_over_time", &[Matrix], Vector).experimental(),
    Function::new("max_of", &[Scalar, Scalar], Scalar).experimental(),
    Function::new("max_over_time", &[Matrix], Vector),
    Function::new("min_of", &[Scalar, Scalar], Scalar).experimental(),
    Function::new("min_over_time", &[Matrix], Vector),
    Function::new("minute", &[Vector], Vector).variadic(1),
    Function::new("month", &[Vector], Vector).variadic(1),
    Function::new("pi", &[], Scalar),
    Function::new("predict_linear", &[Matrix, Scalar], Vector),
    Function::new("present_over_time", &[Matrix], Vector),
    Function::new("quantile_over_time", &[Scalar, Matrix], Vector),
    Function::new("rad", &[Vector], Vector),
    Function::new("range", &[], Scalar).experimental(),
    Function::new("rate", &[Matrix], Vector),
    Function::new("resets", &[Matrix], Vector),
    Function::new("round", &[Vector, Scalar], Vector).variadic(1),
    Function::new("scalar", &[Vector], Scalar),
    Function::new("sgn", &[Vector], Vector),
    Function::new("sin", &[Vector], Vector),
    Function::new("sinh", &[Vector], Vector),
    Function::new("sort", &[Vector], Vector),
    Function::new("sort_by_label", &[Vector, String], Vector)
        .variadic(-1)
        .experimental(),
    Function::new("sort_by_label_desc", &[Vector, String], Vector)
        .variadic(-1)
        .experimental(),
    Function::new("sort_desc", &[Vector], Vector),
    Function::new("sqrt", &[Vector], Vector),
    Function::new("start", &[], Scalar).experimental(),
    Function::new("start_timestamp", &[Vector], Vector).experimental(),
    Function::new("stddev_over_time", &[Matrix], Vector),
    Function::new("stdvar_over_time", &[Matrix], Vector),
    Function::new("step", &[], Scalar).experimental(),
    Function::new("sum_over_time", &[Matrix], Vector),
    Function::new("tan", &[Vector], Vector),
    Function::new("tanh", &[Vector], Vector),
    Function::new("time", &[], Scalar),
    Function::new("timestamp", &[Vector], Vector),
    Function::new("ts_of_first_over_time", &[Matrix], Vector).experimental(),
    Function::new("ts_of_last_over_time", &[Matrix], Vector).experimental(),
    Function::new("ts_of_max_over_time", &[Matrix], Vector).experimental(),
    Function::new("ts_of_min_over_time", &[Matrix], Vector).experimental(),
    Function::new("vector", &[Scalar], Vector),
    Function::new("year", &[Vector], Vector).variadic(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_complete_and_sorted() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        let experimental = FUNCTIONS.iter().filter(|f| f.experimental).count();
        assert_eq!((FUNCTIONS.len(), experimental), (90, 17));
        assert_eq!(
            Function::by_name("rate").map(|f| f.arg_types),
            Some(&[Matrix][..])
        );
        assert_eq!(Function::by_name("Rate"), None);
    }
}
