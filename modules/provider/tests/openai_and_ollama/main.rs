//! The codecs of OpenAI's two formats and of Ollama: what they ask, and what they make of every answer.

#[cfg(test)]
mod chat;
#[cfg(test)]
mod ollama;
#[cfg(test)]
#[path = "../anthropic_and_gemini/rehearsal.rs"]
mod rehearsal;
#[cfg(test)]
mod responses;
