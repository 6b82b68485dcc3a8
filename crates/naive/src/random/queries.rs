//! Draws queries from the grammar.

use std::ops::BitOr;

use fastrand::Rng;

use super::grammar::{RULES, Rule};

/// How deep the expressions are nested.
const DEPTH: u32 = 3;

/// What a query may make use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect(u16);

impl Dialect {
    /// What the oracle of this crate computes and every version of Prometheus knows.
    pub const CORE: Dialect = Dialect(0);
    /// What the oracle leaves out.
    pub const WHOLE: Dialect = Dialect(1);
    /// What came, or got another meaning, after Prometheus 2.42.
    pub const RECENT: Dialect = Dialect(1 << 1);
    /// What has to be switched on: experimental functions and selectors, fill modifiers.
    pub const EXPERIMENTAL: Dialect = Dialect(1 << 2);
    /// Native histograms, and what works on them.
    pub const HISTOGRAMS: Dialect = Dialect(1 << 3);
    /// Where what happens in rare cases changed with Prometheus 3: windows that are likely to begin
    /// at a sample, counters that are extrapolated to zero, rates that are equal but for their last
    /// bits, ranges of `predict_linear` at a fixed time, label sets that are equal before a
    /// comparison drops one, deviations of what is not finite, times of samples at a fixed time;
    /// and what makes much of a last bit, which averages and rates have changed.
    pub const EDGES: Dialect = Dialect(1 << 4);
    /// Start timestamps.
    pub const STARTS: Dialect = Dialect(1 << 5);
    /// What depends on the order of series that are no selector's.
    ///
    /// PromQL defines it for one step. Over several it does for selectors and what is done to each
    /// of their series; the order of what operators and aggregations give is that of hash tables.
    /// So what depends on it, the last bits of an average or a deviation and which of equals are on
    /// top, is to be asked at one step only.
    pub const ORDER: Dialect = Dialect(1 << 6);

    fn contains(self, needed: Dialect) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// Everything that one of both has.
    #[must_use]
    pub const fn with(self, other: Dialect) -> Dialect {
        Dialect(self.0 | other.0)
    }
}

impl BitOr for Dialect {
    type Output = Dialect;

    fn bitor(self, other: Dialect) -> Dialect {
        self.with(other)
    }
}

/// A query over the series of [`data`](super::data()): an instant vector, or now and then a number.
pub fn query(rng: &mut Rng, dialect: Dialect) -> String {
    let mut random = Random { rng, dialect };
    let start = if random.rng.u8(..12) == 0 { 'S' } else { 'V' };
    let mut text = String::new();
    random.expand(start, DEPTH, &mut text);
    text
}

struct Random<'a> {
    rng: &'a mut Rng,
    dialect: Dialect,
}

impl Random<'_> {
    /// Appends what a symbol of the grammar becomes. `depth` is how much deeper it may get.
    fn expand(&mut self, symbol: char, depth: u32, text: &mut String) {
        let rule = self.rule(symbol, depth);
        let depth = depth.saturating_sub(u32::from(is_level(symbol)));
        let began = text.len();
        let mut chars = rule.text.chars();
        while let Some(c) = chars.next() {
            match (c, chars.clone().next()) {
                ('$', Some('$')) => text.extend(chars.next()),
                ('$', Some(symbol)) => {
                    chars.next();
                    self.expand(symbol, depth, text);
                }
                _ => text.push(c),
            }
        }
        // What these give is in the order of a hash table even at one step.
        let unordered = ["histogram_quantile", "info("];
        if symbol == 'D' && unordered.iter().any(|name| text[began..].contains(name)) {
            text.truncate(began);
            self.expand('I', depth, text);
        }
    }

    fn rule(&mut self, symbol: char, depth: u32) -> &'static Rule {
        let is_leaf_wanted = depth == 0 && is_level(symbol);
        let dialect = self.dialect;
        let possible = || {
            RULES.iter().filter(move |rule| {
                rule.symbol == symbol
                    && dialect.contains(rule.needs)
                    && !(is_leaf_wanted && nests(rule.text))
            })
        };
        let all: u32 = possible().map(|rule| rule.weight).sum();
        let mut at = self.rng.u32(..all);
        for rule in possible() {
            if at < rule.weight {
                return rule;
            }
            at -= rule.weight;
        }
        unreachable!("the weights add up")
    }
}

/// Whether a symbol is a level of the expression: a vector, a scalar, a range.
fn is_level(symbol: char) -> bool {
    "VSDR".contains(symbol)
}

/// Whether what a rule writes may hold expressions again.
fn nests(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '$'
            && chars
                .next()
                .is_some_and(|symbol| "VSDRABCFLT".contains(symbol))
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use promql_syntax::ParseOptions;

    use super::*;

    const EVERYTHING: Dialect = Dialect(u16::MAX);

    #[test]
    fn every_query_is_well_typed() {
        let mut rng = Rng::with_seed(1);
        for dialect in [Dialect::CORE, Dialect::WHOLE, EVERYTHING] {
            for _ in 0..5_000 {
                let query = query(&mut rng, dialect);
                if let Err(error) = promql_syntax::parse(&query, &ParseOptions::ALL) {
                    panic!("{query}: {error}");
                }
            }
        }
    }

    fn symbols(text: &str) -> Vec<char> {
        let text = text.replace("$$", "");
        text.split('$')
            .skip(1)
            .filter_map(|part| part.chars().next())
            .collect()
    }

    /// Whatever the dialect, there is a rule for each symbol, and each level has one that ends it.
    #[test]
    fn every_symbol_ends() {
        let has = |symbol, needed: Dialect| {
            let mut rules = RULES.iter().filter(|rule| rule.symbol == symbol);
            rules.any(|rule| needed.contains(rule.needs) && !(is_level(symbol) && nests(rule.text)))
        };
        for rule in RULES {
            for symbol in symbols(rule.text) {
                let needed = if is_level(symbol) {
                    Dialect::CORE
                } else {
                    rule.needs
                };
                assert!(has(symbol, needed), "${symbol} in {}", rule.text);
            }
        }
    }

    #[test]
    fn every_rule_is_drawn() {
        let mut rng = Rng::with_seed(2);
        let all: String = (0..20_000).map(|_| query(&mut rng, EVERYTHING)).collect();
        for rule in RULES {
            let text = rule.text.replace("$$", "\0");
            let parts = text.split('$').enumerate();
            let literal = parts.map(|(n, part)| part.get(usize::from(n > 0)..).unwrap_or_default());
            let longest = literal.max_by_key(|part| part.len()).unwrap_or_default();
            assert!(all.contains(&longest.replace('\0', "$")), "{}", rule.text);
        }
    }
}
