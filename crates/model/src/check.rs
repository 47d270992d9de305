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
    let begun = Instant::now();
    let checker = protocol.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let completes = discoveries.remove(COMPLETED).is_some();
    let broken = discoveries.into_iter().min_by_key(|(name, _)| *name);
    Report {
        name: name.to_owned(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        seconds: begun.elapsed().as_secs_f32(),
        is_exhaustive: checker.is_done() && broken.is_none(),
        completes,
        broken: broken.map(|(name, path)| (name, path.into_actions())),
    }
}

/// Looks for a shortest way to break this invariant.
pub fn break_invariant(name: &str, protocol: &Protocol, invariant: Invariant) -> Report {
    let begun = Instant::now();
    let until = || HasDiscoveries::AnyOf([invariant.name()].into());
    let mut report = Report {
        name: name.to_owned(),
        states: 0,
        depth: 0,
        seconds: 0.0,
        is_exhaustive: false,
        completes: false,
        broken: None,
    };
    let mut checker = protocol.clone().checker().finish_when(until()).spawn_bfs().join();
    loop {
        report.states = report.states.max(checker.unique_state_count());
        report.depth = report.depth.max(checker.max_depth());
        // The checker looks at states in blocks and keeps the last find of a block: only when nothing is nearer is it a
        // shortest way.
        let Some(path) = checker.discovery(invariant.name()) else { break };
        let actions = path.into_actions();
        let nearer = actions.len() + 1;
        report.broken = Some((invariant.name(), actions));
        checker = protocol.clone().checker().target_max_depth(nearer).finish_when(until()).spawn_bfs().join();
    }
    report.seconds = begun.elapsed().as_secs_f32();
    report
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
