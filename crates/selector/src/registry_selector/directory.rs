use std::fmt;
use std::iter;
use std::sync::OnceLock;

use tower_micro_registry::ServiceName;

const BUCKETS: usize = 256;

/// A map by service name that only grows: what it holds stays where it is, so that reading takes no
/// lock, counts no reference, and writes to no memory that others read.
pub(super) struct Directory<T> {
    buckets: Box<[Slot<T>]>,
}

type Slot<T> = OnceLock<Box<Entry<T>>>;

/// One service, and the next one of the same bucket.
struct Entry<T> {
    service: ServiceName,
    value: T,
    next: Slot<T>,
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| OnceLock::new()).collect(),
        }
    }
}

impl<T> Directory<T> {
    pub(super) fn get(&self, service: &ServiceName) -> Option<&T> {
        let mut slot = self.bucket(service);
        while let Some(entry) = slot.get() {
            if entry.service == *service {
                return Some(&entry.value);
            }
            slot = &entry.next;
        }
        None
    }

    #[inline]
    pub(super) fn get_or_default(&self, service: &ServiceName) -> &T
    where
        T: Default,
    {
        let mut slot = self.bucket(service);
        loop {
            let entry = slot.get_or_init(|| Box::new(Entry::new(service.clone())));
            if entry.service == *service {
                return &entry.value;
            }
            slot = &entry.next;
        }
    }

    fn bucket(&self, service: &ServiceName) -> &Slot<T> {
        &self.buckets[hash(service.as_str()) as usize]
    }
}

impl<T: Default> Entry<T> {
    fn new(service: ServiceName) -> Self {
        Self {
            service,
            value: T::default(),
            next: OnceLock::new(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Directory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let firsts = self.buckets.iter().filter_map(OnceLock::get);
        let entries =
            firsts.flat_map(|first| iter::successors(Some(first), |entry| entry.next.get()));
        f.debug_map()
            .entries(entries.map(|entry| (&entry.service, &entry.value)))
            .finish()
    }
}

/// Which bucket a name belongs to. Names come from the program, not from its users: what spreads well and costs little
/// will do. What a product owes to all of its factor stands in its highest bits.
fn hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let (words, rest) = bytes.as_chunks();
    let words = words.iter().copied().map(u64::from_le_bytes);
    // The multiplier is 2^64 / golden ratio (Knuth, "The Art of Computer Programming", 6.4).
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = words.fold(bytes.len() as u64, mix);
    let hash = if rest.is_empty() {
        hash
    } else {
        mix(hash, end(bytes))
    };
    hash >> (u64::BITS - BUCKETS.ilog2())
}

/// The last eight bytes, or all there are: four and four where two reads will do.
fn end(bytes: &[u8]) -> u64 {
    if let Some(&last) = bytes.last_chunk() {
        return u64::from_le_bytes(last);
    }
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(&first), Some(&last)) => {
            u64::from(u32::from_le_bytes(first)) << 32 | u64::from(u32::from_le_bytes(last))
        }
        _ => bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_names_than_buckets_are_all_found_at_the_place_they_got() {
        let names: Vec<ServiceName> = (0..4 * BUCKETS)
            .map(|number| format!("go.micro.srv.{number}").parse().unwrap())
            .collect();
        let directory = Directory::<Box<u8>>::default();
        let places: Vec<*const u8> = names
            .iter()
            .map(|name| &raw const **directory.get_or_default(name))
            .collect();
        let found = names
            .iter()
            .map(|name| directory.get(name).map(|value| &raw const **value));
        assert!(found.eq(places.iter().copied().map(Some)));
        let different: std::collections::HashSet<_> = places.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn a_name_that_was_not_put_in_is_not_found() {
        let directory = Directory::<()>::default();
        assert!(directory.get(&"greeter".parse().unwrap()).is_none());
    }

    #[test]
    fn similar_names_are_spread() {
        let buckets: std::collections::HashSet<_> = (0..BUCKETS)
            .map(|number| hash(&format!("service-{number}")))
            .collect();
        assert!(buckets.len() > BUCKETS / 2, "{}", buckets.len());
    }
}
