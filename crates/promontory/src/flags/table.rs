//! Every flag of a Prometheus 3.14 server, with its default and what it does here, and a few that
//! only this server has.

use super::{Effect, Flag, Kind};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        kind,
        default,
        help,
        effect: Effect::Works,
        hidden: false,
        repeated: false,
    }
}

const fn no_effect(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    why: &'static str,
) -> Flag {
    Flag {
        effect: Effect::Nothing(why),
        ..flag(name, kind, default, why)
    }
}

const fn hidden(flag: Flag) -> Flag {
    Flag {
        hidden: true,
        ..flag
    }
}

const fn repeated(flag: Flag) -> Flag {
    Flag {
        repeated: true,
        ..flag
    }
}

const GO_RUNTIME: &str = "Tunes the Go runtime, which this server does not have.";
const NO_ALERTING: &str = "Alerting is not supported yet.";
const NO_REMOTE: &str = "Remote write and read are not supported yet.";
const OWN_FORMAT: &str = "Storage here has its own format, which has no such setting.";

/// The flags in the order of `--help`.
pub(super) const FLAGS: &[Flag] = &[
    flag(
        "config.file",
        Kind::Text,
        "prometheus.yml",
        "Configuration file. If the flag is not given and there is no prometheus.yml, a built-in configuration scrapes this server and its machine.",
    ),
    flag(
        "config.auto-reload",
        Kind::Bool,
        "false",
        "Reload the configuration when its files change.",
    ),
    flag(
        "config.auto-reload-interval",
        Kind::Duration,
        "30s",
        "How often --config.auto-reload looks; at least 1s.",
    ),
    repeated(flag(
        "web.listen-address",
        Kind::Text,
        "0.0.0.0:9090",
        "Address to listen on. Can be repeated.",
    )),
    no_effect("auto-gomaxprocs", Kind::Bool, "true", GO_RUNTIME),
    no_effect("auto-gomemlimit", Kind::Bool, "true", GO_RUNTIME),
    no_effect("auto-gomemlimit.ratio", Kind::Float, "0.9", GO_RUNTIME),
    no_effect(
        "auto-gomemlimit.refresh-interval",
        Kind::Duration,
        "0s",
        GO_RUNTIME,
    ),
    Flag {
        effect: Effect::Refused("TLS and authentication of this server are not supported yet."),
        ..flag("web.config.file", Kind::Text, "", "TLS and authentication.")
    },
    flag(
        "web.read-timeout",
        Kind::Duration,
        "5m",
        "Maximum duration of reading a request, and of an idle connection.",
    ),
    flag(
        "web.max-connections",
        Kind::Count,
        "512",
        "Maximum number of simultaneous connections over all listeners.",
    ),
    no_effect(
        "web.max-notifications-subscribers",
        Kind::Count,
        "16",
        "Live notifications are not supported yet.",
    ),
    flag(
        "web.external-url",
        Kind::Text,
        "",
        "URL under which this server is reachable from outside. Its path becomes the prefix of every route.",
    ),
    flag(
        "web.route-prefix",
        Kind::Text,
        "",
        "Prefix of every route. Default: the path of --web.external-url.",
    ),
    no_effect(
        "web.user-assets",
        Kind::Text,
        "",
        "User assets are not supported yet.",
    ),
    flag(
        "web.enable-lifecycle",
        Kind::Bool,
        "false",
        "Allow reload and shutdown by HTTP.",
    ),
    flag(
        "web.enable-admin-api",
        Kind::Bool,
        "false",
        "Allow the admin endpoints.",
    ),
    Flag {
        effect: Effect::Refused(NO_REMOTE),
        ..flag(
            "web.enable-remote-write-receiver",
            Kind::Bool,
            "false",
            "Accept remote write.",
        )
    },
    no_effect(
        "web.remote-write-receiver.accepted-protobuf-messages",
        Kind::Text,
        "prometheus.WriteRequest,io.prometheus.write.v2.Request",
        NO_REMOTE,
    ),
    Flag {
        effect: Effect::Refused("The OTLP receiver is not supported yet."),
        ..flag(
            "web.enable-otlp-receiver",
            Kind::Bool,
            "false",
            "Accept OTLP metrics.",
        )
    },
    no_effect(
        "web.console.templates",
        Kind::Text,
        "consoles",
        "Console templates are not supported yet.",
    ),
    no_effect(
        "web.console.libraries",
        Kind::Text,
        "console_libraries",
        "Console templates are not supported yet.",
    ),
    flag(
        "web.page-title",
        Kind::Text,
        "Promontory",
        "Title of the pages.",
    ),
    flag(
        "web.cors.origin",
        Kind::Text,
        ".*",
        "Regular expression of allowed CORS origins, fully anchored.",
    ),
    no_effect(
        "web.search.max-limit",
        Kind::Count,
        "10000",
        "The search API is not supported yet.",
    ),
    flag(
        "storage.tsdb.path",
        Kind::Text,
        "data/",
        "Folder of the data.",
    ),
    flag(
        "storage.memory-budget",
        Kind::Size,
        "",
        "Memory that series in the head, caches and queries share; 0 for no limit. When it gets short, caches shrink first, then queries are refused, then new series. Default: three quarters of what the machine or the control group has.",
    ),
    flag(
        "storage.head-series-limit",
        Kind::Count,
        "0",
        "Series that the head may hold; new ones beyond it are refused. 0 for no limit.",
    ),
    flag(
        "storage.target-new-series-limit",
        Kind::Count,
        "0",
        "New series that a target may bring within an hour, those of its first scrape included; more are refused. 0 for no limit.",
    ),
    flag(
        "storage.tsdb.retention.time",
        Kind::Duration,
        "",
        "How long samples are kept. 15d if neither time nor size is set. The configuration key storage.tsdb.retention.time wins.",
    ),
    flag(
        "storage.tsdb.retention.size",
        Kind::Size,
        "0B",
        "Bytes that the data may take, such as 512MB; powers of two. 0 is no limit.",
    ),
    flag(
        "storage.tsdb.no-lockfile",
        Kind::Bool,
        "false",
        "Do not lock the data folder.",
    ),
    flag(
        "storage.wal.fsync",
        Kind::OneOf(&["interval", "commit"]),
        "interval",
        "When the log is synced: every --storage.wal.fsync-interval, which is what a power cut can cost, or before each scrape counts as stored.",
    ),
    flag(
        "storage.wal.fsync-interval",
        Kind::Duration,
        "1s",
        "Time between two syncs of the log.",
    ),
    no_effect(
        "storage.tsdb.head-chunks-write-queue-size",
        Kind::Count,
        "0",
        OWN_FORMAT,
    ),
    no_effect(
        "storage.tsdb.delay-compact-file.path",
        Kind::Text,
        "",
        "Shipping of blocks is not supported yet.",
    ),
    hidden(flag(
        "storage.tsdb.min-block-duration",
        Kind::Duration,
        "2h",
        "Stretch of time of a new block.",
    )),
    hidden(flag(
        "storage.tsdb.max-block-duration",
        Kind::Duration,
        "",
        "Longest stretch of time of a compacted block.",
    )),
    hidden(no_effect(
        "storage.tsdb.max-block-chunk-segment-size",
        Kind::Size,
        "0B",
        OWN_FORMAT,
    )),
    hidden(flag(
        "storage.tsdb.wal-segment-size",
        Kind::Size,
        "0B",
        "Size of a segment of the log.",
    )),
    hidden(no_effect(
        "storage.tsdb.wal-compression",
        Kind::Bool,
        "true",
        OWN_FORMAT,
    )),
    hidden(no_effect(
        "storage.tsdb.wal-compression-type",
        Kind::OneOf(&["snappy", "zstd"]),
        "snappy",
        OWN_FORMAT,
    )),
    hidden(no_effect(
        "storage.tsdb.allow-overlapping-compaction",
        Kind::Bool,
        "true",
        OWN_FORMAT,
    )),
    hidden(no_effect(
        "storage.tsdb.samples-per-chunk",
        Kind::Count,
        "120",
        OWN_FORMAT,
    )),
    hidden(no_effect(
        "storage.tsdb.delayed-compaction.max-percent",
        Kind::Count,
        "10",
        OWN_FORMAT,
    )),
    hidden(no_effect(
        "storage.tsdb.block-reload-interval",
        Kind::Duration,
        "1m",
        OWN_FORMAT,
    )),
    no_effect(
        "storage.remote.flush-deadline",
        Kind::Duration,
        "1m",
        NO_REMOTE,
    ),
    no_effect(
        "storage.remote.read-sample-limit",
        Kind::Count,
        "50000000",
        NO_REMOTE,
    ),
    no_effect(
        "storage.remote.read-concurrent-limit",
        Kind::Count,
        "10",
        NO_REMOTE,
    ),
    no_effect(
        "storage.remote.read-max-bytes-in-frame",
        Kind::Count,
        "1048576",
        NO_REMOTE,
    ),
    no_effect(
        "rules.alert.for-outage-tolerance",
        Kind::Duration,
        "1h",
        NO_ALERTING,
    ),
    no_effect(
        "rules.alert.for-grace-period",
        Kind::Duration,
        "10m",
        NO_ALERTING,
    ),
    no_effect(
        "rules.alert.resend-delay",
        Kind::Duration,
        "1m",
        NO_ALERTING,
    ),
    no_effect(
        "rules.max-concurrent-evals",
        Kind::Count,
        "4",
        "Rules are not supported yet.",
    ),
    no_effect(
        "alertmanager.notification-queue-capacity",
        Kind::Count,
        "10000",
        NO_ALERTING,
    ),
    no_effect(
        "alertmanager.notification-batch-size",
        Kind::Count,
        "256",
        NO_ALERTING,
    ),
    no_effect(
        "alertmanager.drain-notification-queue-on-shutdown",
        Kind::Bool,
        "true",
        NO_ALERTING,
    ),
    flag(
        "query.lookback-delta",
        Kind::Duration,
        "5m",
        "How far back a query looks for the newest sample of a series.",
    ),
    flag(
        "query.timeout",
        Kind::Duration,
        "2m",
        "How long a query may take.",
    ),
    flag(
        "query.max-concurrency",
        Kind::Count,
        "20",
        "How many queries run at the same time.",
    ),
    flag(
        "query.max-samples",
        Kind::Count,
        "50000000",
        "How many samples a query may hold in memory.",
    ),
    flag(
        "query.max-memory-bytes",
        Kind::Size,
        "0B",
        "Memory that the samples and columns of one query may take; 0 for no limit but that of all queries.",
    ),
    hidden(flag(
        "scrape.adjust-timestamps",
        Kind::Bool,
        "true",
        "Align timestamps of scrapes that are only a little late.",
    )),
    hidden(flag(
        "scrape.timestamp-tolerance",
        Kind::Duration,
        "2ms",
        "How late is a little late.",
    )),
    hidden(flag(
        "scrape.discovery-reload-interval",
        Kind::Duration,
        "5s",
        "How often newly discovered targets are taken over.",
    )),
    repeated(flag(
        "enable-feature",
        Kind::Text,
        "",
        "Comma-separated feature names; unknown ones are logged.",
    )),
    Flag {
        effect: Effect::Refused("Agent mode is not supported yet."),
        ..flag("agent", Kind::Bool, "false", "Run as an agent.")
    },
    flag(
        "log.level",
        Kind::OneOf(&["debug", "info", "warn", "error"]),
        "info",
        "Only log messages of this severity or above.",
    ),
    flag(
        "log.format",
        Kind::OneOf(&["logfmt", "json"]),
        "logfmt",
        "Form of the log lines.",
    ),
];

/// Flags of agent mode: refused in server mode as Prometheus refuses them, with exit code 3.
pub(super) const AGENT_FLAGS: &[&str] = &[
    "storage.agent.path",
    "storage.agent.wal-compression",
    "storage.agent.retention.min-time",
    "storage.agent.retention.max-time",
    "storage.agent.no-lockfile",
    "storage.agent.checkpoint-from-in-memory-series",
    "storage.agent.checkpoint-batch-size",
    "storage.agent.wal-segment-size",
    "storage.agent.wal-compression-type",
    "storage.agent.wal-truncate-frequency",
];
