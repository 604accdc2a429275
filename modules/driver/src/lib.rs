//! Wet: runs the kernel's wishes on a clock and a thread.
