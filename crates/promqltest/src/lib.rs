//! The test language of PromQL, and the runner of upstream's test data.
