//! Exploring a configuration, and telling what came of it in a line.

use std::{
    fmt::{self, Write as _},
    time::Instant,
};

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::{
    action::Action,
    invariants::{COMPLETED, Invariant},
    protocol::Protocol,
};

/// What an exploration came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was explored.
    pub name: String,
    /// States that differ.
    pub states: usize,
    /// Most steps from the beginning.
    pub depth: usize,
    /// How long it took.
    pub seconds: f32,
    /// Whether every state that can be reached was.
    pub is_exhaustive: bool,
    /// Whether the run is completed in one of them.
    pub completes: bool,
    /// What was broken, and the way to it.
    pub broken: Option<(&'static str, Vec<Action>)>,
}

/// Explores a configuration, every state of it unless an invariant breaks.
pub fn explore(name: &str, protocol: Protocol, threads: usize) -> Report {
    run(name, protocol, threads, HasDiscoveries::AnyFailures, None)
}

/// Looks for a shortest way to break this invariant.
pub fn break_invariant(name: &str, protocol: Protocol, invariant: Invariant) -> Report {
    // One thread goes breadth first, so the way that it finds is a shortest.
    run(name, protocol, 1, HasDiscoveries::AnyOf([invariant.name()].into()), Some(invariant))
}

fn run(name: &str, protocol: Protocol, threads: usize, until: HasDiscoveries, wanted: Option<Invariant>) -> Report {
    let begun = Instant::now();
    let checker = protocol.checker().threads(threads).finish_when(until).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let completes = discoveries.remove(COMPLETED).is_some();
    let found = match wanted {
        Some(invariant) => discoveries.remove_entry(invariant.name()),
        None => discoveries.into_iter().min_by_key(|(name, _)| *name),
    };
    Report {
        name: name.to_owned(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        seconds: begun.elapsed().as_secs_f32(),
        is_exhaustive: checker.is_done() && found.is_none(),
        completes,
        broken: found.map(|(name, path)| (name, path.into_actions())),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, states, depth, seconds, .. } = self;
        write!(f, "{name}: {states} states, depth {depth}, {seconds:.1} s")?;
        let Some((invariant, actions)) = &self.broken else { return Ok(()) };
        write!(f, ", breaks `{invariant}` in {} steps", actions.len())?;
        let mut trace = String::new();
        for action in actions {
            write!(trace, "\n    {action:?}")?;
        }
        f.write_str(&trace)
    }
}
