//! Finds any of many patterns while reading each byte once (Aho and Corasick's automaton).
//!
//! The crate of that name is faster, but does not tell how much of a pattern it has read, and that is what decides
//! which bytes have to be held back. Waiting for the longest pattern instead would hide the last kilobytes of a log
//! for as long as a private key is among the secrets.
//!
//! States are the prefixes of all patterns. Each knows its *fallback*: the longest other prefix that it ends with.
//! Reading on from a state costs a step down for each step up, so a text of n bytes costs at most 2n steps, whatever
//! the text.

use std::collections::VecDeque;

/// A prefix of a pattern; the default is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State(u32);

/// No state: the root is nobody's child, so its number is free for this.
const NONE: u32 = 0;

#[derive(Clone)]
struct Node {
    /// The last byte of the prefix.
    byte: u8,
    /// The first of the prefixes that are one byte longer, and the next of those beside this one.
    child: u32,
    sibling: u32,
    fallback: u32,
    /// Length of the prefix; once linked, of the longest part at its end that can still go on.
    depth: u32,
    /// Length of the longest pattern that the prefix ends with; zero when there is none.
    matched: u32,
}

pub(super) struct Automaton {
    nodes: Vec<Node>,
    /// Children of the root by byte, since almost every byte of an output is looked up there.
    first: [u32; 256],
}

impl Automaton {
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let root = Node { byte: 0, child: NONE, sibling: NONE, fallback: 0, depth: 0, matched: 0 };
        let mut automaton = Self { nodes: vec![root], first: [NONE; 256] };
        for pattern in patterns {
            automaton.insert(pattern);
        }
        automaton.link();
        automaton
    }

    /// The state after one more byte.
    pub(super) fn next(&self, state: State, byte: u8) -> State {
        let mut at = state.0;
        loop {
            let child = self.child(at, byte);
            if child != NONE || at == 0 {
                return State(child);
            }
            at = self.nodes[at as usize].fallback;
        }
    }

    /// How many of these bytes pass from the root without beginning a pattern.
    pub(super) fn idle(&self, bytes: &[u8]) -> usize {
        bytes.iter().position(|byte| self.first[usize::from(*byte)] != NONE).unwrap_or(bytes.len())
    }

    /// How many of the last bytes may become a pattern.
    pub(super) fn depth(&self, state: State) -> usize {
        self.nodes[state.0 as usize].depth as usize
    }

    /// Length of the longest pattern that ends here.
    pub(super) fn longest_match(&self, state: State) -> Option<usize> {
        match self.nodes[state.0 as usize].matched {
            0 => None,
            length => Some(length as usize),
        }
    }

    fn child(&self, at: u32, byte: u8) -> u32 {
        if at == 0 {
            return self.first[usize::from(byte)];
        }
        let mut child = self.nodes[at as usize].child;
        while child != NONE && self.nodes[child as usize].byte != byte {
            child = self.nodes[child as usize].sibling;
        }
        child
    }

    fn insert(&mut self, pattern: &[u8]) {
        let mut at = 0;
        for (depth, &byte) in (1..).zip(pattern) {
            let mut child = self.child(at, byte);
            if child == NONE {
                // Values are limited to 64 KiB each, far from 2^32 bytes of forms.
                let Ok(new) = u32::try_from(self.nodes.len()) else { return };
                let parent = &mut self.nodes[at as usize];
                let sibling = std::mem::replace(&mut parent.child, new);
                self.nodes.push(Node { byte, child: NONE, sibling, fallback: 0, depth, matched: 0 });
                if at == 0 {
                    self.first[usize::from(byte)] = new;
                }
                child = new;
            }
            at = child;
        }
        let depth = self.nodes[at as usize].depth;
        self.nodes[at as usize].matched = depth;
    }

    /// Sets fallbacks, shorter prefixes first: those of the longer ones are found through them.
    fn link(&mut self) {
        let mut queue = VecDeque::from([0_u32]);
        while let Some(at) = queue.pop_front() {
            let mut child = self.nodes[at as usize].child;
            while child != NONE {
                let byte = self.nodes[child as usize].byte;
                let fallback = if at == 0 { 0 } else { self.next(State(self.nodes[at as usize].fallback), byte).0 };
                let Node { matched, depth, .. } = self.nodes[fallback as usize];
                let node = &mut self.nodes[child as usize];
                node.fallback = fallback;
                node.matched = node.matched.max(matched);
                if node.child == NONE {
                    node.depth = depth;
                }
                queue.push_back(child);
                child = node.sibling;
            }
        }
    }
}
