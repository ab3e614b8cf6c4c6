//! Numbers in saved states: sixteen hexadecimal digits each, so that every bit comes back.
//!
//! Invariant: reading what was written gives the same bits, NaN payloads and signed zeros included.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Are two slices equal in every bit?
pub fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}

fn write(values: &[f64]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(16 * values.len());
    for v in values {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:016x}", v.to_bits());
    }
    text
}

fn read(text: &str) -> Option<Vec<f64>> {
    if !text.len().is_multiple_of(16) || !text.is_ascii() {
        return None;
    }
    (0..text.len() / 16)
        .map(|i| {
            u64::from_str_radix(&text[16 * i..16 * i + 16], 16)
                .ok()
                .map(f64::from_bits)
        })
        .collect()
}

/// For `#[serde(with = "bits::number")]`.
pub mod number {
    use super::*;

    /// Writes a number.
    pub fn serialize<S: Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&write(&[*v]))
    }
    /// Reads a number.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        let text = String::deserialize(d)?;
        match read(&text).as_deref() {
            Some([v]) => Ok(*v),
            _ => Err(D::Error::custom("expected sixteen hexadecimal digits")),
        }
    }
}

/// For `#[serde(with = "bits::array")]`.
pub mod array {
    use super::*;

    /// Writes an array.
    pub fn serialize<S: Serializer>(v: &[f64], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&write(v))
    }
    /// Reads an array.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
        let text = String::deserialize(d)?;
        read(&text).ok_or_else(|| D::Error::custom("expected sixteen hexadecimal digits a number"))
    }
}
