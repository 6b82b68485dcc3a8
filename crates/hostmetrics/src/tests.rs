//! Pages of made-up machines, and of this one.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use clock::ManualClock;
use exposition::{CreatedSeries, Entry, Format, Parser, ParserOptions};

use super::*;
use crate::filesystem::Room;

const STAT: &str = "\
cpu  30 0 30 300 0 0 0 0 0 0
cpu0 10 1 20 200 5 6 7 8 2 1
cpu1 1049200 0 10 100
intr 5000 1 2 3
ctxt 70000
btime 1700000000
processes 900
procs_running 2
procs_blocked 1
softirq 1 2
";

const MEMINFO: &str = "\
MemTotal:       16000 kB
Active(anon):     100 kB
HugePages_Total:       3
";

const DISKSTATS: &str = "   7       0 loop0 1 0 0 0 0 0 0 0 0 0 0
 254       0 vda 10 1 200 3000 20 2 400 5000 1 6000 7000 8 9 10 11000 12 13000
 254       1 vda1 1 1 1 1 1 1 1 1 1 1 1
   8       0 sda 1 2 3 4 5 6 7 8 9 10 11
";

const NET_DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
  eth0:1000 2 3 4 5 6 7 8 9000 10 11 12 13 14 15 16
    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0
";

const MOUNTS: &str = "\
proc /proc proc rw 0 0
/dev/vda / ext4 rw,relatime 0 0
/dev/vdb /mnt/a\\040b xfs ro 0 0
/dev/vdb /mnt/a\\040b xfs ro 0 0
server:/x /mnt/gone nfs4 rw 0 0
";

/// A machine with these files, whose file systems all have the same room, but for `gone`.
fn page_of(files: &[(&str, &str)]) -> String {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut host = HostCollector::new(HostOptions {
        root: root.path().to_owned(),
        clock: ManualClock::at_ms(1_700_000_123_500),
    });
    host.filesystems.answer_time_max = Duration::from_secs(60);
    host.filesystems.ask = |path: &Path| {
        (!path.ends_with("gone")).then_some(Room {
            size_bytes: 4096.0,
            free_bytes: 2048.0,
            avail_bytes: 1024.0,
            files: 20.0,
            files_free: 10.0,
        })
    };
    let mut page = "before\n".to_owned();
    host.collect(&mut page);
    page.strip_prefix("before\n").unwrap().to_owned()
}

fn full_machine() -> String {
    page_of(&[
        ("proc/stat", STAT),
        ("proc/meminfo", MEMINFO),
        (
            "proc/vmstat",
            "nr_free_pages 1\npgpgin 5\npgmajfault 6\noom_kill 7\n",
        ),
        ("proc/loadavg", "0.10 1.5 2.25 1/100 1234\n"),
        ("proc/diskstats", DISKSTATS),
        ("proc/net/dev", NET_DEV),
        (
            "proc/net/netstat",
            "TcpExt: SyncookiesSent TW ListenDrops\nTcpExt: 1 2 3\nIpExt: InOctets\nIpExt: 4\n",
        ),
        ("proc/net/snmp", "Tcp: MaxConn CurrEstab\nTcp: -1 5\n"),
        (
            "proc/net/snmp6",
            "Ip6InOctets \t6\nUdp6InErrors 7\nIp6OutRequests 8\n",
        ),
        (
            "proc/net/sockstat",
            "sockets: used 24\nTCP: inuse 4 orphan 0 mem 3\n",
        ),
        ("proc/net/sockstat6", "TCP6: inuse 9\n"),
        ("proc/1/mounts", MOUNTS),
        (
            "proc/pressure/cpu",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n",
        ),
        (
            "proc/pressure/io",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 total=500000\n",
        ),
        ("proc/sys/fs/file-nr", "100\t0\t9000\n"),
        ("proc/sys/kernel/random/entropy_avail", "256\n"),
        ("proc/sys/kernel/random/poolsize", "256\n"),
        ("proc/sys/kernel/ostype", "Linux\n"),
        ("proc/sys/kernel/osrelease", "6.1.0\n"),
        ("proc/sys/kernel/version", "#1 SMP \"x\"\n"),
        ("proc/sys/kernel/hostname", "node\n"),
        ("proc/sys/kernel/domainname", "(none)\n"),
        ("proc/sys/kernel/arch", "x86_64\n"),
        ("sys/class/net/bonding_masters", "bond0\n"),
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/mtu", "1500\n"),
        ("sys/class/net/eth0/speed", "1000\n"),
        ("sys/class/net/eth0/flags", "0x1003\n"),
        ("sys/class/net/eth0/address", "02:00:00:00:00:01\n"),
        ("sys/class/net/lo/operstate", "unknown\n"),
        ("sys/class/net/lo/mtu", "65536\n"),
        ("sys/class/net/lo/speed", "-1\n"),
    ])
}

