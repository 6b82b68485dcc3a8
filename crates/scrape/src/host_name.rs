//! The fully qualified name of this host, as far as its own files tell.
//!
//! It seeds the moments of scrapes, so all that matters is that it stays the same and differs
//! between hosts; no name server is asked, whose answer could come late or change.

use std::net::IpAddr;

/// The name that `/etc/hosts` gives first for an address of the kernel's host name; the host name
/// itself if there is none.
pub(crate) fn fully_qualified() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    qualified(name.trim(), &hosts).to_owned()
}

fn qualified<'a>(name: &'a str, hosts: &'a str) -> &'a str {
    let lines = || {
        hosts.lines().filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address: IpAddr = words.next()?.parse().ok()?;
            Some((address, words))
        })
    };
    let own = lines().find(|(_, names)| names.clone().any(|word| word == name));
    own.and_then(|(own, _)| lines().find(|(address, _)| *address == own))
        .and_then(|(_, mut names)| names.next())
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_name_of_the_address() {
        let hosts =
            "# local\n127.0.0.1 localhost\n127.0.1.1\tweb1.example.com web1 # me\n::1 ip6\n";
        assert_eq!(qualified("web1", hosts), "web1.example.com");
        assert_eq!(qualified("db1", hosts), "db1");
        assert_eq!(qualified("db1", "junk db1\n"), "db1");
    }
}
