//! Queries that are refused, and what users see then.

use promql_syntax::{ParseOptions, parse};

/// With everything switched on.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("", "unknown position: no expression found in input"),
    (" ", "1:1: no expression found in input"),
    ("\n", "1:1: no expression found in input"),
    ("# only a comment", "1:1: no expression found in input"),
    ("(", "1:2: unclosed left parenthesis"),
    (")", "1:2: unexpected right parenthesis ')'"),
    ("()", r#"1:2: unexpected ")""#),
    ("(1", "1:3: unclosed left parenthesis"),
    ("1)", "1:3: unexpected right parenthesis ')'"),
    ("((1)", "1:5: unclosed left parenthesis"),
    ("1 +", "1:4: unexpected end of input"),
    ("* 1", "1:1: unexpected <op:*>"),
    ("1 1", r#"1:3: unexpected number "1""#),
    ("up up", r#"1:4: unexpected identifier "up""#),
    ("up,", r#"1:3: unexpected ",""#),
    ("up;", "1:3: unexpected character: ';'"),
    ("up$", "1:3: unexpected character: '$'"),
    ("a = b", r#"1:3: unexpected "=""#),
    ("a =~ b", "1:3: unexpected character after '=': '~'"),
    ("a ! b", "1:3: unexpected character after '!': ' '"),
    ("a & b", "1:3: unexpected character: '&'"),
    ("a | b", "1:3: unexpected character: '|'"),
    (r#""unterminated"#, "1:1: unterminated quoted string"),
    ("'unterminated", "1:1: unterminated quoted string"),
    ("`unterminated", "1:1: unterminated raw string"),
    ("\"line\nbreak", "1:1: unterminated quoted string"),
    (r#""\q""#, "1:1: unknown escape sequence U+0071 'q'"),
    (r#""\x4""#, r#"1:1: illegal character U+0022 '"' in escape sequence"#),
    (r#""\xzz""#, "1:1: illegal character U+007A 'z' in escape sequence"),
    (r#""\400""#, "1:1: escape sequence is an invalid Unicode code point"),
    (r#""\ud800""#, "1:1: escape sequence is an invalid Unicode code point"),
    (r#""\U00110000""#, "1:1: escape sequence is an invalid Unicode code point"),
    (r#""\"#, "1:1: escape sequence not terminated"),
    ("1a", r#"1:1: bad number or duration syntax: "1""#),
    ("1.2.3", r#"1:1: bad number or duration syntax: "1.2.""#),
    ("1e", r#"1:1: bad number or duration syntax: "1e""#),
    ("1e+", r#"1:1: bad number or duration syntax: "1e+""#),
    ("1_", r#"1:1: bad number or duration syntax: "1_""#),
    ("1__0", r#"1:1: bad number or duration syntax: "1__""#),
    ("0x", r#"1:1: error parsing number: strconv.ParseFloat: parsing "0x": invalid syntax"#),
    ("0x1.8", r#"1:1: bad number or duration syntax: "0x1.""#),
    ("1..2", r#"1:1: bad number or duration syntax: "1..""#),
    ("5mm", r#"1:1: bad number or duration syntax: "5mm""#),
    ("5m5h", r#"1:1: not a valid duration string: "5m5h""#),
    ("1h1h", r#"1:1: not a valid duration string: "1h1h""#),
    ("5y1hs", r#"1:1: unknown unit "hs" in duration "5y1hs""#),
    ("1s5y", r#"1:1: bad number or duration syntax: "1s5""#),
    ("1e999", r#"1:1: error parsing number: strconv.ParseFloat: parsing "1e999": value out of range"#),
    ("0b2", r#"1:1: bad number or duration syntax: "0""#),
    ("5x", r#"1:1: bad number or duration syntax: "5""#),
    ("up[", "1:4: unexpected end of input in duration expression"),
    ("up[5m", "1:6: unclosed left bracket"),
    ("up]", "1:3: unexpected right bracket ']'"),
    ("up[]", r#"1:4: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[abc]", "1:4: unexpected character in duration expression: 'a'"),
    ("up[5m:", "1:7: unclosed left bracket"),
    ("up[:5m]", "1:5: unexpected colon before duration in duration expression"),
    ("up[5m:5m:5m]", "1:9: unexpected colon ':'"),
    ("up[5m 5m]", r#"1:7: unexpected duration "5m" in subquery or range, expected ":" or "]""#),
    ("up[5m)", "1:7: unexpected right parenthesis ')'"),
    ("up[5m +]", r#"1:8: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[5m:1m", "1:9: unclosed left bracket"),
    ("up[5m:1m 2m]", r#"1:10: unexpected duration "2m" in subquery selector, expected "]""#),
    ("up[5m:+]", r#"1:8: unexpected "]" in subquery selector, expected number, duration, step(), range(), or "]""#),
    ("up[5 m]", "1:6: unexpected character: 'm', expected ':'"),
    ("up[0]", "1:4: duration must be greater than 0"),
    ("up[0s]", "1:4: duration must be greater than 0"),
    ("up[-5m]", "1:4: duration must be greater than 0"),
    ("up[5m:0s]", "1:7: duration must be greater than 0"),
    ("up[5m:-1m]", "1:7: duration must be greater than 0"),
    (r#"up["5m"]"#, r#"1:4: unexpected character in duration expression: '"'"#),
    ("up[up[5m]]", "1:4: unexpected character in duration expression: 'u'"),
    ("up[1 / 0]", "1:6: division by zero"),
    ("up[1 % 0]", "1:6: modulo by zero"),
    ("up[300y]", "1:4: duration out of range"),
    ("up[stepp()]", "1:4: unexpected character in duration expression: 's'"),
    ("up[step]", r#"1:8: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[step(]", r#"1:9: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[max_of(1m)]", r#"1:13: unexpected ")" in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[max_of(1m,)]", r#"1:14: unexpected ")" in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[min_of(1m, 2m, 3m)]", r#"1:17: unexpected "," in subquery or range selector, expected number, duration, step(), or range()"#),
    ("up[5m][5m]", "1:7: ranges only allowed for vector selectors"),
    ("up offset", "1:10: unexpected end of input in offset, expected number, duration, step(), or range()"),
    ("up offset abc", r#"1:11: unexpected identifier "abc" in offset, expected number, duration, step(), or range()"#),
    (r#"up offset "5m""#, r#"1:11: unexpected string "\"5m\"" in offset, expected number, duration, step(), or range()"#),
    ("up offset (5m", "1:14: unclosed left parenthesis"),
    ("up offset start()", r#"1:11: unexpected "start" in offset, expected number, duration, step(), or range()"#),
    ("up offset 5m offset 5m", "1:1: offset may not be set multiple times"),
    ("up offset 5m[5m]", "1:13: no offset modifiers allowed before range"),
    ("up @ 5[5m]", "1:7: no @ modifiers allowed before range"),
    ("up @", "1:5: unexpected end of input in @, expected timestamp"),
    ("up @ abc", r#"1:6: unexpected identifier "abc" in @, expected timestamp"#),
    ("up @ start", "1:11: unexpected end of input in @, expected timestamp"),
    ("up @ start(", "1:12: unclosed left parenthesis"),
    ("up @ start(1)", r#"1:12: unexpected number "1" in @, expected timestamp"#),
    ("up @ inf", "1:1: timestamp out of bounds for @ modifier: +Inf"),
    ("up @ NaN", "1:1: timestamp out of bounds for @ modifier: NaN"),
    ("up @ 1e30", "1:1: timestamp out of bounds for @ modifier: 1000000000000000019884624838656.000000"),
    ("up @ 1 @ 2", "1:1: @ <timestamp> may not be set multiple times"),
    ("up @ start() @ end()", "1:1: @ <timestamp> may not be set multiple times"),
    ("up @ (1)", r#"1:6: unexpected "(" in @, expected timestamp"#),
    ("1 offset 5m", "1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    ("sum(up) offset 5m", "1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    ("(up) offset 5m", "1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    ("rate(up[5m]) @ 5", "1:1: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    (r#""x" offset 5m"#, "1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    ("5[5m]", "1:2: ranges only allowed for vector selectors"),
    ("sum(up)[5m]", "1:8: ranges only allowed for vector selectors"),
    ("(up)[5m]", "1:5: ranges only allowed for vector selectors"),
    ("up anchored smoothed", "1:1: anchored and smoothed modifiers cannot be used together"),
    ("up smoothed anchored", "1:1: anchored and smoothed modifiers cannot be used together"),
    ("up[1h:5m] anchored", "1:1: anchored modifier is not supported for subqueries"),
    ("sum(up) smoothed", "1:1: smoothed modifier not implemented"),
    ("1 anchored", "1:1: anchored modifier not implemented"),
    ("{", "1:2: unexpected end of input inside braces"),
    ("}", "1:1: unexpected character: '}'"),
    ("{}", "1:1: vector selector must contain at least one non-empty matcher"),
    ("up{", "1:4: unexpected end of input inside braces"),
    ("up{job", "1:7: unexpected end of input inside braces"),
    ("up{job=", "1:8: unexpected end of input inside braces"),
    (r#"up{job="api""#, "1:13: unexpected end of input inside braces"),
    (r#"up{job="api"}}"#, "1:14: unexpected character: '}'"),
    ("up{job=api}", r#"1:8: unexpected identifier "api" in label matching, expected string"#),
    (r#"up{job=="x"}"#, r#"1:8: unexpected "=" in label matching, expected string"#),
    (r#"up{job="a" instance="b"}"#, r#"1:12: unexpected identifier "instance" in label matching, expected "," or "}""#),
    (r#"up{job="a",,}"#, r#"1:12: unexpected "," in label matching, expected identifier or "}""#),
    (r#"up{,job="a"}"#, r#"1:4: unexpected "," in label matching, expected identifier or "}""#),
    (r#"up{1="a"}"#, "1:4: unexpected character inside braces: '1'"),
    (r#"up{="a"}"#, r#"1:4: unexpected "=" in label matching, expected identifier or "}""#),
    (r#"up{job>"a"}"#, "1:7: unexpected character inside braces: '>'"),
    ("up{job!a}", "1:7: unexpected character after '!' inside braces: 'a'"),
    (r#"up{job=~"("}"#, "1:4: error parsing regexp: missing closing ): `(`"),
    (r#"up{job=~"*a"}"#, "1:4: error parsing regexp: missing argument to repetition operator: `*`"),
    (r#"up{job!~"[z-a]"}"#, "1:4: error parsing regexp: invalid character class range: `z-a`"),
    (r#"up{{job="a"}}"#, "1:4: unexpected left brace '{'"),
    ("up{job=1}", "1:8: unexpected character inside braces: '1'"),
    (r#"up{"a" "b"}"#, r#"1:8: unexpected string "\"b\"" in label matching, expected "," or "}""#),
    (r#"up{"job"=}"#, r#"1:10: unexpected "}" in label matching, expected string"#),
    (r#"{job=""}"#, "1:1: vector selector must contain at least one non-empty matcher"),
    (r#"{job=~".*"}"#, "1:1: vector selector must contain at least one non-empty matcher"),
    (r#"{job!="a"}x"#, r#"1:11: unexpected identifier "x""#),
    (r#"{job!~".+"}"#, "1:1: vector selector must contain at least one non-empty matcher"),
    (r#"up{__name__="down"}"#, r#"1:1: metric name must not be set twice: "up" or "down""#),
    (r#"up{"down"}"#, r#"1:1: metric name must not be set twice: "up" or "down""#),
    (r#"up{é="x"}"#, "1:4: unexpected character inside braces: 'é'"),
    ("1 == 1", "1:3: comparisons between scalars must use BOOL modifier"),
    ("1 > 2", "1:3: comparisons between scalars must use BOOL modifier"),
    ("a + bool b", "1:3: bool modifier can only be used on comparison operators"),
    ("a and bool b", "1:3: bool modifier can only be used on comparison operators"),
    ("a == bool", "1:10: unexpected end of input"),
    ("1 and up", r#"1:1: set operator "and" not allowed in binary scalar expression"#),
    ("up or 1", r#"1:1: set operator "or" not allowed in binary scalar expression"#),
    ("1 unless 2", r#"1:1: set operator "unless" not allowed in binary scalar expression"#),
    (r#"up + "a""#, "1:6: binary expression must contain only scalar and instant vector types"),
    (r#""a" + "b""#, "1:1: binary expression must contain only scalar and instant vector types"),
    ("up + up[5m]", "1:6: binary expression must contain only scalar and instant vector types"),
    ("up[5m] and up", "1:1: binary expression must contain only scalar and instant vector types"),
    ("a + on b", r#"1:8: unexpected identifier "b" in grouping opts, expected "(""#),
    ("a + on (", "1:9: unclosed left parenthesis"),
    ("a + on (job b", r#"1:13: unexpected identifier "b" in grouping opts, expected "," or ")""#),
    ("a + on (job job) b", r#"1:13: unexpected identifier "job" in grouping opts, expected "," or ")""#),
    ("a + on (1) b", r#"1:9: unexpected number "1" in grouping opts, expected label"#),
    ("a + on (,) b", r#"1:9: unexpected "," in grouping opts, expected label"#),
    (r#"a + on ("") b"#, r#"1:9: invalid label name for grouping: """#),
    ("a + on (job) group_left", r#"1:24: unexpected end of input in grouping opts, expected "(""#),
    ("a + on (job) group_left (zone", "1:30: unclosed left parenthesis"),
    ("a + group_left b", "1:5: unexpected <group_left>"),
    ("a + ignoring (job) group_middle b", r#"1:33: unexpected identifier "b""#),
    ("a + on (job) group_left (job) b", r#"1:3: label "job" must not occur in ON and GROUP clause at once"#),
    ("a and on (job) group_left b", r#"1:1: no grouping allowed for "and" operation"#),
    ("a or ignoring (x) group_right (y) b", r#"1:1: no grouping allowed for "or" operation"#),
    ("1 + on (job) 2", "1:1: vector matching only allowed between instant vectors"),
    ("up + on (job) 2", "1:1: vector matching only allowed between instant vectors"),
    ("up > bool on (job) 2", "1:1: vector matching only allowed between instant vectors"),
    ("a and fill (1) b", "1:1: filling in missing series not allowed for set operators"),
    ("a + fill () b", r#"1:11: unexpected ")""#),
    ("a + fill (up) b", r#"1:11: unexpected identifier "up""#),
    ("a + fill (1 b", r#"1:13: unexpected identifier "b""#),
    ("a + fill_left (1) fill_left (2) b", r#"1:29: unexpected "(""#),
    ("1 + fill (1) 2", "1:1: filling in missing series only allowed between instant vectors"),
    ("a + fill (0) 1", "1:1: filling in missing series only allowed between instant vectors"),
    ("fill(1)", r#"1:5: unexpected "(""#),
    ("sum(", "1:5: unclosed left parenthesis"),
    ("sum()", "1:1: no arguments for aggregate expression provided"),
    ("sum(up", "1:7: unclosed left parenthesis"),
    ("sum(up,)", "1:7: trailing commas not allowed in function call args"),
    ("sum(up, up)", "1:1: wrong number of arguments for aggregate expression provided, expected 1, got 2"),
    ("sum(1)", "1:5: expected type instant vector in aggregation expression, got scalar"),
    (r#"sum("a")"#, "1:5: expected type instant vector in aggregation expression, got string"),
    ("sum(up[5m])", "1:5: expected type instant vector in aggregation expression, got range vector"),
    ("sum(up) by", r#"1:11: unexpected end of input in grouping opts, expected "(""#),
    ("sum by job (up)", r#"1:8: unexpected identifier "job" in grouping opts, expected "(""#),
    ("sum by (job up)", r#"1:13: unexpected identifier "up" in grouping opts, expected "," or ")""#),
    ("sum by (job) up", r#"1:14: unexpected identifier "up" in aggregation"#),
    ("sum by (job)", "1:13: unexpected end of input in aggregation"),
    ("sum by (job) ()", "1:1: no arguments for aggregate expression provided"),
    ("sum(up) by (job) without (x)", "1:18: unexpected <without>"),
    ("sum by (without) (up)", "1:9: unexpected <without> in grouping opts, expected label"),
    ("sum(up) x", r#"1:9: unexpected identifier "x""#),
    ("sum(foo bar)", r#"1:9: unexpected identifier "bar" in aggregation"#),
    ("topk(up)", "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    ("topk(5)", "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    (r#"topk("a", up)"#, "1:6: expected type scalar in aggregation parameter, got string"),
    ("topk(up, up)", "1:6: expected type scalar in aggregation parameter, got instant vector"),
    ("count_values(5, up)", "1:14: expected type string in aggregation parameter, got scalar"),
    ("count_values(up, up)", "1:14: expected type string in aggregation parameter, got instant vector"),
    ("quantile(0.5)", "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    (r#"sum by ("") (up)"#, r#"1:9: invalid label name for grouping: """#),
    ("unknown()", r#"1:1: unknown function with name "unknown""#),
    ("unknown(up)", r#"1:1: unknown function with name "unknown""#),
    ("Rate(up[5m])", r#"1:1: unknown function with name "Rate""#),
    ("rate(up)", r#"1:6: expected type range vector in call to function "rate", got instant vector"#),
    ("rate()", r#"1:1: expected 1 argument(s) in call to "rate", got 0"#),
    ("rate(up[5m], 1)", r#"1:1: expected 1 argument(s) in call to "rate", got 2"#),
    ("rate(up[5m],)", "1:12: trailing commas not allowed in function call args"),
    ("rate(,)", r#"1:6: unexpected ",""#),
    ("rate(up[5m]", "1:12: unclosed left parenthesis"),
    ("abs(1)", r#"1:5: expected type instant vector in call to function "abs", got scalar"#),
    ("abs(up[5m])", r#"1:5: expected type instant vector in call to function "abs", got range vector"#),
    ("round()", r#"1:1: expected at least 1 argument(s) in call to "round", got 0"#),
    ("round(up, 1, 2)", r#"1:1: expected at most 2 argument(s) in call to "round", got 3"#),
    ("hour(up, up)", r#"1:1: expected at most 1 argument(s) in call to "hour", got 2"#),
    ("time(1)", r#"1:1: expected 0 argument(s) in call to "time", got 1"#),
    ("label_replace(up)", r#"1:1: expected 5 argument(s) in call to "label_replace", got 1"#),
    (r#"label_replace(up, "a", "b", "c", 5)"#, r#"1:34: expected type string in call to function "label_replace", got scalar"#),
    ("label_join(up)", r#"1:1: expected at least 3 argument(s) in call to "label_join", got 1"#),
    (r#"label_join(up, "a", ",", up)"#, r#"1:26: expected type string in call to function "label_join", got instant vector"#),
    ("clamp(up, up, 1)", r#"1:11: expected type scalar in call to function "clamp", got instant vector"#),
    ("vector(up)", r#"1:8: expected type scalar in call to function "vector", got instant vector"#),
    ("scalar(1)", r#"1:8: expected type instant vector in call to function "scalar", got scalar"#),
    ("histogram_quantile(up, 0.9)", r#"1:20: expected type scalar in call to function "histogram_quantile", got instant vector"#),
    (r#"histogram_quantiles(h, "q", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)"#, r#"1:1: expected at most 12 argument(s) in call to "histogram_quantiles", got 13"#),
    ("info()", r#"1:1: expected at least 1 argument(s) in call to "info", got 0"#),
    ("info(up, up)", "1:10: expected label selectors only, got vector selector instead"),
    ("info(up, 1)", r#"1:1: expected type instant vector in call to function "info", got scalar"#),
    ("info(up, sum(up))", "1:10: expected label selectors only"),
    (r#"info(up, {a="b"}, 1)"#, r#"1:1: expected at most 2 argument(s) in call to "info", got 3"#),
    ("max_of(1)", r#"1:1: expected 2 argument(s) in call to "max_of", got 1"#),
    ("min_of(up, 1)", r#"1:8: expected type scalar in call to function "min_of", got instant vector"#),
    ("start(1)", r#"1:1: expected 0 argument(s) in call to "start", got 1"#),
    (r#"-"a""#, r#"1:1: unary expression only allowed on expressions of type scalar or instant vector, got "string""#),
    ("-up[5m]", r#"1:1: unary expression only allowed on expressions of type scalar or instant vector, got "range vector""#),
    ("+up[1h:5m]", r#"1:1: unary expression only allowed on expressions of type scalar or instant vector, got "range vector""#),
    ("1[5m:]", "1:1: subquery is only allowed on instant vector, got scalar instead"),
    (r#""a"[5m:]"#, "1:1: subquery is only allowed on instant vector, got string instead"),
    ("up[5m][1h:5m]", "1:1: subquery is only allowed on instant vector, got matrix instead"),
    ("time()[5m:1m]", "1:1: subquery is only allowed on instant vector, got scalar instead"),
    ("bool", "1:1: unexpected <bool>"),
    ("on", "1:1: unexpected <on>"),
    ("ignoring(a)", "1:1: unexpected <ignoring>"),
    ("atan2", "1:1: unexpected <op:atan2>"),
    ("group_left", "1:1: unexpected <group_left>"),
    ("inf(1)", r#"1:4: unexpected "(""#),
    ("sum(rate(up[5m])) by (job) > 5 and", "1:35: unexpected end of input"),
    (r#"foo{bar="baz"} offset 1s = 5"#, r#"1:26: unexpected "=""#),
    ("up é", "1:4: unexpected character: 'é'"),
    ("日本", "1:1: unexpected character: '日'"),
    (r#"up{日本="x"}"#, "1:4: unexpected character inside braces: '日'"),
    ("0b101", r#"1:1: bad number or duration syntax: "0""#),
    ("0o17", r#"1:1: bad number or duration syntax: "0""#),
    ("a + on (job) group_left (b)", "1:28: unexpected end of input"),
    ("a + bool", "1:9: unexpected end of input"),
];

#[track_caller]
fn check(query: &str, options: &ParseOptions, error: &str) {
    let found = match parse(query, options) {
        Ok(expr) => panic!("{query} is accepted as {expr}"),
        Err(found) => found.to_string(),
    };
    assert_eq!(found.replacen("parse error: ", "", 1), error, "{query}");
}

#[test]
fn say_what_is_wrong_and_where() {
    for (query, error) in REFUSED {
        check(query, &ParseOptions::ALL, error);
    }
}

/// With one thing switched off.
#[test]
fn name_what_is_switched_off() {
    let all = ParseOptions::ALL;
    let no_duration = ParseOptions {
        duration_expressions: false,
        ..all
    };
    let no_experimental = ParseOptions {
        experimental_functions: false,
        ..all
    };
    let no_extended = ParseOptions {
        extended_range_selectors: false,
        ..all
    };
    let no_binop = ParseOptions {
        binop_fill_modifiers: false,
        ..all
    };
    for (options, query, error) in [
        (
            no_duration,
            "up[5m * 2]",
            "1:4: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up[(5m)]",
            "1:5: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up[step()]",
            "1:4: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up offset (1m)",
            "1:12: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up offset range()",
            "1:11: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up offset -step()",
            "1:11: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up[max_of(1m, 2m)]",
            "1:11: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up[1h:5m + 1m]",
            "1:7: experimental duration expression is not enabled",
        ),
        (
            no_duration,
            "up[-step()]",
            "1:5: experimental duration expression is not enabled",
        ),
        (
            no_experimental,
            "limitk(5, up)",
            "1:1: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        (
            no_experimental,
            "limit_ratio(0.5, up)",
            "1:1: limit_ratio() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        (
            no_experimental,
            "info(up)",
            r#"1:1: function "info" is not enabled"#,
        ),
        (
            no_experimental,
            "sum(step())",
            r#"1:5: function "step" is not enabled"#,
        ),
        (
            no_experimental,
            "start()",
            r#"1:1: function "start" is not enabled"#,
        ),
        (
            no_experimental,
            "max_of(1, 2)",
            r#"1:1: function "max_of" is not enabled"#,
        ),
        (
            no_experimental,
            "mad_over_time(up[5m])",
            r#"1:1: function "mad_over_time" is not enabled"#,
        ),
        (
            no_extended,
            "up anchored",
            "1:1: anchored modifier is experimental and not enabled",
        ),
        (
            no_extended,
            "up[5m] smoothed",
            "1:1: smoothed modifier is experimental and not enabled",
        ),
        (
            no_extended,
            "sum(up) anchored",
            "1:1: anchored modifier is experimental and not enabled",
        ),
        (
            no_binop,
            "a + fill (0) b",
            "1:1: binop fill modifiers are experimental and not enabled",
        ),
        (
            no_binop,
            "a + on (x) fill_left (0) b",
            "1:1: binop fill modifiers are experimental and not enabled",
        ),
    ] {
        check(query, &options, error);
    }
    for query in ["up offset -(5m)", "up offset -5m", "up[5m]"] {
        assert!(parse(query, &no_duration).is_ok(), "{query}");
    }
}

#[test]
fn give_line_and_column() {
    let error = parse("sum(\n  up,\n  é[5m])", &ParseOptions::ALL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "3:3: parse error: unexpected character: 'é'"
    );
    assert_eq!(error.first().position, 13..20);
    let mut error = parse("up +", &ParseOptions::ALL).unwrap_err();
    error.shift_lines(6);
    assert_eq!(
        error.to_string(),
        "7:5: parse error: unexpected end of input"
    );
    let error = parse("", &ParseOptions::ALL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown position: parse error: no expression found in input"
    );
}

#[test]
fn list_all_mistakes_in_meaning() {
    let error = parse("rate(up) + abs(1) + time(1)", &ParseOptions::ALL).unwrap_err();
    let messages: Vec<String> = error.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "1:6: parse error: expected type range vector in call to function \"rate\", \
             got instant vector",
            "1:16: parse error: expected type instant vector in call to function \"abs\", \
             got scalar",
            "1:21: parse error: expected 0 argument(s) in call to \"time\", got 1",
        ]
    );
}
