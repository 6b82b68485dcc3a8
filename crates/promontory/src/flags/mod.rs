//! The command line: Prometheus's flags, spelled and refused as Prometheus does.
//!
//! One table ([`table::FLAGS`]) holds name, kind, default, help and effect of each; parsing, help
//! and `/api/v1/status/flags` read it. `--name=value`, `--name value`, `--bool` and `--no-bool` are
//! what its parser knows, and a flag that is not repeated may stand only once. A flag that does
//! nothing here is accepted with a warning; one whose silent loss would hurt is refused.

mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use self::table::{AGENT_FLAGS, FLAGS};

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    /// `1h30m`
    Duration,
    /// `512MB`, powers of two
    Size,
    Count,
    Float,
    OneOf(&'static [&'static str]),
}

/// What setting a flag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Works,
    /// Nothing, and this is why.
    Nothing(&'static str),
    /// The server does not start with another value than the default.
    Refused(&'static str),
}

/// One flag.
#[derive(Debug, Clone, Copy)]
struct Flag {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
    effect: Effect,
    /// Left out of the help.
    hidden: bool,
    repeated: bool,
}

/// The values of all flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flags {
    values: BTreeMap<&'static str, Vec<String>>,
    given: Vec<&'static str>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run the server.
    Serve(Flags),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Why the command line was refused: the text for standard error, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) exit_code: u8,
}

fn refuse(message: impl Into<String>) -> Refusal {
    let message = message.into();
    Refusal {
        message: format!(
            "Error parsing command line arguments: {message}\npromontory: error: {message}"
        ),
        exit_code: 2,
    }
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[String]) -> Result<Request, Refusal> {
    let mut flags = Flags {
        values: BTreeMap::new(),
        given: Vec::new(),
    };
    let mut agent_flags = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Request::Help),
            "--version" => return Ok(Request::Version),
            _ => {}
        }
        let Some(long) = argument.strip_prefix("--") else {
            return Err(refuse(match argument.strip_prefix('-') {
                Some(short) if !short.is_empty() => {
                    format!(
                        "unknown short flag '-{}'",
                        short.chars().next().unwrap_or(' ')
                    )
                }
                _ => format!("unexpected {argument}"),
            }));
        };
        let (name, inline) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        if AGENT_FLAGS.contains(&name) {
            agent_flags.push(format!("\"--{name}\""));
            if inline.is_none() {
                rest.next();
            }
            continue;
        }
        let (flag, negated) = find(name)?;
        let value = match (flag.kind, inline) {
            (Kind::Bool, None) => (!negated).to_string(),
            (_, Some(_)) if negated => {
                return Err(refuse(format!("unknown long flag '--{name}'")));
            }
            (_, Some(value)) => value,
            (_, None) => rest
                .next()
                .cloned()
                .ok_or_else(|| refuse(format!("expected argument for flag '--{name}'")))?,
        };
        check(flag, &value)?;
        if flags.given.contains(&flag.name) && !flag.repeated {
            return Err(refuse(format!("flag '{name}' cannot be repeated")));
        }
        flags.given.push(flag.name);
        flags.values.entry(flag.name).or_default().push(value);
    }
    if !agent_flags.is_empty() {
        let list = agent_flags.join(" ");
        let message = format!("The following flag(s) can only be used in agent mode: [{list}]");
        return Err(Refusal {
            message,
            exit_code: 3,
        });
    }
    for flag in FLAGS {
        if let Effect::Refused(why) = flag.effect
            && flags.given.contains(&flag.name)
            && flags.text(flag.name) != flag.default
        {
            return Err(refuse(format!("flag '--{}': {why}", flag.name)));
        }
    }
    Ok(Request::Serve(flags))
}

/// The flag of this name, and whether the name negates it.
fn find(name: &str) -> Result<(&'static Flag, bool), Refusal> {
    if let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) {
        return Ok((flag, false));
    }
    let positive = name.strip_prefix("no-");
    FLAGS
        .iter()
        .find(|flag| flag.kind == Kind::Bool && Some(flag.name) == positive)
        .map(|flag| (flag, true))
        .ok_or_else(|| refuse(format!("unknown long flag '--{name}'")))
}

