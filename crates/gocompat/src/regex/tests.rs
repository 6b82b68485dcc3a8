//! Expected values come from Go 1.26's `regexp`.

use super::*;

#[track_caller]
fn check_error(pattern: &str, want: &str) {
    let got = Regex::new_anchored(pattern).expect_err(pattern);
    assert_eq!(got.0, format!("error parsing regexp: {want}"), "{pattern}");
}

#[test]
fn errors_are_go_s() {
    for (pattern, want) in [
        ("a(", "missing closing ): `a(`"),
        ("a)", "unexpected ): `a)`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}?", "invalid nested repetition operator: `{2}{3}?`"),
        ("*?", "missing argument to repetition operator: `*?`"),
        ("(|*)", "missing argument to repetition operator: `*`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        ("a{99999999999}", "invalid repeat count: `{99999999999}`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[a", "missing closing ]: `[a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\pX", r"invalid character class range: `\pX`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        (r"\p{L", r"invalid character class range: `\p{L`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\u0041", r"invalid escape sequence: `\u`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\x4", r"invalid escape sequence: `\x4`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        (r"a\", "trailing backslash at end of expression: ``"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<é>a)", "invalid named capture: `(?P<é>`"),
    ] {
        check_error(pattern, want);
    }
}

#[test]
fn limits_are_go_s() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Regex::new_anchored(&nested(999)).is_ok());
    let deep = nested(1000);
    check_error(&deep, &format!("expression nests too deeply: `{deep}`"));
    // Groups that capture nothing do not nest.
    let flat = format!("{}a{}", "(?:".repeat(20_000), ")".repeat(20_000));
    assert!(Regex::new_anchored(&flat).unwrap().is_match("a"));
    let large = r"(\pL{1000}x)".repeat(20);
    check_error(&large, &format!("expression too large: `{large}`"));
}

#[test]
fn reads_what_the_engine_s_own_syntax_would_read_otherwise() {
    for (pattern, yes, no) in [
        (r"\Qa.b\E+", "a.bb", "axb"),
        (r"\123", "S", "\u{7b}"),
        ("a{", "a{", "a"),
        ("a{,5}", "a{,5}", "aaa"),
        ("x{{y}}", "x{{y}}", "x"),
        (r"\d", "7", "\u{663}"),
        (r"\w", "a", "é"),
        (r"\s", "\t", "\u{b}"),
        (r"é\B.", "éé", "éa"),
        (r"\<a", "<a", "a"),
        ("[a&&b]", "&", "c"),
        ("[a~~b]", "~", "c"),
        ("[[a]b]", "[b]", "b"),
        ("[]a]", "]", "b"),
        ("(?i)k", "\u{212a}", "j"),
        ("(?i)[^s]", "a", "\u{17f}"),
        ("a(?i)*b", "aab", "aaB\n"),
        (".", "\n", "ab"),
        ("(?-s).", "a", "\n"),
        ("(?m)a$\n^b", "a\nb", "ab"),
        (r"\p{Lu}\p{^Greek}\PN", "Äab", "Äα1"),
        (r"\p{ old-italic}", "\u{10300}", "a"),
        (r"\x{D800}|a", "a", "\u{fffd}"),
    ] {
        let regex = Regex::new_anchored(pattern).unwrap();
        assert!(regex.is_match(yes), "{pattern} {yes:?}");
        assert!(!regex.is_match(no), "{pattern} {no:?}");
    }
}

#[test]
fn plans_mean_what_the_engine_means() {
    let texts = [
        "", "a", "ab", "abc", "xaby", "aa", "ba", "bab", "a\nb", "foo", "foo-bar", "foo-", "-bar",
        "foofoo", "éa", "aé", "é",
    ];
    for pattern in [
        "",
        "a",
        ".*",
        ".+",
        "(.*)",
        "a|b|ab",
        "foo-(bar)?",
        "a.*",
        "a.+",
        ".*a",
        ".+a",
        ".*a.*",
        ".+a.+",
        "a.*b",
        "a.+b",
        "foo.*foo",
        "fo.*oo",
        ".*a.*b.*",
        ".*a.+b",
        "(foo|b).*",
        ".*(a|b)",
        "[a-c]",
        "^a$",
        "a?b?",
        "(a|)(b|)",
        ".*.+",
        ".+.+",
        "foo.*-.*bar",
        "(?i)AB",
        ".+|",
        "x.*y|a.*",
        "^",
        "$",
        "a$b",
        ".*^a",
        "(?U).*a",
        "[^a].*",
    ] {
        let regex = Regex::new_anchored(pattern).unwrap();
        let engine = regex_automata::meta::Regex::new(&format!("^(?s:{pattern})$")).unwrap();
        for text in texts {
            assert_eq!(
                regex.is_match(text),
                engine.is_match(text),
                "{pattern} {text:?}"
            );
            assert_eq!(regex.captures(text).is_some(), engine.is_match(text));
        }
    }
}

#[test]
fn finds_literal_sets_and_prefixes() {
    for (pattern, set, prefix) in [
        ("b|a|a", Some(vec!["a", "b"]), ""),
        ("x(1|2)?", Some(vec!["x", "x1", "x2"]), "x"),
        ("^a[bc]$", Some(vec!["ab", "ac"]), "a"),
        ("", Some(vec![""]), ""),
        ("foo", Some(vec!["foo"]), "foo"),
        ("foo.*", None, "foo"),
        ("(fo)o.*", None, "foo"),
        (".*", None, ""),
        ("(?i)foo", None, ""),
    ] {
        let regex = Regex::new_anchored(pattern).unwrap();
        let set: Option<Vec<String>> = set.map(|set| set.into_iter().map(str::to_owned).collect());
        if !pattern.starts_with("(?i)") {
            assert_eq!(regex.literal_set(), set.as_deref(), "{pattern}");
        }
        assert_eq!(regex.literal_prefix(), prefix, "{pattern}");
    }
    let many: Vec<String> = (0..2_000).map(|i| format!("pod-{i:04}")).collect();
    let regex = Regex::new_anchored(&many.join("|")).unwrap();
    assert_eq!(regex.literal_set(), Some(many.as_slice()));
    assert!(regex.is_match("pod-1999") && !regex.is_match("pod-2000"));
}

#[test]
fn expands_templates() {
    for (pattern, text, template, want) in [
        ("(.*)", "x", "$1-${1}-$0-$$-$2", Some("x-x-x-$-")),
        ("(a)(?P<n>b)?", "a", "[$1$n]", Some("[a]")),
        ("(?P<n>a)|(?P<n>b)", "b", "$n", Some("b")),
        ("a(.)", "b", "$1", None),
        ("(a)b", "ab", "$1x|$1|${1}x|$", Some("|a|ax|$")),
        ("(a){0}b", "b", "<$1>", Some("<>")),
    ] {
        let regex = Regex::new_anchored(pattern).unwrap();
        assert_eq!(regex.expand(text, template).as_deref(), want, "{pattern}");
    }
}

#[test]
fn spliced_patterns_may_leave_their_group() {
    let regex = Regex::new_spliced("a)|(b").unwrap();
    assert!(regex.is_match("ax") && regex.is_match("xb") && !regex.is_match("xa"));
    assert_eq!(regex.as_str(), "a)|(b");
    assert_eq!(regex.replace_all("axb", "<$0$1>"), "<a>x<bb>");
    for (pattern, want) in [
        ("a(", "error parsing regexp: missing closing ): `^(?s:a()$`"),
        (
            r"\Qa",
            r"error parsing regexp: missing closing ): `^(?s:\Qa)$`",
        ),
        ("a)", "error parsing regexp: unexpected ): `^(?s:a))$`"),
    ] {
        assert_eq!(Regex::new_spliced(pattern).unwrap_err().0, want);
    }
}

#[test]
fn equal_by_pattern() {
    assert_eq!(Regex::any(), Regex::new_anchored("(.*)").unwrap());
    assert_ne!(Regex::any(), Regex::new_anchored(".*").unwrap());
    assert!(Regex::any().matches_everything());
}
