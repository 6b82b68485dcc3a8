//! Random well-typed queries, as text.

use fastrand::Rng;

/// An instant vector, or now and then a number.
pub(crate) fn random(rng: &mut Rng, order: Order) -> String {
    let mut random = Random { rng, order };
    if random.rng.u8(..12) == 0 {
        random.scalar(3)
    } else {
        random.vector(3)
    }
}

/// Whether PromQL defines the order of all series that are added up.
///
/// It does for one step. Over several it does for selectors and what is done to each of their
/// series; the order of what operators and aggregations give is that of hash tables. So what
/// depends on it, the last bits of an average or a deviation and which of equals are on top, is
/// asked of the former only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Defined,
    OfSelectorsOnly,
}

struct Random<'a> {
    rng: &'a mut Rng,
    order: Order,
}

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

impl Random<'_> {
    /// `depth` is how much deeper it may become.
    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.instant_selector();
        }
        match self.rng.u8(..20) {
            0..3 => self.instant_selector(),
            3..8 => self.over_time(depth - 1),
            8..12 => self.aggregation(depth - 1),
            12..16 => self.binary(depth - 1),
            16..19 => self.function(depth - 1),
            _ => format!("-({})", self.vector(depth - 1)),
        }
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.rng.u8(..6) {
            _ if depth == 0 => {
                one(self.rng, &["0", "1", "-2.5", "30", "Inf", "NaN", "1e3"]).to_owned()
            }
            0 => "time()".to_owned(),
            1 => format!("scalar({})", self.vector(depth - 1)),
            2 => {
                let op = one(self.rng, &["+", "-", "*", "/", "%", "> bool", "== bool"]);
                format!("({} {op} {})", self.scalar(0), self.scalar(depth - 1))
            }
            _ => self.scalar(0),
        }
    }

    fn selector(&mut self) -> String {
        let name = one(self.rng, &["a", "b", "c_total", "h_bucket"]);
        let matchers = [
            "",
            "",
            "",
            "{x=\"1\"}",
            "{x!=\"2\"}",
            "{x=~\"[12]\"}",
            "{y!~\"p\"}",
        ];
        format!("{name}{}", one(self.rng, &matchers))
    }

    fn shift(&mut self) -> &'static str {
        let shifts = [
            " offset 1m",
            " offset -45s",
            " @ start()",
            " @ end()",
            " @ 1700000300",
            " @ end() offset 3m",
        ];
        if self.rng.u8(..5) == 0 {
            shifts[self.rng.usize(..shifts.len())]
        } else {
            ""
        }
    }

    fn instant_selector(&mut self) -> String {
        format!("{}{}", self.selector(), self.shift())
    }

    fn range(&mut self, depth: u32) -> String {
        if depth > 0 && self.rng.u8(..4) == 0 {
            let steps = one(self.rng, &["2m:15s", "5m:1m", "3m:7s", "10m:45s"]);
            return format!("({})[{steps}]{}", self.vector(depth - 1), self.shift());
        }
        let window = one(self.rng, &["30s", "1m", "2m", "5m", "15m", "100ms"]);
        format!("{}[{window}]{}", self.selector(), self.shift())
    }

    fn over_time(&mut self, depth: u32) -> String {
        let range = self.range(depth);
        match self.rng.u8(..12) {
            0 => {
                let q = one(self.rng, &["0", "0.5", "0.9", "1", "-1", "2", "NaN"]);
                format!("quantile_over_time({q}, {range})")
            }
            1 => format!(
                "predict_linear({range}, {})",
                one(self.rng, &["60", "-30", "3600"])
            ),
            2..5 => format!("{}({range})", one(self.rng, &["rate", "increase", "irate"])),
            _ => {
                let names = [
                    "delta",
                    "idelta",
                    "deriv",
                    "changes",
                    "resets",
                    "sum_over_time",
                    "avg_over_time",
                    "count_over_time",
                    "present_over_time",
                    "last_over_time",
                    "max_over_time",
                    "min_over_time",
                    "stdvar_over_time",
                    "stddev_over_time",
                ];
                format!("{}({range})", one(self.rng, &names))
            }
        }
    }

    fn aggregation(&mut self, depth: u32) -> String {
        let inner = self.vector(depth);
        let groups = [
            "",
            " by (x)",
            " by (y)",
            " by (x, le)",
            " without (y)",
            " without (x, le)",
            " by (none)",
        ];
        let group = one(self.rng, &groups);
        match self.rng.u8(..10) {
            0 => {
                let q = one(self.rng, &["0", "0.5", "0.95", "1", "-0.1", "1.1", "NaN"]);
                format!("quantile{group} ({q}, {inner})")
            }
            1..4 => {
                let inner = self.ordered(depth);
                let (op, k) = (one(self.rng, &["topk", "bottomk"]), self.rng.u8(..5));
                format!("{op}{group} ({k}, {inner})")
            }
            4 => {
                let inner = self.ordered(depth);
                format!(
                    "{}{group} ({inner})",
                    one(self.rng, &["stddev", "stdvar", "avg", "avg"])
                )
            }
            _ => {
                let ops = ["sum", "sum", "min", "max", "count", "group"];
                format!("{}{group} ({inner})", one(self.rng, &ops))
            }
        }
    }

    /// A vector whose order is defined.
    fn ordered(&mut self, depth: u32) -> String {
        match self.order {
            Order::Defined => {
                let vector = self.vector(depth);
                // Its histograms are in a hash table, too.
                if vector.contains("histogram_quantile") {
                    self.instant_selector()
                } else {
                    vector
                }
            }
            Order::OfSelectorsOnly if self.rng.bool() => self.instant_selector(),
            Order::OfSelectorsOnly => {
                let range = self.range(0);
                let names = ["rate", "increase", "max_over_time", "avg_over_time"];
                format!("{}({range})", one(self.rng, &names))
            }
        }
    }

    fn binary(&mut self, depth: u32) -> String {
        let ops = [
            "+", "-", "*", "/", "%", "==", "!=", ">", "<", ">=", "<=", "> bool", "<= bool",
            "!= bool",
        ];
        let op = one(self.rng, &ops);
        let lhs = self.vector(depth);
        match self.rng.u8(..8) {
            0 => format!("({lhs}) {op} {}", self.scalar(depth)),
            1 => format!("{} {op} ({lhs})", self.scalar(depth)),
            2 | 3 => {
                let set = one(self.rng, &["and", "or", "unless"]);
                let how = one(self.rng, &["", " on (x)", " ignoring (y)", " on ()"]);
                format!("({lhs}) {set}{how} ({})", self.vector(depth))
            }
            4 => {
                let how = one(self.rng, &["group_left ()", "group_left (y)"]);
                let one_side = format!("sum by (x) ({})", self.vector(depth.saturating_sub(1)));
                format!("({lhs}) {op} on (x) {how} {one_side}")
            }
            5 => {
                let one_side = format!("max by (x) ({})", self.vector(depth.saturating_sub(1)));
                format!("{one_side} {op} on (x) group_right () ({lhs})")
            }
            _ => {
                let how = one(self.rng, &["", "", "", " ignoring (none)", " on (x, y)"]);
                format!("({lhs}) {op}{how} ({})", self.vector(depth))
            }
        }
    }

    fn function(&mut self, depth: u32) -> String {
        match self.rng.u8(..14) {
            0 => format!("vector({})", self.scalar(depth)),
            1 => format!("absent({})", self.instant_selector()),
            2 => {
                let name = one(self.rng, &["timestamp", "start_timestamp"]);
                format!("{name}({})", self.instant_selector())
            }
            3 => {
                let name = one(self.rng, &["timestamp", "timestamp", "start_timestamp"]);
                format!("{name}({})", self.vector(depth))
            }
            4 => format!(
                "round({}, {})",
                self.vector(depth),
                one(self.rng, &["1", "5", "0.1"])
            ),
            5 => format!("clamp({}, -20, {})", self.vector(depth), self.scalar(depth)),
            6 => format!("clamp_min({}, {})", self.vector(depth), self.scalar(depth)),
            7 => format!("clamp_max({}, {})", self.vector(depth), self.scalar(depth)),
            8 => {
                let q = one(self.rng, &["0", "0.5", "0.99", "1", "-1", "2"]);
                format!(
                    "histogram_quantile({q}, rate(h_bucket[{}]))",
                    one(self.rng, &["1m", "5m"])
                )
            }
            9 => {
                let q = one(self.rng, &["0.1", "0.5", "0.9"]);
                format!("histogram_quantile({q}, {})", self.vector(depth))
            }
            _ => {
                let names = ["abs", "ceil", "floor", "sqrt", "sgn", "round"];
                format!("{}({})", one(self.rng, &names), self.vector(depth))
            }
        }
    }
}