fn check(flag: &Flag, value: &str) -> Result<(), Refusal> {
    let wrong = |detail: String| Err(refuse(detail));
    match flag.kind {
        Kind::Text => Ok(()),
        Kind::Bool if value == "true" || value == "false" => Ok(()),
        Kind::Bool => wrong(format!(
            "strconv.ParseBool: parsing {value:?}: invalid syntax"
        )),
        Kind::Duration => match model::parse_duration_ms(value) {
            Ok(_) => Ok(()),
            Err(error) => wrong(error.to_string()),
        },
        Kind::Size => match size_bytes(value) {
            Some(_) => Ok(()),
            None => wrong(format!("units: unknown unit or invalid size in {value}")),
        },
        Kind::Count => match value.parse::<u64>() {
            Ok(_) => Ok(()),
            Err(_) => wrong(format!(
                "strconv.ParseInt: parsing {value:?}: invalid syntax"
            )),
        },
        Kind::Float => match value.parse::<f64>() {
            Ok(_) => Ok(()),
            Err(_) => wrong(format!(
                "strconv.ParseFloat: parsing {value:?}: invalid syntax"
            )),
        },
        Kind::OneOf(choices) if choices.contains(&value) => Ok(()),
        Kind::OneOf(choices) => wrong(format!(
            "enum value must be one of {}, got '{value}'",
            choices.join(",")
        )),
    }
}

/// `512MB` in bytes, by powers of two.
fn size_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u32); 7] = [
        ("EB", 60),
        ("PB", 50),
        ("TB", 40),
        ("GB", 30),
        ("MB", 20),
        ("KB", 10),
        ("B", 0),
    ];
    if text == "0" {
        return Some(0);
    }
    let (digits, shift) = UNITS.iter().find_map(|(unit, shift)| {
        let digits = text
            .strip_suffix(unit)
            .or_else(|| text.strip_suffix(&unit.replace('B', "iB")));
        digits.map(|digits| (digits, *shift))
    })?;
    let count: f64 = digits
        .parse()
        .ok()
        .filter(|c: &f64| c.is_finite() && *c >= 0.0)?;
    let bytes = count * (1u64 << shift) as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

impl Flags {
    fn flag(name: &str) -> &'static Flag {
        FLAGS
            .iter()
            .find(|flag| flag.name == name)
            .expect("callers name flags of the table")
    }

    /// All values of a repeatable flag.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        match self.values.get(name) {
            Some(values) => values.iter().map(String::as_str).collect(),
            None => vec![Self::flag(name).default],
        }
    }

    /// The value as written, or the default.
    pub(crate) fn text(&self, name: &str) -> &str {
        let default = Self::flag(name).default;
        self.values
            .get(name)
            .and_then(|values| values.last())
            .map_or(default, String::as_str)
    }

    /// The value of a switch.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// A duration in milliseconds; `None` if the flag has no value.
    pub(crate) fn duration_ms(&self, name: &str) -> Option<i64> {
        model::parse_duration_ms(self.text(name)).ok()
    }

    /// A size in bytes; 0 if the flag has no value.
    pub(crate) fn bytes(&self, name: &str) -> u64 {
        size_bytes(self.text(name)).unwrap_or(0)
    }

    /// A count.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Whether the command line named the flag.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// What to warn of: flags that were given and do nothing.
    pub(crate) fn without_effect(&self) -> Vec<(&'static str, &'static str)> {
        let given = FLAGS.iter().filter(|flag| self.is_given(flag.name));
        given
            .filter_map(|flag| match flag.effect {
                Effect::Nothing(why) => Some((flag.name, why)),
                _ => None,
            })
            .collect()
    }

    /// Every flag with its value, as `/api/v1/status/flags` shows them.
    pub(crate) fn map(&self) -> BTreeMap<String, String> {
        FLAGS
            .iter()
            .map(|flag| (flag.name.to_owned(), self.all(flag.name).join(",")))
            .collect()
    }
}

