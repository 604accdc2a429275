//! The published JSON Schema and the reader know the same keys, limits and ranges; so does the README beside it.

#![cfg(test)]

use aether_manifest::{KEYS, Ranges, ToolManifest};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../plugins/spec/manifest.schema.json");
const README: &str = include_str!("../../../plugins/spec/README.md");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema = schema();
    let keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, KEYS);
    assert_eq!(schema["required"], serde_json::json!(["name", "max_runtime", "memory_limit"]));
    assert_eq!(schema["additionalProperties"], false);
    let properties = &schema["properties"];
    assert_eq!(properties["processes_max"]["maximum"], *Ranges::ALL.processes.end());
    assert_eq!(properties["processes_max"]["minimum"], *Ranges::ALL.processes.start());
    assert_eq!(properties["output_bytes_max"]["oneOf"][0]["maximum"], *Ranges::ALL.output_bytes.end());
    for (key, absent) in [("processes_max", Value::from(1)), ("output_bytes_max", Value::from(65_536))] {
        let limits =
            ToolManifest::parse("name = \"x\"\nmax_runtime = \"1s\"\nmemory_limit = \"1mb\"\n").unwrap().core().limits;
        let held = if key == "processes_max" { u64::from(limits.processes_max) } else { limits.output_bytes_max };
        assert_eq!((&properties[key]["default"], Value::from(held)), (&absent, absent.clone()));
    }
}

#[test]
fn the_examples_of_the_readme_are_sound() {
    let examples: Vec<&str> = README.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        ToolManifest::parse(example).unwrap_or_else(|mistakes| panic!("{example}\n{mistakes:#?}"));
    }
    for key in KEYS {
        assert!(README.contains(&format!("`{key}`")) || README.contains(&format!("{key} = ")), "{key}");
    }
}
