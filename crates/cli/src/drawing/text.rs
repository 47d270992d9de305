//! The drawing as a tree of text: a line for each order, below everything that it waits for.
//!
//! An order stands below the last of its dependencies that is drawn, and its line names the others. What waits for one
//! order and is alone in that goes on below it with `↓`, without being indented, so that a chain of any length stays
//! where it began; only branches are indented. From [`MOST_LEVELS`] on they are not either: there the lines say how
//! deep they are and what they wait for.
//!
//! ```text
//! nightly.json: 5 orders
//! ├─ build    lambda
//! │  ├─ test  lambda
//! │  └─ lint  lambda     may fail
//! │   ↓ push  codebuild  (also after test)
//! └─ docs     lambda
//! ```

use anstyle::Style;
use common::status::Status;

use super::{Drawing, Node, names, shown};
use crate::{
    columns::width,
    terminal::{Line, Look, style},
};

/// Levels that are indented: half of a line of 80 is left for what they hold.
const MOST_LEVELS: usize = 12;

/// Dependencies that are named on a line. A job may have thousands.
const MOST_NAMES: usize = 4;

/// The widest that the names are aligned; a line whose name is longer has its columns further right.
const WIDEST_NAMES: usize = 48;

/// How an order hangs on the one that it stands below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hangs {
    /// As one of several, indented.
    Branch { last: bool },
    /// As the only one, on the next line.
    Next,
}

/// An order's place in the tree.
#[derive(Debug)]
struct Place {
    index: usize,
    /// The one above, unless it waits for nothing.
    above: Option<usize>,
    /// How many branchings are above.
    level: usize,
    hangs: Hangs,
}

/// Draws the tree. It ends with a newline.
pub(crate) fn draw(drawing: &Drawing, look: Look) -> String {
    let mut rows: Vec<Row> = vec![];
    walk(drawing, |place, open| rows.push(row(drawing, place, open)));
    let any_status = drawing.nodes.iter().any(|node| node.status.is_some());
    let room = look.width.map_or(WIDEST_NAMES, |width| WIDEST_NAMES.min(width / 2));
    let columns = Columns {
        name: rows.iter().map(Row::name_width).max().unwrap_or(0).min(room),
        target: drawing.nodes.iter().map(|node| node.target.as_str().len()).max().unwrap_or(0),
        status: any_status
            .then(|| drawing.statuses().iter().map(|(status, _)| status.as_str().len()).max().unwrap_or(0)),
    };
    let mut text = String::new();
    let title = format!("{}: {}", shown(&drawing.title), drawing.size());
    Line::default().piece(title, Style::new().bold()).write(&mut text, look);
    for row in rows {
        row.line(&columns).write(&mut text, look);
    }
    text
}

/// Visits every order once, each after what it waits for. `open` says of each level whether its line goes on below.
fn walk(drawing: &Drawing, mut visit: impl FnMut(&Place, &[bool])) {
    let dependents = drawing.dependents();
    let mut waits_for: Vec<usize> = drawing.nodes.iter().map(|node| node.dependencies.len()).collect();
    let roots = (0..drawing.nodes.len()).filter(|index| waits_for[*index] == 0).collect();
    let mut open = vec![];
    // A stack in place of recursion, which a long chain would be too deep for; the next place is its last.
    let mut places = branches(roots, None, 0);
    while let Some(place) = places.pop() {
        if let (Hangs::Branch { last }, true) = (place.hangs, place.level < MOST_LEVELS) {
            open.truncate(place.level);
            open.push(!last);
        }
        visit(&place, &open);
        let mut below: Vec<usize> = vec![];
        for dependent in &dependents[place.index] {
            waits_for[*dependent] -= 1;
            if waits_for[*dependent] == 0 {
                below.push(*dependent);
            }
        }
        if let [only] = below[..] {
            places.push(Place { index: only, above: Some(place.index), level: place.level, hangs: Hangs::Next });
        } else {
            places.extend(branches(below, Some(place.index), place.level + 1));
        }
    }
}

