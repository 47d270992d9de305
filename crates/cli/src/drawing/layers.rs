//! Which row of the picture each order stands in, and what stands beside what.
//!
//! An order's *layer* is the length of the longest way to it from an order that waits for nothing. A layer that is too
//! wide is laid out in several *rows*. A line from one row to the next is a *link*; what has further to go takes a
//! *lane*, a gap between the boxes of each row on the way. Lines that leave one order, or lead to one, share its lane;
//! so a fan of a thousand has one. When lanes would take more room than boxes, the shortest are kept, and the other
//! lines pass behind boxes. At last each row is sorted, a few times from above and from below, so that everything
//! stands near the middle of what it is linked to (the barycentre heuristic of Sugiyama, Tagawa and Toda, 1981).
//!
//! Lengths are whole pixels, and all arithmetic is of integers: one drawing is the same picture everywhere.

use super::places::spread;

/// Columns of a row that lanes may take, and points of lanes in a picture: more are no help to a reader.
const MOST_LANES: usize = 24;
const MOST_POINTS: usize = 2_000;

/// How wide a lane is.
const LANE_WIDTH: i64 = 6;

/// How far boxes are from each other.
pub(super) const GAP: i64 = 18;

/// How wide a row is at least before it is broken: what a page shows at once.
const ROW_WIDTH: i64 = 1_400;

/// What one place in a row counts as, so that means of places are not rounded to whole ones.
const SLOT: i64 = 999;

/// Boxes that a lane may stand beside though it should stand among them: it crosses fewer lines so.
const BESIDE: i64 = 3;

/// Times that the rows are sorted from above and from below; more changes little.
const SWEEPS: usize = 3;

/// What stands in which row, and beside what. Items are the boxes, by the index of their order, and from `boxes` on the
/// points at which lanes pass a row.
#[derive(Debug)]
pub(super) struct Arrangement {
    /// How many boxes there are.
    pub(super) boxes: usize,
    /// Widths of all items.
    pub(super) widths: Vec<i64>,
    /// The items of each row, from left to right.
    pub(super) rows: Vec<Vec<usize>>,
    /// The row of each item.
    pub(super) row_of: Vec<usize>,
    /// What each item is linked to in the row above.
    pub(super) above: Vec<Vec<usize>>,
    /// What each item is linked to in the row below.
    pub(super) below: Vec<Vec<usize>>,
    /// Lines that pass behind boxes: from the first order to the second.
    pub(super) behind: Vec<(usize, usize)>,
}

/// A lane: of the lines from an order, or of those to one.
#[derive(Debug, Default)]
struct Lane {
    order: usize,
    comes_from_it: bool,
    /// The orders at the other ends.
    others: Vec<usize>,
    /// Rows that it passes, from the first to before the last.
    first: usize,
    end: usize,
}

/// Arranges boxes of these widths.
pub(super) fn arrange(widths: Vec<i64>, dependencies: &[&[usize]], dependents: &[Vec<usize>]) -> Arrangement {
    let mut rows = Arrangement {
        boxes: widths.len(),
        row_of: vec![0; widths.len()],
        above: vec![vec![]; widths.len()],
        below: vec![vec![]; widths.len()],
        widths,
        rows: vec![],
        behind: vec![],
    };
    rows.fill(layers(dependencies, dependents), dependencies);
    rows.link(dependencies);
    let mut slots = vec![0; rows.widths.len()];
    for _ in 0..SWEEPS {
        for row in 1..rows.rows.len() {
            rows.sort(row, row - 1, &mut slots);
        }
        for row in (1..rows.rows.len()).rev() {
            rows.sort(row - 1, row, &mut slots);
        }
    }
    rows
}

/// The orders of each layer, in order of index.
fn layers(dependencies: &[&[usize]], dependents: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut waits_for: Vec<usize> = dependencies.iter().map(|dependencies| dependencies.len()).collect();
    let mut layer: Vec<usize> = (0..waits_for.len()).filter(|order| waits_for[*order] == 0).collect();
    let mut layers = vec![];
    while !layer.is_empty() {
        let mut next = vec![];
        for order in &layer {
            for dependent in &dependents[*order] {
                waits_for[*dependent] -= 1;
                if waits_for[*dependent] == 0 {
                    next.push(*dependent);
                }
            }
        }
        next.sort_unstable();
        layers.push(std::mem::replace(&mut layer, next));
    }
    layers
}

impl Arrangement {
    /// Puts the orders of each layer into rows of about the same number of them, those with the same dependencies
    /// together.
    fn fill(&mut self, layers: Vec<Vec<usize>>, dependencies: &[&[usize]]) {
        let all: i64 = self.widths.iter().map(|width| width + GAP).sum();
        // A picture of very many orders is about as wide as high, which takes the least scrolling.
        let most = ROW_WIDTH.max((all * 60).isqrt());
        let mut slots: Vec<i64> = vec![0; self.boxes];
        for mut layer in layers {
            layer.sort_by_cached_key(|order| mean(dependencies[*order].iter().map(|above| slots[*above])));
            let wide: i64 = layer.iter().map(|order| self.widths[*order] + GAP).sum();
            let needed = usize::try_from((wide + most - 1) / most).unwrap_or(1).max(1);
            for row in layer.chunks(layer.len().div_ceil(needed)) {
                for (order, slot) in row.iter().zip(0..) {
                    self.row_of[*order] = self.rows.len();
                    slots[*order] = slot * SLOT / whole(row.len());
                }
                self.rows.push(row.to_vec());
            }
        }
    }

