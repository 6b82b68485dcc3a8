//! The database from outside: over disks in memory, some of which fail.

mod durability;
mod semantics;
mod support;
