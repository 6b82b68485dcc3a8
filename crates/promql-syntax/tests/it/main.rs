//! The language as users see it. What is expected here was compared with Prometheus 3.14.

mod accepted;
mod corpus;
mod durations;
mod limits;
mod pretty;
mod properties;
mod refused;
mod selectors;
mod series;
mod tree;
