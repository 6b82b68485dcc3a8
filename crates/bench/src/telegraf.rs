//! Telegraf's measurements and fields, and how their values move.

/// How the value of a series moves from scrape to scrape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Walk {
    Constant,
    /// Integer counter: grows by up to this, and stands still half of the time if `lazy`.
    Counter {
        step_max: u32,
        unit: u32,
        lazy: bool,
    },
    /// Integer gauge: moves by up to this.
    Gauge {
        step_max: u32,
        unit: u32,
    },
    /// Two decimals.
    Decimal,
    /// A percentage of clock ticks between two scrapes, from sums of float seconds.
    PercentOfTicks,
    /// A percentage of nanoseconds, where the kernel counts the whole in ticks.
    PercentOfNanoseconds,
    /// A percentage of a fixed size, in pages.
    PercentOfSize,
}

pub(crate) const CPU_FIELDS: [&str; 10] = [
    "guest",
    "guest_nice",
    "idle",
    "iowait",
    "irq",
    "nice",
    "softirq",
    "steal",
    "system",
    "user",
];

/// Field of `mem`, and how it moves.
pub(crate) const MEM_FIELDS: [(&str, Walk); 34] = {
    const PAGES: Walk = Walk::Gauge {
        step_max: 4_000,
        unit: 4_096,
    };
    const STILL: Walk = Walk::Constant;
    [
        ("active", PAGES),
        ("available", PAGES),
        ("available_percent", Walk::PercentOfSize),
        ("buffered", PAGES),
        ("cached", PAGES),
        ("commit_limit", STILL),
        ("committed_as", PAGES),
        (
            "dirty",
            Walk::Gauge {
                step_max: 50,
                unit: 4_096,
            },
        ),
        ("free", PAGES),
        ("high_free", STILL),
        ("high_total", STILL),
        ("huge_page_size", STILL),
        ("huge_pages_free", STILL),
        ("huge_pages_total", STILL),
        ("inactive", PAGES),
        ("low_free", STILL),
        ("low_total", STILL),
        ("mapped", PAGES),
        ("page_tables", STILL),
        ("shared", STILL),
        ("slab", PAGES),
        ("sreclaimable", PAGES),
        ("sunreclaim", STILL),
        ("swap_cached", STILL),
        ("swap_free", STILL),
        ("swap_total", STILL),
        ("total", STILL),
        ("used", PAGES),
        ("used_percent", Walk::PercentOfSize),
        ("vmalloc_chunk", STILL),
        ("vmalloc_total", STILL),
        ("vmalloc_used", STILL),
        ("write_back", STILL),
        ("write_back_tmp", STILL),
    ]
};

pub(crate) const fn counter(step_max: u32) -> Walk {
    Walk::Counter {
        step_max,
        unit: 1,
        lazy: false,
    }
}

pub(crate) const fn lazy(step_max: u32) -> Walk {
    Walk::Counter {
        step_max,
        unit: 1,
        lazy: true,
    }
}

pub(crate) const fn bytes(step_max: u32, unit: u32) -> Walk {
    Walk::Counter {
        step_max,
        unit,
        lazy: false,
    }
}

/// Name, tag, values of the tag, and fields: a series for each value and field.
type Measurement = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, Walk)],
);

