//! What the functions share: the nouns of the engine, where they are kept, and the steps of a submission.
//!
//! ```text
//!  nouns        ids  status  target  order  job  plan  bundle  outcome
//!  decisions    graph (what follows from a ledger)   ledger (letters)   intake::validate
//!  kept in      run_item  rows  events (DynamoDB)    objects  claim (S3)    credentials
//!  tools        aws  http  clock  env  keys  stack  archive  git  sops  json  text  telemetry  vcs
//!  submission   intake::{request, validate, reserve, package, upload, kick_off, answer}
//! ```

pub mod archive;
pub mod aws;
pub mod bundle;
pub mod claim;
pub mod clock;
pub mod credentials;
pub mod dynamo;
pub mod env;
pub mod events;
pub mod executor;
pub mod fleet;
pub mod git;
pub mod graph;
pub mod http;
pub mod ids;
pub mod intake;
pub mod job;
pub mod json;
pub mod keys;
pub mod ledger;
pub mod objects;
pub mod order;
pub mod outcome;
pub mod plan;
pub mod rows;
pub mod run_item;
pub mod sops;
pub mod stack;
pub mod status;
pub mod target;
pub mod telemetry;
pub mod text;
pub mod vcs;
pub mod watchdog;
pub mod worker_event;
pub mod worker_exit;
