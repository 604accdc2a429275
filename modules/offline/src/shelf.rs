//! Values by key, and lists by rank: the one map and the one sort of this room, so that few kinds of them are compiled.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::carry::{Carry, Items};

/// A map that is never shrunk. Whatever its values are, the tree beneath holds numbers.
#[derive(Clone, Debug)]
pub(crate) struct Shelf<K, V> {
    places: BTreeMap<K, u64>,
    values: Vec<V>,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Shelf<K, V> {
        Shelf { places: BTreeMap::new(), values: Vec::new() }
    }
}

impl<K: Ord, V> Shelf<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn value<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.places.get(key)?;
        self.values.get_mut(*at as usize)
    }

    /// Adds a value under a key that is not there yet.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.places.insert(key, self.values.len() as u64);
        self.values.push(value);
    }

    /// The keys and their values, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.places.iter().filter_map(|(key, at)| Some((key, self.values.get(*at as usize)?)))
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Shelf<K, V> {
    fn eq(&self, other: &Shelf<K, V>) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(mine, theirs)| mine == theirs)
    }
}

impl<K: Carry + Ord, V: Carry> Carry for Shelf<K, V> {
    fn save(&self, out: &mut String) {
        (self.len() as u64).save(out);
        for (key, value) in self.iter() {
            key.save(out);
            value.save(out);
        }
    }
    fn load(items: &mut Items) -> Option<Shelf<K, V>> {
        let mut shelf = Shelf::default();
        for _ in 0..u64::load(items)? {
            shelf.insert(K::load(items)?, V::load(items)?);
        }
        Some(shelf)
    }
}

/// `items` by what `rank` says of each: the largest first number first, of equals the smallest second one.
pub(crate) fn ranked<T: Copy>(items: impl Iterator<Item = T>, rank: impl Fn(&T) -> (u64, u64)) -> Vec<T> {
    let items: Vec<T> = items.collect();
    let mut order: Vec<(u64, u64, u64)> = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let (first, second) = rank(item);
        order.push((!first, second, n as u64));
    }
    sort(&mut order);
    order.iter().filter_map(|(_, _, n)| items.get(*n as usize).copied()).collect()
}

#[inline(never)]
fn sort(order: &mut [(u64, u64, u64)]) {
    order.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_is_a_map_in_the_order_of_its_keys() {
        let mut shelf = Shelf::default();
        shelf.insert("b".to_owned(), 1_u64);
        shelf.insert("a".to_owned(), 2);
        if let Some(value) = shelf.value("b") {
            *value += 10;
        }
        assert_eq!(shelf.iter().map(|(key, value)| (key.as_str(), *value)).collect::<Vec<_>>(), [("a", 2), ("b", 11)]);
        assert_eq!((shelf.len(), shelf.value("c")), (2, None));
        assert_eq!(crate::carry::read::<Shelf<String, u64>>(&crate::carry::write(&shelf)), Some(shelf));
    }

    #[test]
    fn ranks_are_largest_first_and_stable() {
        let items = [(1, 5), (3, 9), (3, 2), (1, 5)];
        let order = ranked(0..4, |n: &usize| items[*n]);
        assert_eq!(order, [2, 1, 0, 3]);
    }
}
