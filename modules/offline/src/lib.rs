//! Dry: a small rule-based model without network.
