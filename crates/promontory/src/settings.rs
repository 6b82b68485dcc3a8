//! The command line, resolved: types instead of texts, checked against each other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::flags::{Flags, Refusal};

/// How this server is seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalUrl {
    pub(crate) scheme: String,
    /// Host, with port if there is one.
    pub(crate) host: String,
    /// Without a slash at the end; empty for the root.
    pub(crate) path: String,
}

impl ExternalUrl {
    pub(crate) fn text(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The configuration file; `None` for the built-in configuration.
    pub(crate) config_file: Option<PathBuf>,
    /// How often a changed file is looked for; `None` for never.
    pub(crate) auto_reload: Option<Duration>,
    pub(crate) listen_addresses: Vec<String>,
    pub(crate) external_url: ExternalUrl,
    /// Begins with a slash, does not end with one; empty for the root.
    pub(crate) route_prefix: String,
    pub(crate) features: Vec<String>,
}

/// The least time between two looks at the configuration files.
const AUTO_RELOAD_MIN: Duration = Duration::from_secs(1);

impl Settings {
    /// Resolves the flags. `host_name` is this machine's, for links.
    pub(crate) fn resolve(flags: &Flags, host_name: &str) -> Result<Settings, Refusal> {
        let config_file = Path::new(flags.text("config.file"));
        let built_in = !flags.is_given("config.file") && !config_file.exists();
        let listen_addresses: Vec<String> = flags
            .all("web.listen-address")
            .iter()
            .map(|address| (*address).to_owned())
            .collect();
        let external_url = external_url(
            flags.text("web.external-url"),
            &listen_addresses[0],
            host_name,
        )?;
        let route_prefix = match flags.text("web.route-prefix") {
            "" => external_url.path.clone(),
            given => clean_path(given),
        };
        let auto_reload = flags
            .is_on("config.auto-reload")
            .then(|| duration(flags, "config.auto-reload-interval").max(AUTO_RELOAD_MIN));
        let feature_lists = flags.all("enable-feature");
        let features = feature_lists.iter().flat_map(|list| list.split(','));
        Ok(Settings {
            config_file: (!built_in).then(|| config_file.to_path_buf()),
            auto_reload,
            listen_addresses,
            external_url,
            route_prefix,
            features: features
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// A duration flag that has a default.
pub(crate) fn duration(flags: &Flags, name: &str) -> Duration {
    let ms = flags.duration_ms(name).unwrap_or(0);
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// How often the log is synced, zero for before each append returns.
pub(crate) fn wal_sync_interval(flags: &Flags) -> Duration {
    match flags.text("storage.wal.fsync") {
        "commit" => Duration::ZERO,
        _ => duration(flags, "storage.wal.fsync-interval"),
    }
}

/// `/a/b`, or nothing for the root.
fn clean_path(path: &str) -> String {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        String::new()
    } else {
        format!("/{trimmed}")
    }
}

fn external_url(text: &str, listen: &str, host_name: &str) -> Result<ExternalUrl, Refusal> {
    if text.is_empty() {
        let port = listen.rsplit_once(':').map_or("9090", |(_, port)| port);
        let host = format!("{host_name}:{port}");
        return Ok(ExternalUrl {
            scheme: "http".to_owned(),
            host,
            path: String::new(),
        });
    }
    let refuse = |why: &str| Refusal {
        message: format!(
            "parse external URL {}: {why}",
            gocompat::strconv::quote(text)
        ),
        exit_code: 2,
    };
    if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
        return Err(refuse("URL must not begin or end with quotes"));
    }
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| refuse("it has no scheme: write http://host/path"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.is_empty() || !matches!(scheme, "http" | "https") {
        return Err(refuse("only http and https URLs with a host are possible"));
    }
    Ok(ExternalUrl {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        path: clean_path(path),
    })
}

/// `:9090`, `localhost:9090` or `[::1]:9090` as something to bind: an empty host is every address.
pub(crate) fn bind_address(text: &str) -> Result<Vec<SocketAddr>, String> {
    use std::net::ToSocketAddrs as _;
    let full = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    full.to_socket_addrs()
        .map(Iterator::collect)
        .map_err(|error| format!("listen tcp: address {text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Request, parse};

    fn flags(line: &str) -> Flags {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&arguments) {
            Ok(Request::Serve(flags)) => flags,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn resolve(line: &str) -> Result<Settings, Refusal> {
        Settings::resolve(&flags(line), "box")
    }

    #[test]
    fn the_log_is_synced_as_the_flags_say() {
        for (line, ms) in [
            ("", 1_000),
            ("--storage.wal.fsync=interval", 1_000),
            ("--storage.wal.fsync-interval=250ms", 250),
            ("--storage.wal.fsync=commit", 0),
            (
                "--storage.wal.fsync=commit --storage.wal.fsync-interval=5s",
                0,
            ),
        ] {
            assert_eq!(wal_sync_interval(&flags(line)).as_millis(), ms, "{line}");
        }
    }

    #[test]
    fn links_and_prefixes() {
        for (line, url, prefix) in [
            ("", "http://box:9090", ""),
            ("--web.listen-address=:80", "http://box:80", ""),
            (
                "--web.external-url=https://m.example/prom/",
                "https://m.example/prom",
                "/prom",
            ),
            (
                "--web.external-url=http://m/a --web.route-prefix=/",
                "http://m/a",
                "",
            ),
            (
                "--web.external-url=http://m/a --web.route-prefix=b/c/",
                "http://m/a",
                "/b/c",
            ),
        ] {
            let settings = resolve(line).unwrap();
            assert_eq!(settings.external_url.text(), url, "{line}");
            assert_eq!(settings.route_prefix, prefix, "{line}");
        }
        for line in [
            "--web.external-url=nohost",
            "--web.external-url='http://x'",
            "--web.external-url=ftp://x",
        ] {
            assert_eq!(resolve(line).unwrap_err().exit_code, 2, "{line}");
        }
    }

    #[test]
    fn a_missing_default_file_means_the_built_in_configuration() {
        assert_eq!(resolve("").unwrap().config_file, None);
        let given = resolve("--config.file=prometheus.yml").unwrap().config_file;
        assert_eq!(given, Some(PathBuf::from("prometheus.yml")));
    }

    #[test]
    fn auto_reload_is_off_or_at_least_a_second() {
        assert_eq!(resolve("").unwrap().auto_reload, None);
        let line = "--config.auto-reload --config.auto-reload-interval=10ms";
        assert_eq!(
            resolve(line).unwrap().auto_reload,
            Some(Duration::from_secs(1))
        );
        let line = "--config.auto-reload --enable-feature=a,b --enable-feature=c";
        let settings = resolve(line).unwrap();
        assert_eq!(settings.auto_reload, Some(Duration::from_secs(30)));
        assert_eq!(settings.features, ["a", "b", "c"]);
    }

    #[test]
    fn addresses_to_bind() {
        assert_eq!(
            bind_address(":80").unwrap(),
            ["0.0.0.0:80".parse().unwrap()]
        );
        assert_eq!(
            bind_address("[::1]:80").unwrap(),
            ["[::1]:80".parse().unwrap()]
        );
        assert!(bind_address("nonsense").is_err());
    }
}
