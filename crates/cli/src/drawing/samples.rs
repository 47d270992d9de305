//! Drawings for the tests.

use common::{
    ids::OrderNum,
    status::{Outcome, Status},
    target::Target,
};
use proptest::prelude::*;

use super::{Drawing, Node};

/// What strangers may write into a note.
pub(super) const HOSTILE: &str = concat!(
    "\u{1b}[31mred\u{1b}[0m\r\n\"quoted\" \\N 'x' & &amp; #35; <b>b</b> </svg>]]> --> ",
    "%%{init:{}}%% `m` ; | \u{202e}abc\u{ffff}",
);

/// A drawing of orders by name, each with the indices of what it waits for.
pub(super) fn drawing(orders: &[(&str, &[usize])]) -> Drawing {
    let nodes = orders.iter().enumerate().map(|(index, (name, dependencies))| {
        let mut node = Node::new(OrderNum::of_index(index), *name, Target::Lambda);
        node.dependencies = dependencies.to_vec();
        node
    });
    Drawing { title: "job.json".to_owned(), nodes: nodes.collect() }
}

/// One after another.
pub(super) fn chain(size: usize) -> Drawing {
    let names: Vec<String> = (1..=size).map(|number| format!("step-{number:03}")).collect();
    let mut chain = drawing(&names.iter().map(|name| (name.as_str(), &[][..])).collect::<Vec<_>>());
    for index in 1..size {
        chain.nodes[index].dependencies.push(index - 1);
    }
    chain
}

/// One, and so many that wait for it.
pub(super) fn fan(size: usize) -> Drawing {
    let names: Vec<String> = (1..=size).map(|number| format!("shard-{number:03}")).collect();
    let shards = names.iter().map(|name| (name.as_str(), &[0][..]));
    drawing(&[("split", &[][..])].into_iter().chain(shards).collect::<Vec<_>>())
}

/// One, so many that wait for it, and one that waits for all of those.
pub(super) fn fan_and_merge(size: usize) -> Drawing {
    let mut drawing = fan(size);
    let merge = Node::new(OrderNum::of_index(size + 1), "merge", Target::Lambda);
    drawing.nodes.push(Node { dependencies: (1..=size).collect(), ..merge });
    drawing
}

/// Two between one and one, of which one may fail.
pub(super) fn diamond() -> Drawing {
    let mut diamond = drawing(&[("build", &[]), ("test", &[0]), ("lint", &[0]), ("deploy", &[1, 2])]);
    diamond.nodes[2].must_succeed = false;
    diamond.nodes[3].target = Target::Codebuild;
    diamond
}

/// Orders of each status, and one that was reused.
pub(super) fn every_status() -> Drawing {
    let mut run = drawing(&[
        ("build", &[]),
        ("unit", &[0]),
        ("lint", &[0]),
        ("slow", &[0]),
        ("deploy", &[1, 2, 3]),
        ("pack", &[0]),
        ("notify", &[4]),
    ]);
    run.title = "run 34cd32c5".to_owned();
    let all = [
        (Status::Ended(Outcome::Succeeded), Some("reused from run 12ab34cd")),
        (Status::Ended(Outcome::Succeeded), Some("0.2 s")),
        (Status::Ended(Outcome::Failed), Some("0.4 s, exit code 3")),
        (Status::Ended(Outcome::TimedOut), Some("its 60 s are over")),
        (Status::Ended(Outcome::Cancelled), None),
        (Status::Running, None),
        (Status::Queued, None),
    ];
    for (node, (status, note)) in run.nodes.iter_mut().zip(all) {
        node.status = Some(status);
        node.note = note.map(str::to_owned);
    }
    run.nodes[0].reused = true;
    run.nodes[2].must_succeed = false;
    run.nodes[4].target = Target::Ssm;
    run
}

/// Any drawing of up to `most` orders, in any order, with notes of any kind.
pub(super) fn drawings(most: usize) -> impl Strategy<Value = Drawing> {
    let order = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        prop::sample::select(vec!["build", "test-1", "t", "a.b_c-0", "a-name-that-is-much-longer-than-any-column"]),
        prop::sample::select(Target::ALL.to_vec()),
        prop::option::of(prop::sample::select(Status::ALL.to_vec())),
        prop::option::of(prop_oneof![Just(HOSTILE.to_owned()), any::<String>(), "[a-z 界é\u{301}]{0,300}"]),
        any::<(bool, bool)>(),
    );
    (prop::collection::vec(order, 1..=most), any::<String>()).prop_perturb(|(orders, title), mut rng| {
        let size = orders.len();
        // Where each stands in the list; before it in `orders` is what it may wait for.
        let mut places: Vec<usize> = (0..size).collect();
        for last in (1..size).rev() {
            places.swap(last, rng.random_range(0..=last));
        }
        let mut nodes: Vec<Option<Node>> = vec![None; size];
        for (step, (waits_for, name, target, status, note, (must_succeed, reused))) in orders.into_iter().enumerate() {
            let number = OrderNum::of_index(places[step]);
            let mut dependencies: Vec<usize> = match step {
                0 => vec![],
                _ => waits_for.into_iter().map(|index| places[index.index(step)]).collect(),
            };
            dependencies.sort_unstable();
            dependencies.dedup();
            let name = format!("{name}-{number}");
            nodes[places[step]] =
                Some(Node { dependencies, must_succeed, status, note, reused, ..Node::new(number, name, target) });
        }
        Drawing { title, nodes: nodes.into_iter().flatten().collect() }
    })
}

/// Each is in one of `layers` and waits for some of the layer before, or of any before it: what a large job looks like.
pub(super) fn layered(size: usize, layers: usize) -> Drawing {
    let mut drawing = fan(size - 1);
    let mut seed: u64 = 7;
    // The linear congruential generator of Knuth's MMIX, so that the same is drawn each time.
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let wide = size.div_ceil(layers);
    for index in 0..size {
        let layer = index / wide;
        drawing.nodes[index].name = format!("layer-{layer}-{:03}", index % wide);
        let before = layer * wide;
        drawing.nodes[index].dependencies = match layer {
            0 => vec![],
            _ => (0..=draw(3)).map(|_| if draw(10) == 0 { draw(before) } else { before - 1 - draw(wide) }).collect(),
        };
        drawing.nodes[index].dependencies.sort_unstable();
        drawing.nodes[index].dependencies.dedup();
    }
    drawing
}
