//! Dry: the wire formats of five model providers.
