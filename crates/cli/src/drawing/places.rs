//! Where in its row everything stands, and how far apart rows are.
//!
//! Everything wants to stand at the mean of what it is linked to, above and below in turn. What wants the same place is
//! moved as little as possible (least squares: pool adjacent violators). Lanes want it more than boxes, so that they
//! are straight. Nothing goes further to the side than the widest row has to: rows that each stand a little aside of
//! the one above would make stairs.

use super::layers::{Arrangement, GAP, mean};

/// How high a box is.
pub(super) const BOX_HEIGHT: i64 = 44;

/// Rows are this far apart, and more where lines go far to the side, which would be flat otherwise.
const NEAREST_ROWS: i64 = 30;
const FARTHEST_ROWS: i64 = 80;

/// Times that everything moves; more changes little.
const SWEEPS: usize = 4;

/// How wide a picture may be, in percent of its widest row.
const SLACK: i64 = 110;

/// How much more a lane is moved towards its place than a box.
const STRAIGHT: i64 = 8;

/// Where everything stands, in pixels from the left and from the top.
#[derive(Debug)]
pub(super) struct Places {
    /// The middle of each item.
    pub(super) middle: Vec<i64>,
    /// The top of each row.
    pub(super) top: Vec<i64>,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// Gives everything its place.
pub(super) fn place(rows: &Arrangement) -> Places {
    let packed = |row: &Vec<usize>| row.iter().map(|item| rows.widths[*item] + GAP).sum::<i64>();
    let most = rows.rows.iter().map(packed).max().unwrap_or(0) * SLACK / 100;
    let mut middle = vec![0; rows.widths.len()];
    for row in &rows.rows {
        settle(rows, row, &vec![0; row.len()], most, &mut middle);
    }
    for _ in 0..SWEEPS {
        for row in 1..rows.rows.len() {
            pull(rows, row, most, &mut middle, |item| rows.above[item].iter());
        }
        for row in (0..rows.rows.len().saturating_sub(1)).rev() {
            pull(rows, row, most, &mut middle, |item| rows.below[item].iter());
        }
    }
    let left = middle.iter().zip(&rows.widths).map(|(middle, width)| middle - width / 2).min().unwrap_or(0);
    for middle in &mut middle {
        *middle -= left;
    }
    let width = middle.iter().zip(&rows.widths).map(|(middle, width)| middle + width / 2).max().unwrap_or(0);
    let mut top = vec![];
    let mut height = 0;
    for row in &rows.rows {
        top.push(height);
        let aside = |item: &usize| rows.below[*item].iter().map(|lower| (middle[*lower] - middle[*item]).abs()).max();
        let farthest = row.iter().filter_map(aside).max().unwrap_or(0);
        height += BOX_HEIGHT + (NEAREST_ROWS + farthest / 8).min(FARTHEST_ROWS);
    }
    let height = top.last().map_or(0, |top| top + BOX_HEIGHT);
    Places { middle, top, width, height }
}

/// Moves what stands in a row towards its neighbours.
fn pull<'r, N: Iterator<Item = &'r usize>>(
    rows: &Arrangement,
    row: usize,
    most: i64,
    middle: &mut [i64],
    neighbours: impl Fn(usize) -> N,
) {
    let row = &rows.rows[row];
    let wanted = |item: &usize| {
        let mut neighbours = neighbours(*item).map(|item| middle[*item]).peekable();
        if neighbours.peek().is_some() { mean(neighbours) } else { middle[*item] }
    };
    let wanted: Vec<i64> = row.iter().map(wanted).collect();
    settle(rows, row, &wanted, most, middle);
}

/// Puts each item of a row as close to where it is wanted as the others, and `most` pixels around 0, allow.
fn settle(rows: &Arrangement, row: &[usize], wanted: &[i64], most: i64, middle: &mut [i64]) {
    let width = |item: &usize| rows.widths[*item];
    let apart: Vec<i64> = row.windows(2).map(|pair| i64::midpoint(width(&pair[0]), width(&pair[1])) + GAP).collect();
    let wanted = row.iter().zip(wanted).map(|(item, wanted)| (*wanted, if *item < rows.boxes { 1 } else { STRAIGHT }));
    let (first, last) = (row.first().map_or(0, width), row.last().map_or(0, width));
    let bounds = ((first - most) / 2, (most - last) / 2);
    for (item, place) in row.iter().zip(spread(wanted, &apart, bounds)) {
        middle[*item] = place;
    }
}

/// What stands at its least distance from its neighbours, and is moved together.
struct Run {
    /// Sum of weights, and of weighted places.
    weight: i64,
    sum: i64,
    size: usize,
}

/// Places in order, each at least so far `apart` from the next, that differ as little as possible from the wanted ones,
/// which come with how much they weigh; the first and the last are within the bounds, which leave room for all.
pub(super) fn spread(wanted: impl Iterator<Item = (i64, i64)>, apart: &[i64], bounds: (i64, i64)) -> Vec<i64> {
    // Measured from where it stands when all are at their least distance, places need only not fall.
    let least: Vec<i64> = [0]
        .iter()
        .chain(apart)
        .scan(0, |sum, apart| {
            *sum += apart;
            Some(*sum)
        })
        .collect();
    let mut runs: Vec<Run> = vec![];
    for ((wanted, weight), least) in wanted.zip(&least) {
        let mut run = Run { weight, sum: weight * (wanted - least), size: 1 };
        while let Some(left) = runs.pop_if(|left| left.sum * run.weight > run.sum * left.weight) {
            run = Run { weight: run.weight + left.weight, sum: run.sum + left.sum, size: run.size + left.size };
        }
        runs.push(run);
    }
    // What is best without bounds is, moved to the nearest bound, best within them.
    let (low, high) = (bounds.0, bounds.1 - least.last().unwrap_or(&0));
    let place = |run: &Run| run.sum.div_euclid(run.weight).min(high).max(low);
    let places = runs.iter().flat_map(|run| std::iter::repeat_n(place(run), run.size));
    places.zip(least).map(|(place, least)| place + least).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drawing::{
        Drawing,
        layers::arrange,
        samples::{chain, drawings, fan, fan_and_merge, layered},
    };

    fn placed(drawing: &Drawing) -> (Arrangement, Places) {
        let dependencies: Vec<&[usize]> = drawing.nodes.iter().map(|node| node.dependencies.as_slice()).collect();
        let rows = arrange(vec![120; drawing.nodes.len()], &dependencies, &drawing.dependents());
        let places = place(&rows);
        (rows, places)
    }

    #[test]
    fn what_wants_the_same_place_is_spread_around_it() {
        let spread = |wanted: [(i64, i64); 3], bounds| spread(wanted.into_iter(), &[4, 4], bounds);
        assert_eq!(spread([(10, 1), (10, 1), (10, 1)], (-100, 100)), [6, 10, 14]);
        assert_eq!(spread([(0, 1), (50, 1), (50, 3)], (-100, 100)), [0, 47, 51]);
        assert_eq!(spread([(0, 1), (50, 1), (50, 3)], (5, 30)), [5, 26, 30]);
    }

    #[test]
    fn large_jobs_are_no_wider_than_a_reader_can_bear() {
        for large in [chain(1_000), fan(999), fan_and_merge(998), layered(1_000, 10), layered(1_000, 30)] {
            let (_, places) = placed(&large);
            assert!(places.width < 4_500, "{}", places.width);
        }
        assert_eq!(placed(&chain(1_000)).1.width, 120);
    }

    proptest! {
        #[test]
        fn nothing_stands_on_anything_else(drawing in drawings(40)) {
            let (rows, places) = placed(&drawing);
            for row in &rows.rows {
                for pair in row.windows(2) {
                    let apart = i64::midpoint(rows.widths[pair[0]], rows.widths[pair[1]]) + GAP;
                    prop_assert!(places.middle[pair[1]] - places.middle[pair[0]] >= apart);
                }
            }
            prop_assert!(places.top.windows(2).all(|pair| pair[1] - pair[0] >= BOX_HEIGHT + NEAREST_ROWS));
            for (middle, width) in places.middle.iter().zip(&rows.widths) {
                prop_assert!(middle - width / 2 >= 0 && middle + width / 2 <= places.width);
            }
        }
    }
}
