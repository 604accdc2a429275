//! `aether onboard` on a terminal: a person types, sees and stops.

use aether_testkit::script::{Script, Turn};
use aether_testkit::server::Server;

use crate::ground::Nest;
use crate::onboard::{base_url, server};
use crate::person::Person;

const SECRET: &str = "sk-planted-c01dbee7f4";

#[test]
fn from_nothing_to_a_first_answer() {
    let server = server();
    let nest = Nest::new().env("AETHER_PROVIDERS__GROQ__BASE_URL", &base_url(&server));
    nest.file("notes.txt", "milk\n");
    let mut person = Person::in_colour(&nest, &["onboard"]);
    person.sees("Nothing is written before the end");
    person.sees("provider [1]: ");
    person.types("grok\r");
    person.sees("did you mean groq?");
    person.sees("provider [1]: ");
    person.types("groq\r");
    person.sees("key for Groq (it is not shown): ");
    person.types("sk-mistyped-00000000\r");
    person.sees("did not accept the key");
    person.sees("another [k]ey");
    person.types("k");
    person.sees("(it is not shown): ");
    person.types(&format!("{SECRET}\r"));
    person.sees("1  tiny-1");
    person.sees("2  large-2");
    person.sees("part of a name [tiny-1]: ");
    person.types("larg\r");
    person.sees("Hello!");
    person.sees("groq/large-2 answered");
    person.sees("profile [assistant]: ");
    person.types("2\r");
    person.sees("write it? [y/n]: ");
    assert_eq!(nest.files().len(), 1, "nothing is written yet");
    person.types("y");
    person.sees("is saved in");
    person.sees("your first question [What is in this folder?], or - for none: ");
    person.types("\r");
    person.sees("Hello!");
    assert_eq!(person.waits(), Some(0));
    assert!(!person.all.contains(SECRET) && !person.all.contains("sk-mistyped"), "{}", person.all);
    let key = nest.path(".local/share/aether/keys/groq");
    assert_eq!(nest.files_with(SECRET), [key]);
    assert!(nest.config().starts_with("model = \"groq/large-2\"\nprofile = \"coder\"\n"), "{}", nest.config());
    let asked = server.requests().iter().any(|request| request.body.to_string().contains("What is in this folder?"));
    assert!(asked, "the first question went to the model that was connected");
}

/// Lets a person go through these questions and answers, interrupts, and looks whether anything was changed.
#[track_caller]
fn interrupted(nest: &Nest, steps: &[(&str, &str)], last: &str) {
    let before = nest.files();
    let mut person = Person::in_colour(nest, &["onboard"]);
    for (question, answer) in steps {
        person.sees(question);
        person.types(answer);
    }
    person.sees(last);
    person.types("\u{3}");
    assert_eq!(person.ends(), 130, "{}", person.all);
    assert_eq!(nest.files(), before);
}

#[test]
fn whoever_stops_half_way_has_changed_nothing() {
    let server = server();
    let nest = Nest::new().env("AETHER_PROVIDERS__GROQ__BASE_URL", &base_url(&server));
    nest.configure("# mine\n");
    let key = format!("{SECRET}\r");
    let steps = [
        ("provider [1]: ", "groq\r"),
        ("it is not shown): ", key.as_str()),
        ("part of a name [tiny-1]: ", "\r"),
        ("profile [assistant]: ", "\r"),
    ];
    let questions =
        ["provider [1]: ", "it is not shown): ", "part of a name", "profile [assistant]: ", "write it? [y/n]: "];
    for (count, last) in questions.iter().enumerate() {
        interrupted(&nest, &steps[..count], last);
    }
    let before = nest.files();
    let mut person = Person::in_colour(&nest, &["onboard"]);
    for (question, answer) in steps.iter().chain(&[("write it? [y/n]: ", "n")]) {
        person.sees(question);
        person.types(answer);
    }
    person.sees("nothing was changed");
    assert_eq!(person.waits(), Some(130));
    assert_eq!(nest.files(), before);
}

#[test]
fn what_is_on_the_machine_is_offered_first() {
    let server = Server::start(Script::new().model("qwen3").turn(Turn::text("Hello!").always())).unwrap();
    let nest = Nest::new().env("AETHER_PROVIDERS__OLLAMA__BASE_URL", &server.base_url()).env("XAI_API_KEY", SECRET);
    let mut person = Person::in_colour(&nest, &["onboard"]);
    person.sees("1  xai            XAI_API_KEY is set");
    person.sees("2  ollama         runs on this machine, with 1 models");
    person.sees("builtin");
    person.types("2\r");
    person.sees("part of a name [qwen3]: ");
    person.types("\r");
    person.sees("ollama/qwen3 answered");
    person.sees("profile [assistant]: ");
    person.types("edge\r");
    person.sees("limits.tool_calls = 60");
    person.sees("write it? [y/n]: ");
    person.types("y");
    person.sees("or - for none: ");
    person.types("-\r");
    assert_eq!(person.waits(), Some(0));
    assert!(nest.config().contains("model = \"ollama/qwen3\"\n"), "{}", nest.config());
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
    assert!(!person.all.contains(SECRET));
}

#[test]
fn a_key_in_the_environment_is_used_only_when_the_person_agrees() {
    let server = server();
    let nest = Nest::new().env("XAI_API_KEY", SECRET).env("AETHER_PROVIDERS__XAI__BASE_URL", &base_url(&server));
    let mut person =
        Person::in_colour(&nest, &["onboard", "--model", "tiny-1", "--provider", "xai", "--profile", "server"]);
    person.sees("write it? [y/n]: ");
    person.types("y");
    person.sees("key: env:XAI_API_KEY");
    person.sees("or - for none: ");
    person.types("\u{4}");
    assert_eq!(person.waits(), Some(0));
    assert!(nest.config().contains("level = \"info\""), "{}", nest.config());

    let nest = Nest::new().env("XAI_API_KEY", "sk-old").env("AETHER_PROVIDERS__XAI__BASE_URL", &base_url(&server));
    let mut person = Person::in_colour(&nest, &["onboard"]);
    person.sees("provider [1]: ");
    person.types("\r");
    person.sees("use the key in XAI_API_KEY? [y/n]: ");
    person.types("n");
    person.sees("it is not shown): ");
    person.types(&format!("{SECRET}\r"));
    person.sees("part of a name [tiny-1]: ");
    person.types("9\r");
    person.sees("no model has that in its name");
    person.types("1\r");
    person.sees("answered");
    person.sees("profile [assistant]: ");
    person.types("\r");
    person.sees("write it? [y/n]: ");
    person.types("y");
    person.sees("or - for none: ");
    person.types("-\r");
    assert_eq!(person.waits(), Some(0));
    assert_eq!(nest.files_with(SECRET), [nest.path(".local/share/aether/keys/xai")]);
}

#[test]
fn the_built_in_model_takes_three_answers() {
    let nest = Nest::new();
    nest.file("notes.txt", "milk\nbread\n");
    let mut person = Person::in_colour(&nest, &["onboard", "--offline"]);
    person.sees("profile [assistant]: ");
    person.types("\r");
    person.sees("write it? [y/n]: ");
    person.types("y");
    person.sees("your first question");
    person.types("\r");
    person.sees("notes.txt");
    assert_eq!(person.waits(), Some(0));
    assert_eq!(nest.config(), "model = \"builtin/offline\"\n");
}