    /// Links what stands in neighbouring rows, and everything else by lanes.
    fn link(&mut self, dependencies: &[&[usize]]) {
        let mut far = vec![];
        for (order, dependencies) in dependencies.iter().enumerate() {
            for dependency in *dependencies {
                if self.row_of[*dependency] + 1 == self.row_of[order] {
                    self.join(*dependency, order);
                } else {
                    far.push((*dependency, order));
                }
            }
        }
        let mut lanes = self.lanes(&far);
        lanes.sort_by_key(|lane| (lane.end - lane.first, lane.first, lane.order));
        let mut taken = vec![0; self.rows.len()];
        let mut points = 0;
        for lane in lanes {
            let room = taken[lane.first..lane.end].iter().all(|taken| *taken < MOST_LANES);
            if room && points + (lane.end - lane.first) <= MOST_POINTS {
                points += lane.end - lane.first;
                taken[lane.first..lane.end].iter_mut().for_each(|taken| *taken += 1);
                self.lay(&lane);
            } else if lane.comes_from_it {
                self.behind.extend(lane.others.iter().map(|other| (lane.order, *other)));
            } else {
                self.behind.extend(lane.others.iter().map(|other| (*other, lane.order)));
            }
        }
    }

    /// The lanes that these lines need: each line is in the lane of whichever of its ends has more of them.
    fn lanes(&self, far: &[(usize, usize)]) -> Vec<Lane> {
        let (mut leaving, mut arriving) = (vec![0; self.boxes], vec![0; self.boxes]);
        for (from, to) in far {
            leaving[*from] += 1;
            arriving[*to] += 1;
        }
        let empty = |order, comes_from_it| Lane { order, comes_from_it, first: usize::MAX, ..Lane::default() };
        let mut from_lanes: Vec<Lane> = (0..self.boxes).map(|order| empty(order, true)).collect();
        let mut to_lanes: Vec<Lane> = (0..self.boxes).map(|order| empty(order, false)).collect();
        for (from, to) in far {
            let shares_source = leaving[*from] >= arriving[*to];
            let (lane, other) = if shares_source { (&mut from_lanes[*from], to) } else { (&mut to_lanes[*to], from) };
            lane.others.push(*other);
            lane.first = lane.first.min(self.row_of[*from] + 1);
            lane.end = lane.end.max(self.row_of[*to]);
        }
        from_lanes.into_iter().chain(to_lanes).filter(|lane| !lane.others.is_empty()).collect()
    }

    /// Gives a lane a point in each row that it passes, in the middle, where what it serves is on both of its sides.
    fn lay(&mut self, lane: &Lane) {
        let first_point = self.widths.len();
        for row in lane.first..lane.end {
            let point = self.widths.len();
            self.widths.push(LANE_WIDTH);
            self.row_of.push(row);
            self.above.push(vec![]);
            self.below.push(vec![]);
            let middle = self.rows[row].len() / 2;
            self.rows[row].insert(middle, point);
            if row > lane.first {
                self.join(point - 1, point);
            }
        }
        let point = |row: usize| first_point + row - lane.first;
        if lane.comes_from_it {
            self.join(lane.order, point(lane.first));
            for other in &lane.others {
                self.join(point(self.row_of[*other] - 1), *other);
            }
        } else {
            self.join(point(lane.end - 1), lane.order);
            for other in &lane.others {
                self.join(*other, point(self.row_of[*other] + 1));
            }
        }
    }

    fn join(&mut self, upper: usize, lower: usize) {
        self.below[upper].push(lower);
        self.above[lower].push(upper);
    }

