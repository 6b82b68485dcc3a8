//! The functions over ranges: their names, and what the planner asks of them.

/// A function over a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Changes,
    Resets,
    AvgOverTime,
    SumOverTime,
    CountOverTime,
    MinOverTime,
    MaxOverTime,
    QuantileOverTime,
    StddevOverTime,
    StdvarOverTime,
    LastOverTime,
    FirstOverTime,
    PresentOverTime,
    AbsentOverTime,
    MadOverTime,
    TsOfFirstOverTime,
    TsOfLastOverTime,
    TsOfMinOverTime,
    TsOfMaxOverTime,
    DoubleExponentialSmoothing,
}

/// By name.
const RANGE_FUNCTIONS: [(&str, RangeFunction); 27] = {
    use RangeFunction as F;
    [
        ("rate", F::Rate),
        ("increase", F::Increase),
        ("delta", F::Delta),
        ("irate", F::Irate),
        ("idelta", F::Idelta),
        ("deriv", F::Deriv),
        ("predict_linear", F::PredictLinear),
        ("changes", F::Changes),
        ("resets", F::Resets),
        ("avg_over_time", F::AvgOverTime),
        ("sum_over_time", F::SumOverTime),
        ("count_over_time", F::CountOverTime),
        ("min_over_time", F::MinOverTime),
        ("max_over_time", F::MaxOverTime),
        ("quantile_over_time", F::QuantileOverTime),
        ("stddev_over_time", F::StddevOverTime),
        ("stdvar_over_time", F::StdvarOverTime),
        ("last_over_time", F::LastOverTime),
        ("first_over_time", F::FirstOverTime),
        ("present_over_time", F::PresentOverTime),
        ("absent_over_time", F::AbsentOverTime),
        ("mad_over_time", F::MadOverTime),
        ("ts_of_first_over_time", F::TsOfFirstOverTime),
        ("ts_of_last_over_time", F::TsOfLastOverTime),
        ("ts_of_min_over_time", F::TsOfMinOverTime),
        ("ts_of_max_over_time", F::TsOfMaxOverTime),
        (
            "double_exponential_smoothing",
            F::DoubleExponentialSmoothing,
        ),
    ]
};

impl RangeFunction {
    pub(crate) fn from_name(name: &str) -> Option<RangeFunction> {
        let found = RANGE_FUNCTIONS.iter().find(|(of, _)| *of == name);
        found.map(|(_, function)| *function)
    }

    pub(crate) fn name(self) -> &'static str {
        let found = RANGE_FUNCTIONS
            .iter()
            .find(|(_, function)| *function == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether the metric's name stays: these act like an offset.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(
            self,
            RangeFunction::LastOverTime | RangeFunction::FirstOverTime
        )
    }

    /// Whether it only makes sense for counters.
    pub(crate) fn is_for_counters(self) -> bool {
        matches!(self, RangeFunction::Rate | RangeFunction::Increase)
    }

    /// Whether it asks when counters started.
    pub(crate) fn asks_for_starts(self) -> bool {
        use RangeFunction as F;
        matches!(self, F::Rate | F::Increase | F::Irate | F::Resets)
    }
}
