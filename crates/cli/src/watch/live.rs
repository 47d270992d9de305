//! The live view on a terminal: a line an order, each below what it waits for, redrawn in place. What does not fit the
//! screen is drawn together: orders that succeeded first, then those that wait; running and failed ones stay.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Write as _},
    time::{Duration, Instant},
};

use super::observe::Update;
use crate::{
    columns::{cut, pad, width as width_of},
    signs::sign,
    state::OrderState,
    terminal::{NARROW, style, wants_colours},
    times::duration,
};
use anstyle::Style;
use common::{
    clock::Timestamp,
    ids::OrderNum,
    status::{Outcome, Status},
};
use crossterm::{
    cursor::{MoveToColumn, MoveUp},
    queue,
    style::Print,
    terminal::{self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate},
};

/// Between two redraws at least: ten a second are as smooth as anybody sees.
const BETWEEN: Duration = Duration::from_millis(100);
/// A terminal whose size is not known.
const SIZE: (u16, u16) = (80, 24);
/// A terminal narrower than this has no column for the time.
const VERY_NARROW: usize = 30;
/// Longest name that has a column to itself.
const LONGEST_NAME: usize = 40;

/// The live view.
#[derive(Default)]
pub(crate) struct Live {
    /// What stands on the screen.
    drawn: Vec<Line>,
    at: Option<Instant>,
    began: Option<Timestamp>,
    /// Orders in the order of the graph, by index; as many as there were.
    graph_order: Vec<usize>,
}

/// A line, before it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Status(Status),
    Dim,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Redraws, if it is time and something changed.
    pub(crate) fn draw(&mut self, update: &Update, now: Timestamp) {
        if self.at.is_none_or(|at| at.elapsed() >= BETWEEN) {
            self.redraw(update, now);
        }
    }

    /// Draws the end, which stays.
    pub(crate) fn finish(&mut self, update: &Update, now: Timestamp) {
        self.redraw(update, now);
        self.leave();
    }

    /// What stands there stays; the next is drawn below.
    pub(crate) fn leave(&mut self) {
        self.drawn.clear();
    }

    fn redraw(&mut self, update: &Update, now: Timestamp) {
        let began = *self.began.get_or_insert_with(|| {
            let submitted = update.orders.iter().filter_map(|order| order.created_at).min();
            submitted.unwrap_or(now)
        });
        if self.graph_order.len() != update.orders.len() {
            self.graph_order = graph_order(&update.orders);
        }
        let (width, height) = terminal::size().unwrap_or(SIZE);
        let frame = frame(update, &self.graph_order, began, now, usize::from(width), usize::from(height));
        self.at = Some(Instant::now());
        if frame == self.drawn {
            return;
        }
        if let Err(error) = self.print(&frame) {
            tracing::debug!(%error, "the terminal is gone");
        }
        self.drawn = frame;
    }

    fn print(&self, frame: &[Line]) -> io::Result<()> {
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate)?;
        if !self.drawn.is_empty() {
            let lines = u16::try_from(self.drawn.len()).unwrap_or(u16::MAX);
            queue!(out, MoveToColumn(0), MoveUp(lines))?;
        }
        let colours = wants_colours();
        for (index, line) in frame.iter().enumerate() {
            // Lines that stay as they are cost nothing.
            if self.drawn.get(index) != Some(line) {
                queue!(out, Clear(ClearType::CurrentLine))?;
                line.print(&mut out, colours)?;
            }
            queue!(out, Print("\r\n"))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        let mut stderr = io::stderr().lock();
        stderr.write_all(&out)?;
        stderr.flush()
    }
}

impl Line {
    fn print(&self, out: &mut Vec<u8>, colours: bool) -> io::Result<()> {
        if !colours {
            return queue!(out, Print(&self.text));
        }
        let style = match self.look {
            Look::Status(status) => style(status),
            Look::Dim => Style::new().dimmed(),
        };
        queue!(out, Print(style), Print(&self.text), Print(style.render_reset()))
    }
}

/// All lines of the screen.
fn frame(
    update: &Update,
    graph_order: &[usize],
    began: Timestamp,
    now: Timestamp,
    width: usize,
    height: usize,
) -> Vec<Line> {
    // One line for the total, and one for the cursor.
    let room = height.saturating_sub(2).max(1);
    let orders: Vec<&OrderState> = graph_order.iter().filter_map(|index| update.orders.get(*index)).collect();
    let names = orders.iter().map(|order| width_of(&order.order_name)).max().unwrap_or_default();
    let names = names.min(LONGEST_NAME).min((width / 3).max(8));
    let (groups, hidden) = fit(&orders, room);
    let mut lines: Vec<Line> = groups
        .into_iter()
        .map(|group| {
            let text = match group {
                [order] => {
                    let last = update.last_lines.get(&order.order_num).map(String::as_str).unwrap_or_default();
                    line(order, last, now, names, width)
                }
                group => together(group),
            };
            Line { text: cut(text.trim_end(), width), look: Look::Status(group[0].status) }
        })
        .collect();
    let total = total(&orders, hidden, began.until(now).as_secs());
    lines.push(Line { text: cut(&total, width), look: Look::Dim });
    lines
}

