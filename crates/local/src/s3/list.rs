//! Listing: a walk over the index from the place asked for, as long as the prefix holds. Keys sort by their bytes.

use std::{ops::Bound, sync::Arc};

use crate::s3::store::{Bucket, Object};

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: &'a str,
    /// Only what sorts behind this.
    pub(crate) after: &'a str,
    pub(crate) limit: usize,
}

/// One page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page goes on; `None` on the last one.
    pub(crate) next_after: Option<String>,
}

/// The page of `bucket` that answers `query`.
pub(crate) fn page(bucket: &Bucket, query: &Query<'_>) -> Page {
    bucket.with_objects(|objects| {
        let mut page = Page::default();
        let mut last = String::new();
        // Where the walk goes on: behind a key, or behind everything under a common prefix.
        let mut from = if query.after < query.prefix {
            Bound::Included(query.prefix.to_owned())
        } else if is_common_prefix(query.after, query) {
            end_of(query.after)
        } else {
            Bound::Excluded(query.after.to_owned())
        };
        while let Some((key, object)) = objects.range::<String, _>((from.clone(), Bound::Unbounded)).next() {
            if !key.starts_with(query.prefix) {
                break;
            }
            if page.objects.len() + page.prefixes.len() >= query.limit {
                page.next_after = Some(last).filter(|_| query.limit > 0);
                return page;
            }
            if let Some(common) = common_prefix(key, query) {
                from = end_of(common);
                common.clone_into(&mut last);
                page.prefixes.push(common.to_owned());
            } else {
                from = Bound::Excluded(key.clone());
                key.clone_into(&mut last);
                page.objects.push(Arc::clone(object));
            }
        }
        page
    })
}

/// The part of the key up to the first delimiter behind the prefix.
fn common_prefix<'k>(key: &'k str, query: &Query<'_>) -> Option<&'k str> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = &key[query.prefix.len()..];
    let end = rest.find(query.delimiter)? + query.delimiter.len();
    Some(&key[..query.prefix.len() + end])
}

fn is_common_prefix(key: &str, query: &Query<'_>) -> bool {
    key.starts_with(query.prefix) && common_prefix(key, query) == Some(key)
}

/// The first place behind all keys that begin with `prefix`: the same text with its last character raised.
fn end_of(prefix: &str) -> Bound<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Raised past the gap of the surrogates, which are no characters.
        let next = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            next => char::from_u32(next),
        };
        if let Some(next) = next {
            end.push(next);
            return Bound::Included(end);
        }
    }
    Bound::Unbounded
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use common::clock::Clock;

    use super::*;
    use crate::s3::store::{Attributes, Staged, Store};

    fn listed(keys: &[&str], query: &Query<'_>) -> (Vec<String>, Vec<String>, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("s3"), false, Clock::REAL).unwrap();
        store.create_bucket("b").unwrap();
        let bucket = store.bucket("b").unwrap();
        for key in keys {
            let attributes = Attributes { key: (*key).to_owned(), ..Attributes::default() };
            bucket.commit(Staged::in_memory(attributes, Bytes::new()), |_| Ok(())).unwrap();
        }
        let page = page(&bucket, query);
        (page.objects.iter().map(|o| o.attributes.key.clone()).collect(), page.prefixes, page.next_after)
    }

    #[test]
    fn keys_sort_by_bytes_and_groups_are_listed_once() {
        let keys = ["a/1", "a/2", "a-", "b", "é", "z/9"];
        let all = Query { delimiter: "/", limit: 10, ..Query::default() };
        let (objects, prefixes, next) = listed(&keys, &all);
        assert_eq!(objects, ["a-", "b", "é"]);
        assert_eq!(prefixes, ["a/", "z/"]);
        assert_eq!(next, None);
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let keys = ["p/a", "p/b/1", "p/b/2", "p/c", "q"];
        let mut after = String::new();
        let mut seen = Vec::new();
        loop {
            let query = Query { prefix: "p/", delimiter: "/", after: &after, limit: 1 };
            let (objects, prefixes, next) = listed(&keys, &query);
            seen.extend(objects.into_iter().chain(prefixes));
            match next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(seen, ["p/a", "p/b/", "p/c"]);
    }
}
