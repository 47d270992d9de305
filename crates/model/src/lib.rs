//! The protocol of a run as a model, and a checker that explores every order in which things can happen and go wrong.
//!
//! ```text
//!                       Budgets: crash, duplicate, drop, zombie, lost reply, error …
//!                          │
//!  Submitter ─flip─▶ Item ◀┴▶ Pass ──invoke──▶ Worker ─lost─▶ LostWorker
//!                     ▲       │ ▲ │               │               │
//!                     │       │ │ └──── end ────┐ │ claim, result │
//!       Tick ──wake───┼──▶ Event◀───────────  Store ◀─────────────┘
//!                     │         result          ▲
//!                 Invariant ◀── Witness         └──── Watchdog
//! ```
//!
//! A [`State`](state::State) is everything that is stored, on its way, or at work. An [`Action`](action::Action) is one
//! call to AWS, or one thing that goes wrong. The [`Invariant`](invariants::Invariant)s must hold in every state. A
//! [`Flaw`](flaws::Flaw) makes a broken variant, in which the checker must find a counter-example: it shows that the check
//! can fail. `docs/MODEL.md` tells what is modelled and what is not; the configurations are in this crate's tests.

pub mod action;
mod calls;
pub mod check;
mod engine_end;
pub mod faults;
pub mod flaws;
pub mod holder;
pub mod invariants;
pub mod job;
pub mod ledger;
pub mod orders;
pub mod protocol;
pub mod state;
pub mod stops;
pub mod submission;
pub mod variants;
pub mod worker;
