//! One list or one question, outside any task: what other commands find out about a provider.

use std::time::Instant;

use aether_core::config::nearest;
use aether_core::model::{
    Head, ModelError, ModelErrorKind, ModelEvent, ModelInfo, ModelOptions, Question, Request, Stop, ToolUse, Usage,
};
use aether_core::spec::Message;
use aether_net::{Client, Limits};

use crate::ask::{http_date, media_type, model_error, retry_after_ms, send};
use crate::chain::{Lane, Remote, Way};

/// The most bytes of a list of models; the longest known one has about 2 MB.
const LIST_BYTES_MAX: u64 = 16 << 20;
/// The most bytes of an answer's text that are kept.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// The most tokens an answer may have, reasoning included.
const ANSWER_TOKENS_MAX: u32 = 2_048;

/// What a model is asked.
const QUESTION: &str = "Say hello, and nothing else.";

/// What came of asking for the list of models.
pub(crate) struct Listed {
    /// The models, in the server's order.
    pub(crate) models: Result<Vec<ModelInfo>, ModelError>,
    /// What time it is by the server, in seconds since 1970, if it answered and said so.
    pub(crate) date_s: Option<u64>,
    /// How long it took, in milliseconds.
    pub(crate) ms: u64,
}

/// What came of a question.
pub(crate) struct Trial {
    /// From the question to the first piece of the answer, reasoning included, in milliseconds.
    pub(crate) first_ms: u64,
    /// From the question to the end of the answer, in milliseconds.
    pub(crate) total_ms: u64,
    /// What it cost.
    pub(crate) usage: Usage,
    /// The beginning of the answer.
    pub(crate) text: String,
    /// Why it ended.
    pub(crate) stop: Stop,
}

/// Asks a provider which models it has.
pub(crate) async fn list(client: &Client, remote: &Remote, limits: Limits) -> Listed {
    let began = Instant::now();
    let limits = Limits { body_bytes_max: LIST_BYTES_MAX, ..limits };
    let mut date_s = None;
    let models = fetch(client, remote, limits, &mut date_s).await;
    Listed { models, date_s, ms: elapsed_ms(began) }
}

async fn fetch(
    client: &Client,
    remote: &Remote,
    limits: Limits,
    date_s: &mut Option<u64>,
) -> Result<Vec<ModelInfo>, ModelError> {
    let request = remote.codec.list_request();
    let mut response = send(client, remote, request, limits).await?;
    *date_s = response.header("date").and_then(http_date);
    let (status, content_type, retry_after_ms) = (response.status(), media_type(&response), retry_after_ms(&response));
    let body = response.read_to_end().await.map_err(|error| model_error(&remote.provider, &error))?;
    remote.codec.list(Head { status, content_type: &content_type, retry_after_ms }, &body)
}

/// Puts a short question to a model, with these options.
pub(crate) async fn question(
    client: &Client,
    lane: &Lane,
    limits: Limits,
    options: ModelOptions,
) -> Result<Trial, ModelError> {
    let output_tokens_max = options.output_tokens_max.or(Some(ANSWER_TOKENS_MAX));
    let options = ModelOptions { output_tokens_max, ..options };
    let entries = [Message::typed(QUESTION).into_entry()];
    let question = Question {
        model: &lane.choice.name,
        system: "Answer in one short sentence.",
        tools: &[],
        tool_use: ToolUse::Forbidden,
        entries: &entries,
        options: &options,
    };
    let mut answer = Answer::new();
    match &lane.way {
        Way::Offline => answer.take(aether_offline::answer(&question)),
        Way::Script(script) => answer.take(script.answer(&question)),
        Way::Remote(remote) => {
            let request = remote.codec.request(&question)?;
            read(client, remote, request, limits, &mut answer).await?;
        }
        Way::Local(_) => {
            let message = "this model belongs to a task and answers nobody else; test one that a provider has";
            return Err(ModelError::new(ModelErrorKind::Unsupported, message));
        }
    }
    answer.end()
}

