//! A manifest as text: one form for each, which reads back as the same manifest (M4).

use std::fmt::Write as _;

use aether_core::capability::{Network, Place};
use serde_json::Value;

use crate::tool::ToolManifest;
use crate::units::{spelled_bytes, spelled_duration};

impl ToolManifest {
    /// The canonical text: every key, in the order of [`crate::KEYS`].
    #[must_use]
    pub fn to_toml(&self) -> String {
        let (core, capability) = (self.core(), &self.core().capability);
        let mut out = String::new();
        line(&mut out, "name", &quoted(&core.name));
        line(&mut out, "version", &quoted(&core.version));
        line(&mut out, "description", &quoted(&core.description));
        line(&mut out, "runtime", &quoted(core.runtime.name()));
        let network = match &capability.network {
            Network::None => "false".to_owned(),
            Network::Public => "true".to_owned(),
            Network::Hosts(hosts) => list(hosts.iter().map(ToString::to_string)),
        };
        line(&mut out, "network", &network);
        let files = match (capability.read(), capability.write()) {
            ([], []) => "false".to_owned(),
            (read, write) => format!("{{ read = {}, write = {} }}", places(read), places(write)),
        };
        line(&mut out, "filesystem", &files);
        line(&mut out, "programs", &places(capability.programs()));
        line(&mut out, "max_runtime", &quoted(&spelled_duration(core.limits.runtime_ms_max)));
        line(&mut out, "memory_limit", &quoted(&spelled_bytes(core.limits.memory_bytes_max)));
        line(&mut out, "cpu_limit", &quoted(&spelled_duration(core.limits.cpu_ms_max)));
        line(&mut out, "processes_max", &core.limits.processes_max.to_string());
        line(&mut out, "output_bytes_max", &core.limits.output_bytes_max.to_string());
        for secret in self.secrets() {
            out.push_str("\n[[secrets]]\n");
            line(&mut out, "name", &quoted(&secret.name));
            line(&mut out, "host", &quoted(&secret.host.to_string()));
            line(&mut out, "header", &quoted(&format!("{}: {}", secret.header, secret.template)));
        }
        out.push_str("\n[input]\n");
        for (name, value) in self.schema().as_object().into_iter().flatten() {
            let mut written = String::new();
            write_value(&mut written, value);
            line(&mut out, &key(name), &written);
        }
        out
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    for part in [key, " = ", value, "\n"] {
        out.push_str(part);
    }
}

fn places(places: &[Place]) -> String {
    list(places.iter().map(|place| place.as_str().to_owned()))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.map(|item| quoted(&item)).collect();
    format!("[{}]", items.join(", "))
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (n, (name, value)) in members.iter().enumerate() {
                out.push_str(if n == 0 { " " } else { ", " });
                out.push_str(&key(name));
                out.push_str(" = ");
                write_value(out, value);
            }
            out.push_str(if members.is_empty() { "}" } else { " }" });
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::String(text) => out.push_str(&quoted(text)),
        // TOML has no null, so that none was read.
        Value::Null => out.push_str("\"\""),
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

/// A key, bare where it can be (TOML 1.0, "Keys").
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if letter.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}