/// The places of what hangs below one order, the first of them last.
fn branches(below: Vec<usize>, above: Option<usize>, level: usize) -> Vec<Place> {
    let mut last = true;
    let place = |index| Place { index, above, level, hangs: Hangs::Branch { last: std::mem::take(&mut last) } };
    below.into_iter().rev().map(place).collect()
}

/// A line before its columns are known.
struct Row<'d> {
    node: &'d Node,
    /// The lines of the tree.
    rails: String,
    /// What it waits for, as far as its place does not show it.
    after: Option<String>,
}

/// How wide the columns are.
struct Columns {
    name: usize,
    target: usize,
    /// Nothing in the drawing of a job.
    status: Option<usize>,
}

fn row<'d>(drawing: &'d Drawing, place: &Place, open: &[bool]) -> Row<'d> {
    let node = &drawing.nodes[place.index];
    let too_deep = place.level >= MOST_LEVELS;
    let levels = if too_deep { open } else { &open[..place.level] };
    let mut rails: String = levels.iter().map(|open| if *open { "│  " } else { "   " }).collect();
    rails.push_str(match place.hangs {
        _ if too_deep => "┄┄ ",
        Hangs::Branch { last: false } => "├─ ",
        Hangs::Branch { last: true } => "└─ ",
        Hangs::Next if open[place.level] => "│↓ ",
        Hangs::Next => " ↓ ",
    });
    let name = |index: &usize| drawing.nodes[*index].name.as_str();
    let after = if too_deep {
        let all: Vec<&str> = node.dependencies.iter().map(name).collect();
        Some(format!("(level {}, after {})", place.level + 1, names(all.into_iter(), MOST_NAMES)))
    } else {
        let others: Vec<&str> =
            node.dependencies.iter().filter(|index| Some(**index) != place.above).map(name).collect();
        (!others.is_empty()).then(|| format!("(also after {})", names(others.into_iter(), MOST_NAMES)))
    };
    Row { node, rails, after }
}

impl Row<'_> {
    fn name_width(&self) -> usize {
        width(&self.rails) + width(&self.node.signed_name())
    }

    fn line(&self, columns: &Columns) -> Line {
        let node = self.node;
        let own = node.status.map_or_else(Style::new, style);
        let own = if node.reused { own.dimmed() } else { own };
        let mut name = node.signed_name();
        name.push_str(&" ".repeat(columns.name.saturating_sub(self.name_width()) + 2));
        let target = format!("{:<width$}  ", node.target.as_str(), width = columns.target);
        let mut line = Line::default().dim(&self.rails).piece(name, own).dim(target);
        if let Some(width) = columns.status {
            let word = node.status.map_or("", Status::as_str);
            line = line.piece(format!("{word:<width$}  "), own);
        }
        let remarks = Some(node.remarks().join(", ")).filter(|remarks| !remarks.is_empty());
        line.then(remarks.into_iter().chain(self.after.clone()).collect::<Vec<_>>().join("  "))
    }
}

#[cfg(test)]
mod tests {
    use common::{ids::OrderNum, target::Target};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::drawing::samples::{chain, diamond, drawing, every_status, fan};

    fn plain(drawing: &Drawing) -> String {
        draw(drawing, Look::default())
    }

