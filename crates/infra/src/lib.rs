//! What the Terraform in `infra/02-deploy` says, as values. For the tests that hold it against the engine: names,
//! variables and keys against the constants of the code, the roles' policies against the calls that were recorded.
//!
//! ```text
//!   infra/02-deploy/*.tf ─▶ module ─▶ values (variables, locals, functions of the language) ─▶ policies
//! ```
//!
//! It evaluates as much of the language as these files use, and says so when they use more. It is no Terraform: it knows
//! no provider, so of resources it knows only what the files themselves say.

pub mod module;
pub mod policies;
mod values;

pub use hcl;
pub use module::{Choices, Module};
