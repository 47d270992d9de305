//! Comments and commit statuses against recorded answers, over HTTP.
//!
//! Each test plays a recording: a real server on the loopback gives its answers in their order, and holds what comes
//! in against what the recording expects. `recorded/README.md` says where they come from. What differs from host to
//! host is played for all three.

mod comments;
mod failures;
mod recording;
mod server;
mod stage;
mod statuses;
mod upserts;
