//! Dry: the kernel's events as log lines, spans and timelines.