#[track_caller]
fn check_lines(page: &str, wanted: &[&str]) {
    let lines: BTreeSet<&str> = page.lines().collect();
    for want in wanted {
        assert!(lines.contains(want), "no line {want} in\n{page}");
    }
}

#[test]
fn a_full_machine() {
    let page = full_machine();
    check_lines(
        &page,
        &[
            "# TYPE node_cpu_seconds_total counter",
            "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 0.1",
            "node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"} 0.08",
            "node_cpu_seconds_total{cpu=\"1\",mode=\"user\"} 10492",
            "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 0.01",
            "node_boot_time_seconds 1700000000",
            "node_context_switches_total 70000",
            "node_forks_total 900",
            "node_intr_total 5000",
            "node_procs_running 2",
            "node_procs_blocked 1",
            "node_memory_MemTotal_bytes 16384000",
            "node_memory_Active_anon_bytes 102400",
            "node_memory_HugePages_Total 3",
            "node_vmstat_oom_kill 7",
            "node_vmstat_pgmajfault 6",
            "node_load1 0.1",
            "node_load15 2.25",
            "node_disk_read_bytes_total{device=\"vda\"} 102400",
            "node_disk_write_time_seconds_total{device=\"vda\"} 5",
            "node_disk_io_now{device=\"sda\"} 9",
            "node_disk_flush_requests_time_seconds_total{device=\"vda\"} 13",
            "node_network_receive_bytes_total{device=\"eth0\"} 1000",
            "node_network_transmit_compressed_total{device=\"eth0\"} 16",
            "node_network_up{device=\"eth0\"} 1",
            "node_network_up{device=\"lo\"} 0",
            "node_network_mtu_bytes{device=\"lo\"} 65536",
            "node_network_speed_bytes{device=\"eth0\"} 125000000",
            "node_network_info{address=\"02:00:00:00:00:01\",adminstate=\"up\",device=\"eth0\",\
             operstate=\"up\"} 1",
            "node_filesystem_size_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} 4096",
            "node_filesystem_avail_bytes{device=\"/dev/vdb\",fstype=\"xfs\",mountpoint=\"/mnt/a b\"} \
             1024",
            "node_filesystem_readonly{device=\"/dev/vdb\",fstype=\"xfs\",mountpoint=\"/mnt/a b\"} 1",
            "node_filesystem_device_error{device=\"server:/x\",fstype=\"nfs4\",\
             mountpoint=\"/mnt/gone\"} 1",
            "node_netstat_TcpExt_SyncookiesSent 1",
            "node_netstat_TcpExt_ListenDrops 3",
            "node_netstat_IpExt_InOctets 4",
            "node_netstat_Tcp_CurrEstab 5",
            "node_netstat_Ip6_InOctets 6",
            "node_netstat_Udp6_InErrors 7",
            "node_sockstat_sockets_used 24",
            "node_sockstat_TCP_mem 3",
            "node_sockstat_TCP6_inuse 9",
            "node_pressure_cpu_waiting_seconds_total 2.5",
            "node_pressure_io_stalled_seconds_total 0.5",
            "node_filefd_allocated 100",
            "node_filefd_maximum 9000",
            "node_entropy_available_bits 256",
            "node_uname_info{domainname=\"(none)\",machine=\"x86_64\",nodename=\"node\",\
             release=\"6.1.0\",sysname=\"Linux\",version=\"#1 SMP \\\"x\\\"\"} 1",
            "node_time_seconds 1700000123.5",
            "node_scrape_collector_duration_seconds{collector=\"cpu\"} 0",
        ],
    );
    for absent in [
        "loop0",
        "vda1",
        "nr_free_pages",
        "mountpoint=\"/proc\"",
        "bonding_masters",
        "_TW",
        "MaxConn",
        "Ip6_OutRequests",
        "node_filesystem_size_bytes{device=\"server",
        "speed_bytes{device=\"lo\"",
        "flush_requests_total{device=\"sda\"",
    ] {
        assert!(!page.contains(absent), "{absent} in\n{page}");
    }
    for (collector, _) in COLLECTORS {
        let success = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 1");
        check_lines(&page, &[&success]);
    }
}

