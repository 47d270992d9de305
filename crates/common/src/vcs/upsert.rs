//! One comment of a tag, kept up to date. What it promises, and what it can't, is said in [`super`].

use std::time::Duration;

use super::{Change, Comment, Posted, Subject, Tag, Vcs, VcsError, errand::Errand};

/// Between an answer that was lost and the look for what it left: what is stored shows in a list by then.
const SETTLE: Duration = Duration::from_secs(2);

impl Vcs {
    /// Gives the comment with the tag this text, or writes it. Safe to repeat.
    pub async fn upsert(&self, subject: Subject, tag: &Tag, text: &str) -> Result<Posted, VcsError> {
        let body = self.body(tag, text)?;
        let mut errand = self.comments("comment on", subject)?;
        let found = self.tagged(&mut errand, subject, tag).await?;
        let unclear = match self.put(&mut errand, subject, &found, &body).await {
            Err(error @ VcsError::Unclear { .. }) => error,
            done => return done,
        };
        tracing::info!(error = %unclear, "looking whether the comment is there");
        if !errand.wait(SETTLE).await {
            return Err(unclear);
        }
        let was_none = found.is_empty();
        let found = self.tagged(&mut errand, subject, tag).await?;
        let posted = self.put(&mut errand, subject, &found, &body).await?;
        // What is there now and was not before came of the first attempt.
        let change = if was_none { Change::Created } else { posted.change };
        Ok(Posted { change, ..posted })
    }

    /// Gives the first of the comments that can be changed the text; where there is none, another one is written.
    async fn put(
        &self,
        errand: &mut Errand<'_>,
        subject: Subject,
        found: &[Comment],
        body: &str,
    ) -> Result<Posted, VcsError> {
        for comment in found {
            let others = found.len() - 1;
            // Hosts may cut blanks at the end, and keep ends of lines in their own way.
            if comment.body.replace("\r\n", "\n").trim_end() == body.trim_end() {
                return Ok(Posted { comment: comment.clone(), change: Change::Unchanged, others });
            }
            match self.written(errand, subject, &self.provider.update(subject, comment.id, body)).await {
                Ok(comment) => return Ok(Posted { comment, change: Change::Updated, others }),
                // Gone meanwhile, or somebody else's.
                Err(VcsError::NotFound { .. } | VcsError::Refused { status: 403, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let comment = self.written(errand, subject, &self.provider.create(subject, body)).await?;
        Ok(Posted { comment, change: Change::Created, others: found.len() })
    }
}
