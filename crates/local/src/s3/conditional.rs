//! Conditions of reads and writes: pure decisions about the object that is there.

use s3s::{
    S3Result,
    dto::{ETag, ETagCondition},
    s3_error,
};

use crate::s3::store::Object;

fn is(condition: &ETagCondition, object: &Object) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.attributes.etag,
    }
}

/// Whether a write may replace `current`.
///
/// S3 takes `If-None-Match: *` alone on writes; `If-Match` on a key that is not there answers 404.
pub(crate) fn may_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    current: Option<&Object>,
) -> S3Result<()> {
    match if_none_match {
        None => {}
        Some(ETagCondition::Any) if current.is_none() => {}
        Some(ETagCondition::Any) => return Err(failed("If-None-Match")),
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(NotImplemented, "If-None-Match takes only the value * on writes"));
        }
    }
    match (if_match, current) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(s3_error!(NoSuchKey)),
        (Some(condition), Some(object)) if is(condition, object) => Ok(()),
        (Some(_), Some(_)) => Err(failed("If-Match")),
    }
}

/// Whether a delete may remove `current`.
pub(crate) fn may_delete(if_match: Option<&ETagCondition>, current: Option<&Object>) -> S3Result<()> {
    match (if_match, current) {
        (Some(condition), Some(object)) if !is(condition, object) => Err(failed("If-Match")),
        _ => Ok(()),
    }
}

/// Whether a read may see `object`: 412 when `If-Match` does not, 304 when `If-None-Match` does.
pub(crate) fn may_read(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    object: &Object,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !is(condition, object)) {
        return Err(failed("If-Match"));
    }
    if if_none_match.is_some_and(|condition| is(condition, object)) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

/// Whether a copy may take `source`.
pub(crate) fn may_copy(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    source: &Object,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !is(condition, source)) {
        return Err(failed("x-amz-copy-source-If-Match"));
    }
    if if_none_match.is_some_and(|condition| is(condition, source)) {
        return Err(failed("x-amz-copy-source-If-None-Match"));
    }
    Ok(())
}

/// The `ETag` of an object as the protocol writes it.
pub(crate) fn etag(object: &Object) -> ETag {
    ETag::Strong(object.attributes.etag.clone())
}

fn failed(condition: &str) -> s3s::S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold: {condition}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::s3::store::{Attributes, Content};

    #[test]
    fn writes_follow_their_conditions() {
        let attributes = Attributes { etag: "a".to_owned(), ..Attributes::default() };
        let object = Object { attributes, content: Content::Memory(Bytes::new()) };
        let a = ETagCondition::ETag(ETag::Strong("a".to_owned()));
        let b = ETagCondition::ETag(ETag::Strong("b".to_owned()));
        let any = ETagCondition::Any;
        assert!(may_write(None, None, Some(&object)).is_ok());
        assert!(may_write(None, Some(&any), None).is_ok());
        assert!(may_write(None, Some(&any), Some(&object)).is_err());
        assert!(may_write(Some(&a), None, Some(&object)).is_ok());
        assert!(may_write(Some(&b), None, Some(&object)).is_err());
        assert!(may_write(Some(&a), None, None).is_err());
        assert!(may_write(None, Some(&a), None).is_err());
    }
}