#[test]
fn a_machine_without_anything() {
    let page = page_of(&[]);
    for (collector, _) in COLLECTORS {
        let failure = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 0");
        check_lines(&page, &[&failure]);
    }
    let samples = samples_of(&page);
    assert_eq!(samples.len(), 1 + 2 * COLLECTORS.len());
}

/// Files that look otherwise than they should make their collector fail as a whole, and no other.
#[test]
fn odd_files() {
    let page = page_of(&[
        ("proc/stat", "cpu0 x\nintr\n"),
        ("proc/meminfo", "MemTotal: 1 kB\nMemFree: much kB\n"),
        ("proc/vmstat", "pgpgin NaN\n"),
        ("proc/loadavg", "1 2"),
        ("proc/diskstats", "8 0 sda 1 2 3\n"),
        ("proc/net/dev", "\n\neth0: 1 2 3\n"),
        ("proc/net/netstat", "Tcp: a\nUdp: 1\n"),
        ("proc/net/snmp", ""),
        ("proc/net/sockstat", "TCP inuse 1\n"),
        ("proc/sys/fs/file-nr", ""),
        ("proc/1/mounts", "\u{0}\n\\\n"),
    ]);
    assert!(!page.contains("MemTotal"));
    for collector in [
        "cpu",
        "stat",
        "meminfo",
        "vmstat",
        "loadavg",
        "diskstats",
        "netdev",
        "netstat",
        "sockstat",
        "filefd",
    ] {
        let failure = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 0");
        check_lines(&page, &[&failure]);
    }
    check_lines(
        &page,
        &["node_scrape_collector_success{collector=\"filesystem\"} 1"],
    );
}

/// The texts of all series; fails if the page is not one that a scrape would take.
fn samples_of(page: &str) -> Vec<String> {
    let mut parser = Parser::new(
        page.as_bytes(),
        ParserOptions {
            format: Format::PrometheusText,
            created: CreatedSeries::Keep,
        },
    );
    let mut families = BTreeSet::new();
    let mut samples = Vec::new();
    while let Some(entry) = parser.next().unwrap() {
        match entry {
            Entry::Type { family, .. } => assert!(
                families.insert(family.to_vec()),
                "family twice: {}",
                String::from_utf8_lossy(family)
            ),
            Entry::Sample(sample) => {
                samples.push(String::from_utf8(sample.series.to_vec()).unwrap());
            }
            _ => {}
        }
    }
    let distinct: BTreeSet<&String> = samples.iter().collect();
    assert_eq!(distinct.len(), samples.len(), "a series twice in\n{page}");
    samples
}

#[test]
fn the_full_machine_s_page_is_well_formed() {
    assert!(samples_of(&full_machine()).len() > 80);
}

#[test]
fn this_machine() {
    let mut page = String::new();
    HostCollector::new(HostOptions::default()).collect(&mut page);
    let samples = samples_of(&page);
    for family in [
        "node_cpu_seconds_total{",
        "node_memory_MemAvailable_bytes",
        "node_load1",
        "node_boot_time_seconds",
        "node_network_receive_bytes_total{",
        "node_uname_info{",
        "node_time_seconds",
    ] {
        assert!(
            samples.iter().any(|sample| sample.starts_with(family)),
            "no {family} in\n{page}"
        );
    }
}