/// What a host exposes of itself besides `cpu` and `mem`.
pub(crate) const HOST_FIELDS: [Measurement; 12] = [
    (
        "swap",
        "",
        &[""],
        &[
            ("free", Walk::Constant),
            ("in", Walk::Constant),
            ("out", Walk::Constant),
            ("total", Walk::Constant),
            ("used", Walk::Constant),
            ("used_percent", Walk::Constant),
        ],
    ),
    (
        "system",
        "",
        &[""],
        &[
            ("load1", Walk::Decimal),
            ("load15", Walk::Decimal),
            ("load5", Walk::Decimal),
            ("n_cpus", Walk::Constant),
            ("n_users", Walk::Constant),
            ("uptime", counter(16)),
        ],
    ),
    (
        "disk",
        "device",
        &["sda1", "sdb1"],
        &[
            (
                "free",
                Walk::Gauge {
                    step_max: 300,
                    unit: 4_096,
                },
            ),
            (
                "inodes_free",
                Walk::Gauge {
                    step_max: 5,
                    unit: 1,
                },
            ),
            ("inodes_total", Walk::Constant),
            (
                "inodes_used",
                Walk::Gauge {
                    step_max: 5,
                    unit: 1,
                },
            ),
            ("total", Walk::Constant),
            (
                "used",
                Walk::Gauge {
                    step_max: 300,
                    unit: 4_096,
                },
            ),
            ("used_percent", Walk::PercentOfSize),
        ],
    ),
    (
        "diskio",
        "name",
        &["sda", "sda1", "sdb"],
        &[
            ("io_time", counter(900)),
            ("iops_in_progress", Walk::Constant),
            ("merged_reads", lazy(10)),
            ("merged_writes", counter(300)),
            ("read_bytes", bytes(900, 512)),
            ("read_time", lazy(50)),
            ("reads", lazy(90)),
            ("weighted_io_time", counter(1_500)),
            ("write_bytes", bytes(9_000, 512)),
            ("write_time", counter(1_200)),
            ("writes", counter(700)),
        ],
    ),
    (
        "net",
        "interface",
        &["eth0", "docker0"],
        &[
            ("bytes_recv", counter(3_000_000)),
            ("bytes_sent", counter(2_000_000)),
            ("drop_in", Walk::Constant),
            ("drop_out", Walk::Constant),
            ("err_in", Walk::Constant),
            ("err_out", Walk::Constant),
            ("packets_recv", counter(9_000)),
            ("packets_sent", counter(8_000)),
        ],
    ),
    (
        "processes",
        "",
        &[""],
        &[
            ("blocked", Walk::Constant),
            ("dead", Walk::Constant),
            ("idle", Walk::Constant),
            ("paging", Walk::Constant),
            (
                "running",
                Walk::Gauge {
                    step_max: 3,
                    unit: 1,
                },
            ),
            (
                "sleeping",
                Walk::Gauge {
                    step_max: 4,
                    unit: 1,
                },
            ),
            ("stopped", Walk::Constant),
            (
                "total",
                Walk::Gauge {
                    step_max: 4,
                    unit: 1,
                },
            ),
            (
                "total_threads",
                Walk::Gauge {
                    step_max: 9,
                    unit: 1,
                },
            ),
            ("unknown", Walk::Constant),
            ("zombies", Walk::Constant),
        ],
    ),
    (
        "kernel",
        "",
        &[""],
        &[
            ("boot_time", Walk::Constant),
            ("context_switches", counter(90_000)),
            (
                "entropy_avail",
                Walk::Gauge {
                    step_max: 40,
                    unit: 1,
                },
            ),
            ("interrupts", counter(60_000)),
            ("processes_forked", counter(90)),
        ],
    ),
    (
        "netstat",
        "",
        &[""],
        &[
            ("tcp_close", Walk::Constant),
            ("tcp_close_wait", Walk::Constant),
            ("tcp_closing", Walk::Constant),
            (
                "tcp_established",
                Walk::Gauge {
                    step_max: 9,
                    unit: 1,
                },
            ),
            ("tcp_fin_wait1", Walk::Constant),
            ("tcp_fin_wait2", Walk::Constant),
            ("tcp_last_ack", Walk::Constant),
            ("tcp_listen", Walk::Constant),
            (
                "tcp_none",
                Walk::Gauge {
                    step_max: 3,
                    unit: 1,
                },
            ),
            ("tcp_syn_recv", Walk::Constant),
            ("tcp_syn_sent", Walk::Constant),
            (
                "tcp_time_wait",
                Walk::Gauge {
                    step_max: 9,
                    unit: 1,
                },
            ),
            ("udp_socket", Walk::Constant),
        ],
    ),
    (
        "linux_sysctl_fs",
        "",
        &[""],
        &[
            ("aio_max_nr", Walk::Constant),
            ("aio_nr", Walk::Constant),
            (
                "dentry_nr",
                Walk::Gauge {
                    step_max: 90,
                    unit: 1,
                },
            ),
            ("file_max", Walk::Constant),
            (
                "file_nr",
                Walk::Gauge {
                    step_max: 30,
                    unit: 32,
                },
            ),
            (
                "inode_nr",
                Walk::Gauge {
                    step_max: 90,
                    unit: 1,
                },
            ),
            ("super_max", Walk::Constant),
        ],
    ),
    (
        "docker",
        "",
        &[""],
        &[
            ("memory_total", Walk::Constant),
            ("n_containers", Walk::Constant),
            ("n_containers_paused", Walk::Constant),
            ("n_containers_running", Walk::Constant),
            ("n_containers_stopped", Walk::Constant),
            ("n_cpus", Walk::Constant),
            (
                "n_goroutines",
                Walk::Gauge {
                    step_max: 6,
                    unit: 1,
                },
            ),
            ("n_images", Walk::Constant),
            ("n_listener_events", Walk::Constant),
            (
                "n_used_file_descriptors",
                Walk::Gauge {
                    step_max: 4,
                    unit: 1,
                },
            ),
        ],
    ),
    (
        "conntrack",
        "",
        &[""],
        &[
            (
                "ip_conntrack_count",
                Walk::Gauge {
                    step_max: 90,
                    unit: 1,
                },
            ),
            ("ip_conntrack_max", Walk::Constant),
        ],
    ),
    (
        "temp",
        "sensor",
        &[
            "coretemp_core_0",
            "coretemp_core_1",
            "coretemp_core_2",
            "coretemp_core_3",
            "coretemp_package_id_0",
            "acpitz",
        ],
        &[(
            "temp",
            Walk::Gauge {
                step_max: 2,
                unit: 1,
            },
        )],
    ),
];