    #[test]
    fn a_chain_stays_where_it_began() {
        insta::assert_snapshot!(plain(&chain(4)), @r"
        job.json: 4 orders
        └─ step-001  lambda
         ↓ step-002  lambda
         ↓ step-003  lambda
         ↓ step-004  lambda
        ");
        let long = plain(&chain(1_000));
        assert!(long.lines().skip(2).all(|line| line.starts_with(" ↓ step-")), "{long}");
    }

    #[test]
    fn a_fan_is_a_branch_each() {
        insta::assert_snapshot!(plain(&fan(3)), @r"
        job.json: 4 orders
        └─ split         lambda
           ├─ shard-001  lambda
           ├─ shard-002  lambda
           └─ shard-003  lambda
        ");
        assert_eq!(plain(&fan(999)).lines().count(), 1_001);
        insta::assert_snapshot!(plain(&fan(999).collapsed()), @r"
        job.json: 1000 orders
        └─ split                  lambda
         ↓ shard-001 … shard-999  lambda  999 orders
        ");
    }

    #[test]
    fn an_order_with_several_dependencies_stands_below_the_last() {
        insta::assert_snapshot!(plain(&diamond()), @r"
        job.json: 4 orders
        └─ build      lambda
           ├─ test    lambda
           └─ lint    lambda     may fail
            ↓ deploy  codebuild  (also after test)
        ");
    }

    #[test]
    fn two_roots_are_two_trees() {
        let two = drawing(&[("deploy", &[1, 3]), ("build", &[]), ("docs", &[]), ("test", &[1]), ("publish", &[2])]);
        insta::assert_snapshot!(plain(&two), @r"
        job.json: 5 orders
        ├─ build    lambda
        │↓ test     lambda
        │↓ deploy   lambda  (also after build)
        └─ docs     lambda
         ↓ publish  lambda
        ");
    }

    #[test]
    fn every_status_has_a_sign_a_word_and_a_colour() {
        insta::assert_snapshot!(plain(&every_status()), @r"
        run 34cd32c5: 7 orders
        └─ ✓ build      lambda  succeeded  reused from run 12ab34cd
           ├─ ✓ unit    lambda  succeeded  0.2 s
           ├─ ✗ lint    lambda  failed     may fail, 0.4 s, exit code 3
           ├─ ⧖ slow    lambda  timed_out  its 60 s are over
           │↓ ⊘ deploy  ssm     cancelled  (also after unit, lint)
           │↓ · notify  lambda  queued
           └─ ▸ pack    lambda  running
        ");
        let coloured = draw(&every_status(), Look { width: None, colour: true }).replace('\u{1b}', "␛");
        insta::assert_snapshot!(coloured, @r"
        ␛[1mrun 34cd32c5: 7 orders␛[0m
        ␛[2m└─ ␛[0m␛[2m␛[32m✓ build      ␛[0m␛[2mlambda  ␛[0m␛[2m␛[32msucceeded  ␛[0mreused from run 12ab34cd
        ␛[2m   ├─ ␛[0m␛[32m✓ unit    ␛[0m␛[2mlambda  ␛[0m␛[32msucceeded  ␛[0m0.2 s
        ␛[2m   ├─ ␛[0m␛[31m✗ lint    ␛[0m␛[2mlambda  ␛[0m␛[31mfailed     ␛[0mmay fail, 0.4 s, exit code 3
        ␛[2m   ├─ ␛[0m␛[33m⧖ slow    ␛[0m␛[2mlambda  ␛[0m␛[33mtimed_out  ␛[0mits 60 s are over
        ␛[2m   │↓ ␛[0m␛[33m⊘ deploy  ␛[0m␛[2mssm     ␛[0m␛[33mcancelled  ␛[0m(also after unit, lint)
        ␛[2m   │↓ ␛[0m␛[90m· notify  ␛[0m␛[2mlambda  ␛[0m␛[90mqueued␛[0m
        ␛[2m   └─ ␛[0m␛[36m▸ pack    ␛[0m␛[2mlambda  ␛[0m␛[36mrunning␛[0m
        ");
    }

    #[test]
    fn lines_are_cut_to_the_width() {
        let mut wide = every_status();
        wide.nodes[2].note = Some("表示幅は二列です 👩‍🚀 ".repeat(10));
        insta::assert_snapshot!(draw(&wide, Look { width: Some(60), colour: false }), @r"
        run 34cd32c5: 7 orders
        └─ ✓ build      lambda  succeeded  reused from run 12ab34cd
           ├─ ✓ unit    lambda  succeeded  0.2 s
           ├─ ✗ lint    lambda  failed     may fail, 表示幅は二列で…
           ├─ ⧖ slow    lambda  timed_out  its 60 s are over
           │↓ ⊘ deploy  ssm     cancelled  (also after unit, lint)
           │↓ · notify  lambda  queued
           └─ ▸ pack    lambda  running
        ");
        for most in 0..100 {
            let cut = draw(&wide, Look { width: Some(most), colour: false });
            assert!(cut.lines().all(|line| line.width() <= most), "{most}: {cut}");
        }
    }

    #[test]
    fn deep_branches_say_how_deep_they_are() {
        // Each of a chain has an order beside the next one, so that each is a branch.
        let mut deep = drawing(&[]);
        for level in 0..15_usize {
            for name in ["next", "side"] {
                let number = OrderNum::of_index(deep.nodes.len());
                let mut node = Node::new(number, format!("{name}-{level}"), Target::Lambda);
                node.dependencies.extend(level.checked_sub(1).map(|above| 2 * above));
                deep.nodes.push(node);
            }
        }
        insta::assert_snapshot!(plain(&deep), @r"
        job.json: 30 orders
        ├─ next-0                                       lambda
        │  ├─ next-1                                    lambda
        │  │  ├─ next-2                                 lambda
        │  │  │  ├─ next-3                              lambda
        │  │  │  │  ├─ next-4                           lambda
        │  │  │  │  │  ├─ next-5                        lambda
        │  │  │  │  │  │  ├─ next-6                     lambda
        │  │  │  │  │  │  │  ├─ next-7                  lambda
        │  │  │  │  │  │  │  │  ├─ next-8               lambda
        │  │  │  │  │  │  │  │  │  ├─ next-9            lambda
        │  │  │  │  │  │  │  │  │  │  ├─ next-10        lambda
        │  │  │  │  │  │  │  │  │  │  │  ├─ next-11     lambda
        │  │  │  │  │  │  │  │  │  │  │  │  ┄┄ next-12  lambda  (level 13, after next-11)
        │  │  │  │  │  │  │  │  │  │  │  │  ┄┄ next-13  lambda  (level 14, after next-12)
        │  │  │  │  │  │  │  │  │  │  │  │  ┄┄ next-14  lambda  (level 15, after next-13)
        │  │  │  │  │  │  │  │  │  │  │  │  ┄┄ side-14  lambda  (level 15, after next-13)
        │  │  │  │  │  │  │  │  │  │  │  │  ┄┄ side-13  lambda  (level 14, after next-12)
        │  │  │  │  │  │  │  │  │  │  │  │  ┄┄ side-12  lambda  (level 13, after next-11)
        │  │  │  │  │  │  │  │  │  │  │  └─ side-11     lambda
        │  │  │  │  │  │  │  │  │  │  └─ side-10        lambda
        │  │  │  │  │  │  │  │  │  └─ side-9            lambda
        │  │  │  │  │  │  │  │  └─ side-8               lambda
        │  │  │  │  │  │  │  └─ side-7                  lambda
        │  │  │  │  │  │  └─ side-6                     lambda
        │  │  │  │  │  └─ side-5                        lambda
        │  │  │  │  └─ side-4                           lambda
        │  │  │  └─ side-3                              lambda
        │  │  └─ side-2                                 lambda
        │  └─ side-1                                    lambda
        └─ side-0                                       lambda
        ");
    }

    #[test]
    fn many_dependencies_are_counted() {
        let names: Vec<String> = (0..9).map(|index| format!("build-{index}")).collect();
        let mut orders: Vec<(&str, &[usize])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
        orders.push(("deploy", &[0, 1, 2, 3, 4, 5, 6, 7, 8]));
        let drawn = plain(&drawing(&orders));
        let last = drawn.lines().last().unwrap();
        assert!(last.ends_with("(also after build-0, build-1, build-2, build-3 and 4 others)"), "{last}");
    }
}