    /// Sorts a row by where the neighbours in the other stand. What has none there stays about where it was. `slots` is
    /// room for a number of each item.
    fn sort(&mut self, row: usize, other: usize, slots: &mut [i64]) {
        for (item, slot) in self.rows[other].iter().zip(0..) {
            slots[*item] = slot * SLOT;
        }
        if self.rows[row].len() == 1 {
            return;
        }
        let (own, others) = (whole(self.rows[row].len()), whole(self.rows[other].len()));
        let mut wanted: Vec<(i64, usize)> = vec![];
        for (item, slot) in self.rows[row].iter().zip(0..) {
            let neighbours = if other < row { &self.above[*item] } else { &self.below[*item] };
            let slot = if neighbours.is_empty() {
                slot * SLOT * others / own
            } else {
                mean(neighbours.iter().map(|item| slots[*item]))
            };
            wanted.push((slot, *item));
        }
        wanted.sort_by_key(|(slot, _)| *slot);
        // Boxes that want the same slot get room beside each other. A lane that wants nearly the same one, and
        // would now be beside many of them, stands among them instead.
        let of_boxes = wanted.iter().filter(|(_, item)| *item < self.boxes).map(|(slot, _)| (*slot, 1));
        let places = spread(of_boxes, &vec![SLOT / 3; wanted.len()], (i64::MIN / 4, i64::MAX / 4));
        let mut before = 0;
        for (slot, item) in &mut wanted {
            if *item < self.boxes {
                before += 1;
                *slot = 2 * before - 1;
            } else {
                let among = whole(places.partition_point(|place| place < slot));
                *slot = 2 * if (among - before).abs() > BESIDE { among } else { before };
            }
        }
        wanted.sort_by_key(|(slot, _)| *slot);
        self.rows[row] = wanted.into_iter().map(|(_, item)| item).collect();
    }
}

/// The mean, 0 of nothing.
pub(super) fn mean(numbers: impl Iterator<Item = i64>) -> i64 {
    let (sum, count) = numbers.fold((0, 0), |(sum, count), number| (sum + number, count + 1));
    if count == 0 { 0 } else { sum / count }
}

/// A number of things, for arithmetic with lengths.
pub(super) fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::{
        Drawing,
        samples::{chain, drawing, drawings, fan, fan_and_merge, layered},
    };
    use proptest::prelude::*;

    fn arranged(drawing: &Drawing) -> Arrangement {
        let dependencies: Vec<&[usize]> = drawing.nodes.iter().map(|node| node.dependencies.as_slice()).collect();
        arrange(vec![100; drawing.nodes.len()], &dependencies, &drawing.dependents())
    }

    /// Every link, lane by lane, back to lines between orders; and those behind boxes.
    fn lines(rows: &Arrangement) -> Vec<(usize, usize)> {
        let mut lines = rows.behind.clone();
        for order in 0..rows.boxes {
            let mut reached = rows.below[order].clone();
            while let Some(item) = reached.pop() {
                if item < rows.boxes {
                    lines.push((order, item));
                } else {
                    reached.extend(&rows.below[item]);
                }
            }
        }
        lines.sort_unstable();
        lines
    }

    #[test]
    fn the_longest_way_makes_the_layer() {
        let rows = arranged(&drawing(&[("d", &[1, 2, 3]), ("a", &[]), ("c", &[1, 3]), ("b", &[1])]));
        assert_eq!(rows.row_of[..4], [3, 0, 2, 1]);
        assert_eq!(lines(&rows), [(1, 0), (1, 2), (1, 3), (2, 0), (3, 0), (3, 2)]);
    }

    #[test]
    fn lines_do_not_cross_where_they_need_not() {
        let rows = arranged(&drawing(&[("a", &[]), ("b", &[]), ("c", &[]), ("x", &[2]), ("y", &[1]), ("z", &[0])]));
        assert_eq!(rows.rows, [[0, 1, 2], [5, 4, 3]]);
    }

    #[test]
    fn a_wide_layer_is_broken_and_served_by_one_lane() {
        let rows = arranged(&fan(100));
        let wide = |row: &Vec<usize>| row.iter().map(|item| rows.widths[*item] + GAP).sum::<i64>();
        assert!(rows.rows.iter().all(|row| wide(row) < ROW_WIDTH * 11 / 10), "{rows:?}");
        assert_eq!(rows.rows.len(), 1 + 9);
        // A point in each row but the last.
        assert_eq!(rows.widths.len() - rows.boxes, rows.rows.len() - 2);
        assert!(rows.behind.is_empty());
    }

    #[test]
    fn large_jobs_are_laid_out_within_bounds() {
        for large in [chain(1_000), fan(999), fan_and_merge(998), layered(1_000, 10), layered(1_000, 200)] {
            let rows = arranged(&large);
            assert!(rows.widths.len() - rows.boxes <= MOST_POINTS);
            for row in &rows.rows {
                let boxes = row.iter().filter(|item| **item < rows.boxes).count();
                assert!(boxes <= 30 && row.len() - boxes <= MOST_LANES, "{row:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_line_goes_down_and_none_is_lost(drawing in drawings(40)) {
            let rows = arranged(&drawing);
            let mut expected: Vec<(usize, usize)> = vec![];
            for (index, node) in drawing.nodes.iter().enumerate() {
                expected.extend(node.dependencies.iter().map(|dependency| (*dependency, index)));
            }
            expected.sort_unstable();
            prop_assert_eq!(lines(&rows), expected);
            for (item, below) in rows.below.iter().enumerate() {
                prop_assert!(below.iter().all(|lower| rows.row_of[*lower] == rows.row_of[item] + 1));
            }
            let mut items: Vec<usize> = rows.rows.concat();
            items.sort_unstable();
            prop_assert_eq!(items, (0..rows.widths.len()).collect::<Vec<_>>());
        }
    }
}
