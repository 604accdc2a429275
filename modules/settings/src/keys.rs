//! The keys that are known so far, one table for each room that owns some.
//!
//! The composition root hands [`TABLES`] to [`aether_core::config::Config::new`]. A key without a default means
//! what its sentence says when nobody sets it.

use aether_core::config::{Key, Kind};

pub mod house;
pub mod limits;
pub mod models;
pub mod network;
pub mod observe;

/// Every table.
pub const TABLES: &[&[Key]] = &[house::KEYS, models::KEYS, network::KEYS, limits::KEYS, observe::KEYS];

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default: Some(default), doc }
}

const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, default: None, doc }
}

const fn range(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}
