//! Tests of the Anthropic and Gemini codecs.

#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod rehearsal;
#[cfg(test)]
mod strict_server;
