//! Wet: append-only session files.
