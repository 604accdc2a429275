//! P1: every recorded answer of every provider, in each of its spellings, cut at every byte, means what it means.

#[cfg(test)]
mod readings {
    use aether_core::model::{Codec, Head, ModelEvent};
    use aether_provider::Format;
    use aether_provider::openai_chat::Quirks;
    use aether_testkit::dialect::Dialect;
    use aether_testkit::streams::{Recording, joined, recordings};

    /// So many readings, each cut every so many bytes and each starting one byte later, cut at every byte.
    const STRIDE_BYTES: usize = 13;

    fn read<'a>(
        codec: &dyn Codec,
        recording: &Recording,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Vec<ModelEvent> {
        let Recording { status, content_type, retry_after_ms, .. } = *recording;
        let mut reader = codec.reader(Head { status, content_type, retry_after_ms });
        let mut events = Vec::new();
        for piece in pieces {
            reader.feed(piece, &mut events);
        }
        reader.end(&mut events);
        joined(&events)
    }

    fn check(dialect: Dialect, format: Format) {
        let codec = format.codec();
        let mut total = 0;
        for recording in recordings().filter(|recording| recording.dialect == dialect) {
            total += 1;
            for (n, (name, body)) in recording.variants().into_iter().enumerate() {
                let whole = read(&*codec, recording, [&body[..]]);
                recording.expected.verify(&whole).unwrap_or_else(|fault| panic!("{name}: {fault}\n{whole:#?}"));
                for first in 1..=STRIDE_BYTES.min(body.len()) {
                    let (left, right) = body.split_at(first);
                    let pieces = [left].into_iter().chain(right.chunks(STRIDE_BYTES));
                    assert_eq!(read(&*codec, recording, pieces), whole, "{name} from {first}");
                }
                assert_eq!(read(&*codec, recording, body.chunks(1)), whole, "{name} byte by byte");
                let cuts = if n == 0 { 0..=body.len() } else { 0..=0 };
                for cut in cuts {
                    let (left, right) = body.split_at(cut);
                    assert_eq!(read(&*codec, recording, [left, right]), whole, "{name} cut at {cut}");
                }
            }
        }
        assert!(total >= 10, "only {total} recordings");
    }

    #[test]
    fn p1_chat() {
        check(Dialect::Chat, Format::OpenAiChat(Quirks::COMPATIBLE));
    }

    #[test]
    fn p1_responses() {
        check(Dialect::Responses, Format::OpenAiResponses);
    }

    #[test]
    fn p1_anthropic() {
        check(Dialect::Anthropic, Format::Anthropic);
    }

    #[test]
    fn p1_ollama() {
        check(Dialect::Ollama, Format::Ollama(None));
    }

    #[test]
    fn p1_gemini() {
        check(Dialect::Gemini, Format::Gemini);
    }
}
