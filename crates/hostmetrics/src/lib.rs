//! The host collector: this machine in the metrics that node_exporter has.