/// What is drawn, each a line, and how many orders are left out: every order if there is room, else neighbours that
/// succeeded together, then neighbours that wait, then only what runs or did not succeed.
fn fit<'g, 'o>(orders: &'g [&'o OrderState], room: usize) -> (Vec<&'g [&'o OrderState]>, usize) {
    let succeeded = |order: &OrderState| order.status == Status::Ended(Outcome::Succeeded);
    let quiet = |order: &OrderState| succeeded(order) || order.status == Status::Queued;
    if orders.len() <= room {
        return (orders.chunks(1).collect(), 0);
    }
    let group = |is_quiet: &dyn Fn(&OrderState) -> bool| -> Vec<&'g [&'o OrderState]> {
        orders.chunk_by(|one, next| is_quiet(one) && one.status == next.status).collect()
    };
    let first = group(&succeeded);
    if first.len() <= room {
        return (first, 0);
    }
    let mut groups = group(&quiet);
    let mut hidden = 0;
    // What is over is left out from the quiet ones, the last first, and then from the end.
    while groups.len() > room {
        let last = groups.iter().rposition(|group| quiet(group[0])).unwrap_or(groups.len() - 1);
        hidden += groups.remove(last).len();
    }
    (groups, hidden)
}

fn line(order: &OrderState, last_line: &str, now: Timestamp, names: usize, width: usize) -> String {
    let time = match (order.status, order.dispatched_at) {
        (Status::Running, Some(since)) => {
            format!("{} of {}", duration(since.until(now).as_secs()), duration(order.timeout))
        }
        _ => order.elapsed().map_or_else(String::new, |seconds| format!("{seconds:.1} s")),
    };
    let instances = last_line.replace('\n', ", ");
    let reused = order.reused_from.as_ref().map(|run| format!("in the run `{run}`"));
    let told = order.failure_reason.as_ref().or(reused.as_ref()).unwrap_or(&instances);
    let name = pad(&cut(&order.order_name, names), names);
    let sign = sign(order.status);
    if width < VERY_NARROW {
        format!("{sign} {name} {told}")
    } else if width < NARROW {
        format!("{sign} {name} {time:>7}  {told}")
    } else {
        format!("{sign} {name}  {:<9} {time:>16}  {told}", order.status.as_str())
    }
}

/// Several orders that stand alike.
fn together(group: &[&OrderState]) -> String {
    let (first, last) = (group[0], group[group.len() - 1]);
    let status = match first.status {
        Status::Ended(Outcome::Succeeded) => "succeeded",
        _ => "wait",
    };
    format!("{} {} orders {status}: {} … {}", sign(first.status), group.len(), first.order_name, last.order_name)
}

fn total(orders: &[&OrderState], hidden: usize, elapsed: u64) -> String {
    let count = |wanted: fn(Status) -> bool| orders.iter().filter(|order| wanted(order.status)).count();
    let ended = count(|status| status.outcome().is_some());
    let unsuccessful = count(|status| status.outcome().is_some_and(|outcome| outcome != Outcome::Succeeded));
    let running = count(|status| status == Status::Running);
    let unsuccessful =
        if unsuccessful == 0 { String::new() } else { format!(", {unsuccessful} of them not successfully") };
    let more = if hidden == 0 { String::new() } else { format!(", {hidden} not shown") };
    format!("{ended} of {} ended{unsuccessful}, {running} running, {}{more}", orders.len(), duration(elapsed))
}

/// Indices in the order of the graph: each after what it waits for, else by number.
fn graph_order(orders: &[OrderState]) -> Vec<usize> {
    let index: HashMap<&str, usize> =
        orders.iter().enumerate().map(|(index, order)| (order.order_name.as_str(), index)).collect();
    let mut waits: Vec<usize> = vec![0; orders.len()];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); orders.len()];
    for (at, order) in orders.iter().enumerate() {
        // Rows come through an index that may be late: a dependency may not be there yet.
        for dependency in order.dependencies.iter().filter_map(|name| index.get(name.as_str())) {
            waits[at] += 1;
            dependents[*dependency].push(at);
        }
    }
    let key = |at: usize| (orders[at].order_num, at);
    let mut ready: BTreeSet<(OrderNum, usize)> = (0..orders.len()).filter(|at| waits[*at] == 0).map(key).collect();
    let mut sorted = Vec::with_capacity(orders.len());
    while let Some((_, at)) = ready.pop_first() {
        sorted.push(at);
        for dependent in &dependents[at] {
            waits[*dependent] -= 1;
            if waits[*dependent] == 0 {
                ready.insert(key(*dependent));
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests;
