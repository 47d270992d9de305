//! What the functions share: the nouns of the engine, where they are kept, and the steps of a submission.

pub mod archive;
pub mod clock;
pub mod env;
pub mod git;
pub mod sops;
pub mod stack;
pub mod worker_event;
