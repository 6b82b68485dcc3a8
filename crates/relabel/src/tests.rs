use super::*;
use gocompat::Regex;
use model::NameScheme;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// A rule from `key=value` settings, as the configuration would read them.
fn rule(settings: &[(&str, &str)]) -> Rule {
    let mut rule = Rule::default();
    for (key, value) in settings {
        let value = (*value).to_owned();
        match *key {
            "source" => {
                rule.source_labels = value.split(',').map(str::to_owned).collect();
                rule.source_labels_given = true;
            }
            "separator" => rule.separator = value,
            "regex" => {
                rule.regex = Regex::new_spliced(&value).unwrap();
                rule.regex_given = true;
            }
            "modulus" => rule.modulus = value.parse().unwrap(),
            "target" => rule.target_label = value,
            "replacement" => rule.replacement = value,
            "action" => rule.action = Action::from_name(&value).unwrap(),
            "scheme" => rule.name_scheme = NameScheme::Legacy,
            other => panic!("{other}"),
        }
    }
    rule
}

#[test]
fn hash_is_the_low_half_of_md5() {
    // MD5 of the empty text is a published constant, d41d8cd98f00b204 e9800998ecf8427e.
    assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
    assert!(labels(&[]).is_empty());
}

type Settings<'a> = &'a [(&'a str, &'a str)];

#[test]
fn actions() {
    let base = [("a", "foo"), ("b", "bar"), ("c", "baz")];
    let cases: &[(Settings<'_>, Option<Settings<'_>>)] = &[
        // replace: the whole source matches or nothing happens.
        (
            &[
                ("source", "a"),
                ("regex", "f(.*)"),
                ("target", "d"),
                ("replacement", "ch${1}-ch${1}"),
            ],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
        ),
        (
            &[("source", "a"), ("regex", "o"), ("target", "d")],
            Some(&base),
        ),
        (
            &[
                ("source", "a,b"),
                ("regex", "foo;bar"),
                ("target", "a"),
                ("replacement", "x"),
            ],
            Some(&[("a", "x"), ("b", "bar"), ("c", "baz")]),
        ),
        (
            &[("source", "a,b"), ("separator", "||"), ("target", "c")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "foo||bar")]),
        ),
        // An empty result removes the label.
        (
            &[
                ("source", "a"),
                ("regex", "(foo)"),
                ("target", "a"),
                ("replacement", ""),
            ],
            Some(&[("b", "bar"), ("c", "baz")]),
        ),
        // Without sources the empty text matches `(.*)`.
        (
            &[("target", "d"), ("replacement", "fixed")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "fixed")]),
        ),
        // The target may be made of groups; a name that is not valid skips the rule.
        (
            &[
                ("source", "a,b"),
                ("regex", "(.*);(.*)"),
                ("target", "${1}_n"),
                ("replacement", "$2"),
            ],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("foo_n", "bar")]),
        ),
        (
            &[
                ("source", "a"),
                ("regex", "(x?).*"),
                ("target", "$1"),
                ("replacement", "v"),
            ],
            Some(&base),
        ),
        (
            &[
                ("source", "a,b"),
                ("target", "$1"),
                ("replacement", "v"),
                ("scheme", "legacy"),
            ],
            Some(&base),
        ),
        (
            &[
                ("source", "a"),
                ("regex", "(f)oo"),
                ("target", "${1}-x"),
                ("replacement", "v"),
            ],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("f-x", "v")]),
        ),
        // keep and drop.
        (
            &[("source", "a"), ("regex", "fo+"), ("action", "keep")],
            Some(&base),
        ),
        (
            &[("source", "a"), ("regex", "o+"), ("action", "keep")],
            None,
        ),
        (
            &[("source", "a"), ("regex", "fo+"), ("action", "drop")],
            None,
        ),
        (
            &[("source", "a"), ("regex", "o+"), ("action", "DROP")],
            Some(&base),
        ),
        (
            &[("source", "nope"), ("regex", ""), ("action", "keep")],
            Some(&base),
        ),
        // keepequal and dropequal.
        (
            &[("source", "a"), ("target", "b"), ("action", "keepequal")],
            None,
        ),
        (
            &[("source", "a"), ("target", "b"), ("action", "dropequal")],
            Some(&base),
        ),
        (
            &[("source", "a"), ("target", "a"), ("action", "dropequal")],
            None,
        ),
        (
            &[("source", "x"), ("target", "y"), ("action", "keepequal")],
            Some(&base),
        ),
        // hashmod; the digest is that of `printf foo | md5sum`.
        (
            &[
                ("source", "a"),
                ("target", "d"),
                ("modulus", "1000"),
                ("action", "hashmod"),
            ],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "696")]),
        ),
        // labelmap copies; what it made is not mapped again.
        (
            &[
                ("regex", "([ab])"),
                ("replacement", "m_$1"),
                ("action", "labelmap"),
            ],
            Some(&[
                ("a", "foo"),
                ("b", "bar"),
                ("c", "baz"),
                ("m_a", "foo"),
                ("m_b", "bar"),
            ]),
        ),
        (
            &[
                ("regex", "a|b"),
                ("replacement", "c"),
                ("action", "labelmap"),
            ],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "bar")]),
        ),
        (
            &[("regex", "[ac]"), ("action", "labeldrop")],
            Some(&[("b", "bar")]),
        ),
        (
            &[("regex", "[ac]"), ("action", "labelkeep")],
            Some(&[("a", "foo"), ("c", "baz")]),
        ),
        (
            &[("source", "a"), ("target", "d"), ("action", "uppercase")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "FOO")]),
        ),
        (
            &[("source", "nope"), ("target", "a"), ("action", "lowercase")],
            Some(&[("b", "bar"), ("c", "baz")]),
        ),
    ];
    for (settings, expected) in cases {
        let rule = rule(settings);
        assert_eq!(rule.validate(), Ok(()), "{settings:?}");
        let got = apply(&labels(&base), std::slice::from_ref(&rule));
        assert_eq!(got, expected.map(labels), "{settings:?}");
    }
}

