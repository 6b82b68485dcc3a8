//! Column encodings: timestamps and values to bytes and back, lossless.
