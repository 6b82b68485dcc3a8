//! A server under test as a process of its own, and what the kernel counts for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// What one server has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU time in user and kernel mode.
    pub cpu_s: f64,
    /// Resident memory now.
    pub rss_bytes: u64,
    /// What of that is its own, and not of a file: mapped files are the page cache's, which the
    /// kernel takes back when anybody wants memory.
    pub own_bytes: u64,
    /// The most resident memory it ever had.
    pub rss_peak_bytes: u64,
    /// Bytes handed to `write` and its kin on files and sockets.
    pub written_bytes: u64,
    /// Bytes that the kernel sent to the disk.
    pub disk_written_bytes: u64,
}

/// A child process that is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// How it is called in reports.
    pub name: String,
    /// Where it answers HTTP.
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `binary` with `arguments`; its output goes to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        name: &str,
        binary: &Path,
        arguments: &[String],
        address: &str,
        log: &Path,
    ) -> anyhow::Result<Server> {
        let log =
            std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        Ok(Server {
            child,
            name: name.to_owned(),
            url: format!("http://{address}"),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until its `/-/ready` answers 200.
    ///
    /// # Errors
    /// If it ends or is not ready within `timeout`.
    pub async fn wait_ready(&mut self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + timeout;
        while tokio::time::Instant::now() < deadline {
            self.still_runs()?;
            if get(&format!("{}/-/ready", self.url))
                .await
                .is_ok_and(|(status, _)| status == 200)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{} is not ready after {timeout:?}", self.name)
    }

    /// Checks that it has not ended by itself.
    ///
    /// # Errors
    /// If it has.
    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}", self.name),
        }
    }

    /// Asks it to stop, as a service manager does, and returns how long that took.
    ///
    /// # Errors
    /// If it cannot be signalled, or still runs after `timeout`.
    pub async fn stop(&mut self, timeout: Duration) -> anyhow::Result<Duration> {
        let began = tokio::time::Instant::now();
        let signalled = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()
            .context("start kill")?;
        if !signalled.success() {
            bail!("{} cannot be signalled", self.name);
        }
        while began.elapsed() < timeout {
            if self.child.try_wait()?.is_some() {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{} has not stopped in {timeout:?}", self.name)
    }

    /// What it has cost so far.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        usage_of(self.pid())
    }

    /// Makes [`Usage::rss_peak_bytes`] begin anew at what is resident now.
    ///
    /// # Errors
    /// If the process is gone or another user's.
    pub fn reset_peak(&self) -> anyhow::Result<()> {
        let path = format!("/proc/{}/clear_refs", self.pid());
        // What the kernel takes 5 for: proc(5).
        std::fs::write(&path, "5").with_context(|| format!("write {path}"))
    }

    /// Looks at its own memory until `done`, and gives the most that was seen. Peaks of less than
    /// two milliseconds may be missed, but allocators keep for a while what they were given.
    ///
    /// # Errors
    /// If the process is gone.
    pub async fn own_peak_bytes<T>(
        &self,
        done: impl Future<Output = T>,
    ) -> anyhow::Result<(T, u64)> {
        let pid = self.pid();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let watching = tokio::task::spawn_blocking(move || {
            let mut most = 0;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                most = usage_of(pid).map_or(most, |usage| usage.own_bytes.max(most));
                std::thread::sleep(Duration::from_millis(2));
            }
            most
        });
        let result = done.await;
        let after = self.usage();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok((result, watching.await?.max(after?.own_bytes)))
    }

    /// Ends it without warning, as a crash would.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// A loopback address that is free now, for the server that is started next.
///
/// # Errors
/// If no port can be had.
pub fn free_address() -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// What a process has cost so far.
pub(crate) fn usage_of(pid: u32) -> anyhow::Result<Usage> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let stat = std::fs::read_to_string(proc.join("stat"))?;
    // The name in parentheses may hold spaces; fields are counted after it.
    let after = stat.rsplit_once(')').context("stat without a name")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| -> anyhow::Result<f64> {
        Ok(fields.get(at).context("stat too short")?.parse::<f64>()?)
    };
    let status = std::fs::read_to_string(proc.join("status"))?;
    let io = std::fs::read_to_string(proc.join("io"))?;
    Ok(Usage {
        cpu_s: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        rss_bytes: field(&status, "VmRSS:") * 1024,
        own_bytes: field(&status, "RssAnon:") * 1024,
        rss_peak_bytes: field(&status, "VmHWM:") * 1024,
        written_bytes: field(&io, "wchar:"),
        disk_written_bytes: field(&io, "write_bytes:"),
    })
}

/// `USER_HZ`, which Linux has fixed at 100 for user space.
const TICKS_PER_SECOND: f64 = 100.0;

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|l| l.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// A plain GET; returns status and body. Enough for measuring, not a client.
///
/// # Errors
/// If the server does not answer in ten seconds or not in HTTP.
pub async fn get(url: &str) -> anyhow::Result<(u16, String)> {
    get_within(url, Duration::from_secs(10)).await
}

/// As [`get`], for an answer that takes its time.
///
/// # Errors
/// If the server does not answer within `timeout` or not in HTTP.
pub async fn get_within(url: &str, timeout: Duration) -> anyhow::Result<(u16, String)> {
    let (_, status, body) = get_timed(url, timeout).await?;
    Ok((status, body))
}

/// As [`get_within`], with the time from the request to the last byte of the answer.
///
/// # Errors
/// As [`get_within`].
pub async fn get_timed(url: &str, timeout: Duration) -> anyhow::Result<(Duration, u16, String)> {
    tokio::time::timeout(timeout, get_inner(url))
        .await
        .context("no answer")?
}

async fn get_inner(url: &str) -> anyhow::Result<(Duration, u16, String)> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rest = url.strip_prefix("http://").context("only http")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let began = tokio::time::Instant::now();
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("no end of headers")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((took, status, body.to_owned()))
}