async fn read(
    client: &Client,
    remote: &Remote,
    request: Request,
    limits: Limits,
    answer: &mut Answer,
) -> Result<(), ModelError> {
    let mut response = send(client, remote, request, limits).await?;
    let content_type = media_type(&response);
    let head =
        Head { status: response.status(), content_type: &content_type, retry_after_ms: retry_after_ms(&response) };
    let mut reader = remote.codec.reader(head);
    let mut events = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| model_error(&remote.provider, &error))?;
        let is_over = chunk.is_none();
        match chunk {
            Some(bytes) => reader.feed(&bytes, &mut events),
            None => reader.end(&mut events),
        }
        answer.take(std::mem::take(&mut events));
        if is_over || answer.ended.is_some() {
            return Ok(());
        }
    }
}

/// An answer as it comes in.
struct Answer {
    began: Instant,
    first_ms: Option<u64>,
    usage: Usage,
    text: String,
    ended: Option<Result<Stop, ModelError>>,
}

impl Answer {
    fn new() -> Answer {
        Answer { began: Instant::now(), first_ms: None, usage: Usage::default(), text: String::new(), ended: None }
    }

    fn take(&mut self, events: Vec<ModelEvent>) {
        for event in events {
            match event {
                ModelEvent::Text(piece) => {
                    self.first_ms.get_or_insert_with(|| elapsed_ms(self.began));
                    let room = TEXT_BYTES_MAX.saturating_sub(self.text.len());
                    self.text.push_str(&piece[..piece.floor_char_boundary(room)]);
                }
                ModelEvent::Reasoning(_) => {
                    self.first_ms.get_or_insert_with(|| elapsed_ms(self.began));
                }
                ModelEvent::Usage(usage) => self.usage = usage,
                ModelEvent::Stop(stop) => self.ended = Some(Ok(stop)),
                ModelEvent::Error(error) => self.ended = Some(Err(error)),
                ModelEvent::Carried(_) | ModelEvent::Call(_) => {}
            }
        }
    }

    fn end(self) -> Result<Trial, ModelError> {
        let cut = || ModelError::new(ModelErrorKind::Cut, "the answer broke off before it was complete; try again");
        let stop = self.ended.unwrap_or_else(|| Err(cut()))?;
        let total_ms = elapsed_ms(self.began);
        let first_ms = self.first_ms.unwrap_or(total_ms);
        Ok(Trial { first_ms, total_ms, usage: self.usage, text: self.text, stop })
    }
}

/// What went wrong with a question, with what helps: how long to wait, or the name that was probably meant.
pub(crate) async fn explained(client: &Client, lane: &Lane, limits: Limits, error: &ModelError) -> String {
    let mut sentence = beginning_with(&lane.title, error);
    if let Some(ms) = error.retry_after_ms {
        sentence.push_str(&format!("; the server asks to wait {} s", ms.div_ceil(1000)));
    }
    if let (ModelErrorKind::UnknownModel, Way::Remote(remote)) = (error.kind, &lane.way) {
        let models = list(client, remote, limits).await.models.unwrap_or_default();
        match nearest(&lane.choice.name, models.iter().map(|model| model.name.as_str())) {
            Some(near) => sentence.push_str(&format!("; did you mean `{}/{near}`?", remote.provider)),
            None => sentence.push_str(&format!("; `aether model list {}` shows them", remote.provider)),
        }
    }
    sentence
}

/// The error's sentence, which begins with what it is about.
pub(crate) fn beginning_with(title: &str, error: &ModelError) -> String {
    let provider = title.split('/').next().unwrap_or(title);
    let message = error.message.strip_prefix(provider).and_then(|rest| rest.strip_prefix(": "));
    format!("{title}: {}", message.unwrap_or(&error.message))
}

/// Milliseconds since `began`.
pub(crate) fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