/// The help text.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "usage: promontory [<flags>]\n       promontory tsdb <command> [<args> ...]\n\nThe Promontory monitoring server: a drop-in for Prometheus.\n\n\
         Flags:\n  -h, --help\n        Show this help.\n      --version\n        Show the version.\n",
    );
    for flag in FLAGS.iter().filter(|flag| !flag.hidden) {
        let name = match flag.kind {
            Kind::Bool => format!("--[no-]{}", flag.name),
            _ => format!(
                "--{}=\"{}\"{}",
                flag.name,
                flag.default,
                if flag.repeated { " ..." } else { "" }
            ),
        };
        let note = if matches!(flag.effect, Effect::Nothing(_)) {
            "No effect. "
        } else {
            ""
        };
        let _ = writeln!(text, "      {name}\n        {note}{}", flag.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Request, Refusal> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments)
    }

    fn flags(line: &str) -> Flags {
        match run(line) {
            Ok(Request::Serve(flags)) => flags,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_operators_use_today() {
        let flags = flags(
            "--config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path /data \
             --storage.tsdb.retention.time=30d --storage.tsdb.retention.size=512MB \
             --web.listen-address=:9090 --web.listen-address=127.0.0.1:9091 \
             --web.enable-lifecycle --no-storage.tsdb.no-lockfile --query.timeout=90s \
             --storage.tsdb.wal-compression --log.level=debug",
        );
        assert_eq!(flags.text("config.file"), "/etc/prometheus/prometheus.yml");
        assert_eq!(flags.text("storage.tsdb.path"), "/data");
        assert_eq!(
            flags.duration_ms("storage.tsdb.retention.time"),
            Some(30 * 86_400_000)
        );
        assert_eq!(flags.bytes("storage.tsdb.retention.size"), 512 << 20);
        assert_eq!(flags.all("web.listen-address"), [":9090", "127.0.0.1:9091"]);
        assert!(flags.is_on("web.enable-lifecycle") && !flags.is_on("storage.tsdb.no-lockfile"));
        assert_eq!(flags.duration_ms("query.timeout"), Some(90_000));
        assert_eq!(flags.count("query.max-samples"), 50_000_000);
        assert_eq!(flags.duration_ms("storage.tsdb.max-block-duration"), None);
        assert_eq!(
            flags.without_effect(),
            [("storage.tsdb.wal-compression", OWN)]
        );
        assert_eq!(flags.map()["query.lookback-delta"], "5m");
    }

    const OWN: &str = "Storage here has its own format, which has no such setting.";

    #[test]
    fn refusals_are_those_of_prometheus() {
        for (line, message, exit_code) in [
            ("--foo", "unknown long flag '--foo'", 2),
            (
                "--no-config.file=x",
                "unknown long flag '--no-config.file'",
                2,
            ),
            ("-x", "unknown short flag '-x'", 2),
            ("extra", "unexpected extra", 2),
            (
                "--config.file",
                "expected argument for flag '--config.file'",
                2,
            ),
            (
                "--query.timeout=abc",
                "not a valid duration string: \"abc\"",
                2,
            ),
            (
                "--query.max-samples=x",
                "strconv.ParseInt: parsing \"x\": invalid syntax",
                2,
            ),
            (
                "--log.level=loud",
                "enum value must be one of debug,info,warn,error, got 'loud'",
                2,
            ),
            (
                "--config.file=a --config.file=b",
                "flag 'config.file' cannot be repeated",
                2,
            ),
            (
                "--web.config.file=w.yml",
                "flag '--web.config.file': TLS and authentication of this server are not supported yet.",
                2,
            ),
            (
                "--agent",
                "flag '--agent': Agent mode is not supported yet.",
                2,
            ),
        ] {
            let refusal = run(line).unwrap_err();
            let expected = format!(
                "Error parsing command line arguments: {message}\npromontory: error: {message}"
            );
            assert_eq!(
                (refusal.message, refusal.exit_code),
                (expected, exit_code),
                "{line}"
            );
        }
        let refusal = run("--storage.agent.path=x").unwrap_err();
        assert_eq!(
            refusal.message,
            "The following flag(s) can only be used in agent mode: [\"--storage.agent.path\"]"
        );
        assert_eq!(refusal.exit_code, 3);
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("0B", Some(0)),
            ("1KB", Some(1 << 10)),
            ("1.5GB", Some(3 << 29)),
            ("2TiB", Some(2 << 40)),
            ("12", None),
            ("-1MB", None),
            ("MB", None),
        ] {
            assert_eq!(size_bytes(text), bytes, "{text}");
        }
    }

    #[test]
    fn help_and_version_win() {
        assert_eq!(run("--config.file=x -h"), Ok(Request::Help));
        assert_eq!(run("--version --foo"), Ok(Request::Version));
        assert!(help().contains("--[no-]web.enable-lifecycle"));
        assert!(!help().contains("min-block-duration"));
    }
}
