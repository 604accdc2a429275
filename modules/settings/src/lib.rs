//! Dry: configuration files as layers.
