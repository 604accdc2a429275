//! Stack traces in logs: runs of lines without a time that belong to the line before them.

use crate::carry::carry;
use crate::words;

/// Traces that are named.
const KEPT_MAX: usize = 4;
/// Bytes of a trace's title.
const TITLE_BYTES_MAX: usize = 120;

/// One stack trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trace {
    /// The line that announces it.
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    pub(crate) frames: u64,
    /// The exception, or else the message before the frames.
    pub(crate) title: String,
}
carry!(Trace { first_line, last_line, frames, title });

/// The stack traces of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traces {
    pub(crate) total: u64,
    pub(crate) kept: Vec<Trace>,
    open: Option<Trace>,
    has_exception: bool,
    /// Lines that continue the one before and are no trace.
    pub(crate) continued: u64,
    header_line: u64,
    header: String,
}
carry!(Traces { total, kept, open, has_exception, continued, header_line, header });

impl Traces {
    /// A line with a time: whatever was open is over, and what follows belongs to this line.
    pub(crate) fn stamped(&mut self, line: u64, message: &str) {
        if self.open.is_some() {
            self.close();
        }
        self.header_line = line;
        self.header.clear();
        self.header.push_str(words::head(message, TITLE_BYTES_MAX));
    }

    /// Takes a line without a time, if it continues the one before.
    pub(crate) fn takes(&mut self, line: u64, text: &str) -> bool {
        let trimmed = text.trim_start();
        let exception = is_exception(trimmed);
        if trimmed.len() == text.len() && !exception && !announces(trimmed) {
            return false;
        }
        let (header_line, header) = (self.header_line.max(1), &self.header);
        let trace = self.open.get_or_insert_with(|| Trace {
            first_line: if header_line + 1 == line { header_line } else { line },
            last_line: line,
            frames: 0,
            title: header.clone(),
        });
        trace.last_line = line;
        trace.frames += u64::from(is_frame(trimmed));
        if exception && !self.has_exception {
            trace.title = words::head(trimmed, TITLE_BYTES_MAX).to_owned();
            self.has_exception = true;
        }
        true
    }

    /// Ends what is open.
    pub(crate) fn close(&mut self) {
        self.has_exception = false;
        let Some(trace) = self.open.take() else { return };
        if trace.frames == 0 {
            self.continued += trace.last_line.saturating_sub(trace.first_line);
            return;
        }
        self.total += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(trace);
        }
    }
}

/// A frame of Java, JavaScript, .NET (`at …`), Python (`File "…"`), Rust (`0: …`), Go (`file.go:12`).
fn is_frame(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.starts_with("at ")
        || text.starts_with("File \"")
        || text.starts_with("from /")
        || digits > 0 && text[digits..].starts_with(": ")
        || text.contains(".go:")
}

fn announces(text: &str) -> bool {
    const STARTS: [&str; 6] = ["Traceback", "Caused by", "at ", "goroutine ", "stack backtrace", "thread '"];
    STARTS.iter().any(|start| text.starts_with(start))
}

/// `java.lang.IllegalStateException: …`, `ValueError: …`, `KeyError`.
fn is_exception(text: &str) -> bool {
    let name = text.strip_prefix("Caused by: ").unwrap_or(text);
    let end = name.find([':', ' ']).unwrap_or(name.len());
    let name = &name[..end];
    let last = name.rsplit('.').next().unwrap_or(name);
    last.starts_with(|c: char| c.is_ascii_uppercase())
        && (last.ends_with("Error") || last.ends_with("Exception"))
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(lines: &[&str]) -> Traces {
        let mut traces = Traces::default();
        for (n, line) in lines.iter().enumerate() {
            let number = n as u64 + 1;
            match line.strip_prefix("T ") {
                Some(message) => traces.stamped(number, message),
                None => {
                    traces.takes(number, line);
                }
            }
        }
        traces.close();
        traces
    }

    #[test]
    fn traces_of_several_languages_are_found() {
        let java = traces(&[
            "T ok",
            "T boom",
            "java.lang.IllegalStateException: x",
            "\tat a.B.c(B.java:1)",
            "\tat a.B.d(B.java:2)",
            "Caused by: java.io.IOException: y",
            "\tat e.F.g(F.java:3)",
            "T ok",
        ]);
        assert_eq!(
            java.kept,
            [Trace { first_line: 2, last_line: 7, frames: 3, title: "java.lang.IllegalStateException: x".into() }]
        );
        let python = traces(&[
            "T failed",
            "Traceback (most recent call last):",
            "  File \"a.py\", line 1, in f",
            "    g()",
            "ValueError: no",
            "T ok",
        ]);
        assert_eq!(python.kept, [Trace { first_line: 1, last_line: 5, frames: 1, title: "ValueError: no".into() }]);
    }

    #[test]
    fn other_lines_are_no_trace() {
        let plain = traces(&["T query", "  SELECT 1", "  FROM x", "T ok"]);
        assert_eq!((plain.total, plain.continued), (0, 2));
        assert!(!Traces::default().takes(1, "just words"));
    }
}
