//! Wet: the one HTTP client.