#[test]
fn rules_run_in_order_and_a_drop_ends_them() {
    let rules = [
        rule(&[("source", "a"), ("target", "b")]),
        rule(&[("source", "b"), ("regex", "1"), ("action", "keep")]),
        rule(&[("target", "c"), ("replacement", "x")]),
    ];
    assert_eq!(
        apply(&labels(&[("a", "1")]), &rules),
        Some(labels(&[("a", "1"), ("b", "1"), ("c", "x")]))
    );
    assert_eq!(apply(&labels(&[("a", "2")]), &rules), None);
}

#[test]
fn a_dot_matches_a_line_break_and_classes_are_ascii() {
    let keep = |regex, value| {
        let rule = rule(&[("source", "a"), ("regex", regex), ("action", "keep")]);
        apply(&labels(&[("a", value)]), &[rule]).is_some()
    };
    assert!(keep("x.y", "x\ny"));
    assert!(keep(r"\w+", "ab") && !keep(r"\w+", "é"));
    assert!(keep("(?i)FOO", "foo"));
    // Anchored as `^(?s:a|b)$`, not branch by branch.
    assert!(!keep("a|b", "ax") && !keep("a|b", "xb"));
}

#[test]
fn what_makes_no_sense_is_refused_in_upstream_s_words() {
    let cases: &[(Settings<'_>, &str)] = &[
        (
            &[("action", "hashmod"), ("target", "t")],
            "relabel configuration for hashmod requires non-zero modulus",
        ),
        (
            &[],
            "relabel configuration for replace action requires 'target_label' value",
        ),
        (
            &[("action", "lowercase")],
            "relabel configuration for lowercase action requires 'target_label' value",
        ),
        (
            &[("target", "a-b"), ("scheme", "legacy")],
            "\"a-b\" is invalid 'target_label' for replace action",
        ),
        (
            &[("target", "$-"), ("scheme", "legacy")],
            "\"$-\" is invalid 'target_label' for replace action",
        ),
        (
            &[
                ("action", "uppercase"),
                ("target", "t"),
                ("replacement", "x"),
            ],
            "'replacement' can not be set for uppercase action",
        ),
        (
            &[("action", "labelmap"), ("replacement", "")],
            "\"\" is invalid 'replacement' for labelmap action",
        ),
        (
            &[
                ("action", "keepequal"),
                ("source", "a"),
                ("target", "t"),
                ("regex", "x"),
            ],
            "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
        ),
        (
            &[("action", "labeldrop"), ("source", "a"), ("regex", "x")],
            "labeldrop action requires only 'regex', and no other fields",
        ),
        (
            &[("action", "labelkeep"), ("target", "a"), ("regex", "x")],
            "labelkeep action requires only 'regex', and no other fields",
        ),
    ];
    for (settings, error) in cases {
        assert_eq!(
            rule(settings).validate().unwrap_err().to_string(),
            *error,
            "{settings:?}"
        );
    }
    assert_eq!(
        Action::from_name("nope").unwrap_err().to_string(),
        "unknown relabel action \"nope\""
    );
}
