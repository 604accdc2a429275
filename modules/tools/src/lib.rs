//! Dry: the built-in tools, over hands.
