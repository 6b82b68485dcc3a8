//! The OpenMetrics test data: pages that a strict reader accepts or refuses.
//!
//! Prometheus is no strict reader: it reads a line at a time and does not judge families as a
//! whole. What it accepts although the data say otherwise is listed in [`LAXER`], and our parser
//! has to accept it too; the list is that of Prometheus 3.14's own parser, asked case by case.
//! There is no case that it refuses although it should not.

use std::path::Path;

use anyhow::Context as _;
use exposition::{CreatedSeries, Entry, Format, Parser, ParserOptions, Sample, SeriesLabels};

use crate::{Outcome, Verdict};

/// What Prometheus does not check, with the groups of cases and the numbers in them.
const LAXER: [(&str, &str, &[u8]); 14] = [
    (
        "a family may be declared twice",
        "bad_clashing_names",
        &[0, 1, 2],
    ),
    (
        "counters may be negative or NaN",
        "bad_counter_values",
        &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
        ],
    ),
    ("labels of exemplars may be long", "bad_exemplars", &[6]),
    (
        "any type may have exemplars",
        "bad_exemplars_on_unallowed_metric_types",
        &[0, 1, 2],
    ),
    (
        "any sample may have exemplars",
        "bad_exemplars_on_unallowed_samples",
        &[0, 1, 2, 3],
    ),
    (
        "lines may come in any order",
        "bad_grouping_or_ordering",
        &[0, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    ),
    (
        "histograms need not be coherent",
        "bad_histograms",
        &[0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    ),
    (
        "info and state sets may have any value",
        "bad_info_and_stateset_values",
        &[0, 1],
    ),
    (
        "info and state sets may have any value",
        "bad_stateset_info_values",
        &[0, 1, 2, 3],
    ),
    (
        "metadata may come after samples",
        "bad_metadata_in_wrong_place",
        &[0, 1, 2],
    ),
    (
        "a comma may follow the last label",
        "bad_missing_or_extra_commas",
        &[2],
    ),
    (
        "no type needs a label",
        "bad_missing_or_invalid_labels_for_a_type",
        &[0, 1, 2, 3, 4, 5, 6, 7],
    ),
    (
        "metadata may come twice",
        "bad_repeated_metadata",
        &[0, 1, 3],
    ),
    ("any type may have a unit", "bad_unit", &[6, 7]),
];

/// Laxer too, of a group without numbers: its label set is too long as well.
const LAXER_WITHOUT_NUMBER: &str = "bad_exemplar_complex_chars";

/// Reads every case of `folder`: a folder each, with the page in `metrics` and what is expected in
/// `test.json`.
///
/// # Errors
/// If the folder is not of that form.
pub fn run(folder: &Path) -> anyhow::Result<Vec<Outcome>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut cases = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    cases.retain(|case| case.is_dir());
    cases.sort();
    cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let name = case.file_name().unwrap_or_default().to_string_lossy();
            let verdict = verdict(case, &name)
                .with_context(|| format!("OpenMetrics case {}", case.display()))?;
            Ok(Outcome {
                line: index + 1,
                text: name.into_owned(),
                verdict,
            })
        })
        .collect()
}

fn verdict(case: &Path, name: &str) -> anyhow::Result<Verdict> {
    let page = std::fs::read(case.join("metrics"))?;
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(case.join("test.json"))?)?;
    let should_parse = expected["shouldParse"]
        .as_bool()
        .context("no shouldParse")?;
    let want = should_parse || is_laxer(name);
    Ok(match (want, read(&page)) {
        (true, Ok(())) | (false, Err(_)) => Verdict::Passed,
        (true, Err(error)) => Verdict::Failed(format!("refused: {error}")),
        (false, Ok(())) => Verdict::Failed("accepted".to_owned()),
    })
}

fn is_laxer(name: &str) -> bool {
    name == LAXER_WITHOUT_NUMBER
        || LAXER.iter().any(|(_, group, numbers)| {
            name.strip_prefix(group)
                .and_then(|rest| rest.strip_prefix('_')?.parse().ok())
                .is_some_and(|number| numbers.contains(&number))
        })
}

/// Reads a page as a scrape does, labels and all.
fn read(page: &[u8]) -> Result<(), String> {
    let options = ParserOptions {
        format: Format::OpenMetrics,
        created: CreatedSeries::Keep,
    };
    let mut parser = Parser::new(page, options);
    let mut labels = SeriesLabels::new();
    while let Some(entry) = parser.next().map_err(|error| error.to_string())? {
        if let Entry::Sample(Sample { series, kind, .. }) = entry {
            labels
                .read(series, kind)
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_judged_by_what_upstream_accepts() {
        let folder = tempfile::tempdir().unwrap();
        for (name, page, should_parse) in [
            ("good", "a 1\n# EOF\n", true),
            ("good_but_refused", "a 1\n", true),
            ("bad", "a 1\n", false),
            ("bad_but_accepted", "a 1\n# EOF\n", false),
            ("bad_label_twice", "a{b=\"c\",b=\"c\"} 1\n# EOF\n", false),
            ("bad_unit_6", "# UNIT a_b b\n# EOF\n", false),
            ("bad_unit_60", "# UNIT a_b b\n# EOF\n", false),
        ] {
            let case = folder.path().join(name);
            std::fs::create_dir(&case).unwrap();
            std::fs::write(case.join("metrics"), page).unwrap();
            let expected = format!("{{\"shouldParse\": {should_parse}}}");
            std::fs::write(case.join("test.json"), expected).unwrap();
        }
        let passed: Vec<String> = run(folder.path())
            .unwrap()
            .into_iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Passed))
            .map(|outcome| outcome.text)
            .collect();
        assert_eq!(passed, ["bad", "bad_label_twice", "bad_unit_6", "good"]);
    }
}