/// Measurement, field, movement of each series of a container.
pub(crate) const CONTAINER_FIELDS: [(&str, &[(&str, Walk)]); 5] = {
    const PAGES: Walk = Walk::Gauge {
        step_max: 200,
        unit: 4_096,
    };
    const STILL: Walk = Walk::Constant;
    [
        (
            "docker_container_mem",
            &[
                ("active_anon", PAGES),
                ("active_file", STILL),
                ("cache", STILL),
                ("hierarchical_memory_limit", STILL),
                ("inactive_anon", STILL),
                ("inactive_file", STILL),
                ("limit", STILL),
                ("mapped_file", STILL),
                ("max_usage", STILL),
                ("pgfault", counter(400)),
                ("pgmajfault", STILL),
                ("pgpgin", counter(300)),
                ("pgpgout", counter(300)),
                ("rss", PAGES),
                ("rss_huge", STILL),
                ("total_active_anon", PAGES),
                ("total_active_file", STILL),
                ("total_cache", STILL),
                ("total_inactive_anon", STILL),
                ("total_inactive_file", STILL),
                ("total_mapped_file", STILL),
                ("total_pgfault", counter(400)),
                ("total_pgmajfault", STILL),
                ("total_rss", PAGES),
                ("total_unevictable", STILL),
                ("total_writeback", STILL),
                ("unevictable", STILL),
                ("usage", PAGES),
                ("usage_percent", Walk::PercentOfSize),
                ("writeback", STILL),
            ],
        ),
        (
            "docker_container_net",
            &[
                ("rx_bytes", counter(300_000)),
                ("rx_dropped", STILL),
                ("rx_errors", STILL),
                ("rx_packets", counter(900)),
                ("tx_bytes", counter(200_000)),
                ("tx_dropped", STILL),
                ("tx_errors", STILL),
                ("tx_packets", counter(800)),
            ],
        ),
        (
            "docker_container_blkio",
            &[
                ("io_service_bytes_recursive_async", bytes(90, 4_096)),
                ("io_service_bytes_recursive_read", STILL),
                ("io_service_bytes_recursive_sync", STILL),
                ("io_service_bytes_recursive_total", bytes(90, 4_096)),
                ("io_service_bytes_recursive_write", bytes(90, 4_096)),
                ("io_serviced_recursive_async", lazy(90)),
                ("io_serviced_recursive_read", STILL),
                ("io_serviced_recursive_sync", STILL),
                ("io_serviced_recursive_total", lazy(90)),
                ("io_serviced_recursive_write", lazy(90)),
            ],
        ),
        (
            "docker_container_status",
            &[
                ("exitcode", STILL),
                ("oomkilled", STILL),
                ("pid", STILL),
                ("restart_count", STILL),
                ("started_at", STILL),
                ("uptime_ns", bytes(16, 1_000_000_000)),
            ],
        ),
        (
            "docker_container_cpu",
            &[
                ("throttling_periods", STILL),
                ("throttling_throttled_periods", STILL),
                ("throttling_throttled_time", STILL),
                ("usage_in_kernelmode", bytes(90, 10_000_000)),
                ("usage_in_usermode", bytes(300, 10_000_000)),
                ("usage_percent", Walk::PercentOfNanoseconds),
                ("usage_system", bytes(6_000, 10_000_000)),
                ("usage_total", counter(900_000_000)),
            ],
        ),
    ]
};

/// Labels that tell the cpus of a container apart; all fields have the first, `usage_total` all.
pub(crate) const CONTAINER_CPUS: [&str; 5] = [
    ",cpu=\"cpu-total\"",
    ",cpu=\"cpu0\"",
    ",cpu=\"cpu1\"",
    ",cpu=\"cpu2\"",
    ",cpu=\"cpu3\"",
];
