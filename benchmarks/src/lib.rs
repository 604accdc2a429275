//! Measures what docs/SPEC.md promises.
