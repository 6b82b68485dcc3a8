# Short names; `cargo xtask` does the work and needs nothing installed.
default:
    @just --list

# Build everything and start the server with its built-in configuration.
run *ARGS:
    cargo xtask run {{ARGS}}

# Format, lints, structure: under a minute when warm.
check:
    cargo xtask check

# All tests.
test:
    cargo xtask test

# The tests of one crate.
test-crate NAME:
    cargo test -p {{NAME}}

# The page.
ui:
    cargo xtask ui

# Upstream's own test data.
conformance:
    cargo xtask conformance

bench *ARGS:
    cargo xtask bench {{ARGS}}

# Promontory and Prometheus side by side on the same data.
compare:
    cargo xtask compare

# What `.ci/run` runs.
ci:
    cargo xtask ci
