//! Wet: files beneath a workspace, a fetcher and a clock.
