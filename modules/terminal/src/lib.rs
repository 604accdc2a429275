//! Wet: the person's terminal.
