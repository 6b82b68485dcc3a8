//! The HTTP client: one keep-alive connection a target, capped bodies.
