//! What one turn hands to the next: facts written as one flat JSON array, and read back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// The values of a carried array that are not read yet.
pub(crate) type Items = std::vec::IntoIter<Value>;

/// Something that can be written to the end of a carried array and read back from its front.
pub(crate) trait Carry: Sized {
    /// Appends itself: values, each followed by a comma.
    fn save(&self, out: &mut String);

    /// Reads itself, or `None` when the array was not written by [`Carry::save`].
    fn load(items: &mut Items) -> Option<Self>;
}

/// Implements [`Carry`] for a struct, field by field.
macro_rules! carry {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::carry::Carry for $name {
            fn save(&self, out: &mut String) {
                $($crate::carry::Carry::save(&self.$field, out);)*
            }
            fn load(items: &mut $crate::carry::Items) -> Option<Self> {
                Some($name { $($field: $crate::carry::Carry::load(items)?),* })
            }
        }
    };
}
pub(crate) use carry;

/// Names the format, so that an array of another version is not misread.
const FORMAT: &str = "offline/1";

/// `value` as a carried text.
pub(crate) fn write(value: &impl Carry) -> String {
    let mut out = String::from("[");
    FORMAT.to_owned().save(&mut out);
    value.save(&mut out);
    out.pop();
    out.push(']');
    out
}

/// The value that [`write`] made `text` of.
pub(crate) fn read<T: Carry>(text: &str) -> Option<T> {
    let Ok(Value::Array(values)) = serde_json::from_str(text) else { return None };
    let mut items = values.into_iter();
    (String::load(&mut items)? == FORMAT).then_some(())?;
    let value = T::load(&mut items)?;
    items.next().is_none().then_some(value)
}

/// `text` as a JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Carry for String {
    fn save(&self, out: &mut String) {
        out.push_str(&quoted(self));
        out.push(',');
    }
    fn load(items: &mut Items) -> Option<String> {
        match items.next()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Carry for u64 {
    fn save(&self, out: &mut String) {
        let _ = write!(out, "{self},");
    }
    fn load(items: &mut Items) -> Option<u64> {
        items.next()?.as_u64()
    }
}

impl Carry for i64 {
    fn save(&self, out: &mut String) {
        let _ = write!(out, "{self},");
    }
    fn load(items: &mut Items) -> Option<i64> {
        items.next()?.as_i64()
    }
}

impl Carry for f64 {
    // Bit for bit, so that nothing is lost and infinities have a form.
    fn save(&self, out: &mut String) {
        self.to_bits().save(out);
    }
    fn load(items: &mut Items) -> Option<f64> {
        u64::load(items).map(f64::from_bits)
    }
}

impl Carry for bool {
    fn save(&self, out: &mut String) {
        u64::from(*self).save(out);
    }
    fn load(items: &mut Items) -> Option<bool> {
        u64::load(items).map(|bit| bit == 1)
    }
}

impl<T: Carry> Carry for Option<T> {
    fn save(&self, out: &mut String) {
        self.is_some().save(out);
        if let Some(value) = self {
            value.save(out);
        }
    }
    fn load(items: &mut Items) -> Option<Option<T>> {
        if bool::load(items)? { T::load(items).map(Some) } else { Some(None) }
    }
}

impl<A: Carry, B: Carry> Carry for (A, B) {
    fn save(&self, out: &mut String) {
        self.0.save(out);
        self.1.save(out);
    }
    fn load(items: &mut Items) -> Option<(A, B)> {
        Some((A::load(items)?, B::load(items)?))
    }
}

impl<T: Carry> Carry for Vec<T> {
    fn save(&self, out: &mut String) {
        (self.len() as u64).save(out);
        for value in self {
            value.save(out);
        }
    }
    fn load(items: &mut Items) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for _ in 0..u64::load(items)? {
            values.push(T::load(items)?);
        }
        Some(values)
    }
}

impl<K: Carry + Ord, V: Carry> Carry for BTreeMap<K, V> {
    fn save(&self, out: &mut String) {
        (self.len() as u64).save(out);
        for (key, value) in self {
            key.save(out);
            value.save(out);
        }
    }
    fn load(items: &mut Items) -> Option<BTreeMap<K, V>> {
        let mut map = BTreeMap::new();
        for _ in 0..u64::load(items)? {
            map.insert(K::load(items)?, V::load(items)?);
        }
        Some(map)
    }
}

impl<T: Carry> Carry for Box<T> {
    fn save(&self, out: &mut String) {
        (**self).save(out);
    }
    fn load(items: &mut Items) -> Option<Box<T>> {
        T::load(items).map(Box::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        name: String,
        counts: BTreeMap<String, u64>,
        mean: f64,
        back: i64,
        note: Option<String>,
    }
    carry!(Sample { name, counts, mean, back, note });

    fn sample() -> Sample {
        Sample {
            name: "a \"b\"\n\u{1}ü".into(),
            counts: [("x".into(), 1), ("y".into(), u64::MAX)].into(),
            mean: f64::INFINITY,
            back: -7,
            note: None,
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let text = write(&sample());
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        assert_eq!(read::<Sample>(&text), Some(sample()));
    }

    #[test]
    fn anything_else_is_refused() {
        let text = write(&sample());
        for wrong in ["", "[]", "{}", "[\"offline/0\",1]", "[\"offline/1\",99999999999]", &text.replace("-7", "\"x\"")]
        {
            assert_eq!(read::<Sample>(wrong), None, "{wrong}");
        }
        assert_eq!(read::<Sample>(&text.replace(']', ",1]")), None);
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert_eq!(read::<Sample>(&text[..end]), None);
        }
    }
}
