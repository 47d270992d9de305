//! The live view on a terminal: one line an order, redrawn in place. What does not fit the screen is counted, running and
//! failed orders are shown first.

use std::{
    env,
    io::{self, Write as _},
};

use common::{
    clock::Timestamp,
    status::{Outcome, Status},
};
use crossterm::{
    cursor::MoveUp,
    queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{self, Clear, ClearType},
};

use super::{observe::Update, plain::elapsed, view::sign};
use crate::state::OrderState;

/// The live view.
pub(crate) struct Live {
    drawn: u16,
    colours: bool,
    began: Option<Timestamp>,
}

/// A terminal whose size is not known.
const SIZE: (u16, u16) = (80, 24);

impl Live {
    pub(crate) fn new() -> Self {
        // https://no-color.org: any value that is not empty.
        Self { drawn: 0, colours: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()), began: None }
    }

    /// Redraws.
    pub(crate) fn draw(&mut self, update: &Update, now: Timestamp) {
        let began = *self.began.get_or_insert(now);
        let (width, height) = terminal::size().unwrap_or(SIZE);
        let room = usize::from(height.saturating_sub(2)).max(1);
        let shown = choose(&update.orders, room);
        let mut out = io::stderr().lock();
        let drawn = (|| -> io::Result<u16> {
            if self.drawn > 0 {
                queue!(out, MoveUp(self.drawn), Clear(ClearType::FromCursorDown))?;
            }
            let mut lines = 0;
            for order in &shown {
                let last = update.last_lines.get(&order.order_num).map(String::as_str).unwrap_or_default();
                let line = line(order, last, now, usize::from(width));
                if self.colours {
                    queue!(out, SetForegroundColor(colour(order.status)), Print(line), ResetColor, Print("\n"))?;
                } else {
                    queue!(out, Print(line), Print("\n"))?;
                }
                lines += 1;
            }
            let rest = update.orders.len() - shown.len();
            let total = total(update, rest, began.until(now).as_secs());
            let total = cut(&total, usize::from(width));
            if self.colours {
                queue!(out, SetAttribute(Attribute::Dim), Print(total), SetAttribute(Attribute::Reset), Print("\n"))?;
            } else {
                queue!(out, Print(total), Print("\n"))?;
            }
            out.flush()?;
            Ok(lines + 1)
        })();
        match drawn {
            Ok(lines) => self.drawn = lines,
            Err(error) => tracing::debug!(%error, "the terminal is gone"),
        }
    }

    /// A line above the view.
    pub(crate) fn note(&mut self, text: &str) {
        self.drawn = 0;
        eprintln!("{text}");
    }
}

/// The orders that fit: running ones, then those that did not succeed, then the others; in order of number.
fn choose(orders: &[OrderState], room: usize) -> Vec<&OrderState> {
    let rank = |order: &OrderState| match order.status {
        Status::Running => 0,
        Status::Ended(Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled) => 1,
        Status::Queued => 2,
        Status::Ended(Outcome::Succeeded) => 3,
    };
    let mut chosen: Vec<&OrderState> = orders.iter().collect();
    if chosen.len() > room {
        chosen.sort_by_key(|order| (rank(order), order.order_num));
        chosen.truncate(room);
        chosen.sort_by_key(|order| order.order_num);
    }
    chosen
}

fn line(order: &OrderState, last_line: &str, now: Timestamp, width: usize) -> String {
    let time = match (order.status, order.dispatched_at) {
        (Status::Running, Some(since)) => format!("{}/{} s", since.until(now).as_secs(), order.timeout),
        _ => elapsed(order).map_or_else(String::new, |seconds| format!("{seconds:.1} s")),
    };
    let instances = last_line.replace('\n', ", ");
    let told = order.failure_reason.as_deref().unwrap_or(&instances);
    cut(
        &format!("{} {:<24} {:<10} {time:>10}  {told}", sign(order.status), order.order_name, order.status.as_str()),
        width,
    )
}

fn total(update: &Update, rest: usize, seconds: u64) -> String {
    let count = |wanted: fn(Status) -> bool| update.orders.iter().filter(|order| wanted(order.status)).count();
    let ended = count(|status| status.outcome().is_some());
    let running = count(|status| status == Status::Running);
    let more = if rest == 0 { String::new() } else { format!(", {rest} not shown") };
    format!("{ended} of {} ended, {running} running, {seconds} s{more}", update.orders.len())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        text.to_owned()
    } else {
        text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
    }
}

fn colour(status: Status) -> Color {
    match status {
        Status::Queued => Color::DarkGrey,
        Status::Running => Color::Cyan,
        Status::Ended(Outcome::Succeeded) => Color::Green,
        Status::Ended(Outcome::Failed) => Color::Red,
        Status::Ended(Outcome::TimedOut | Outcome::Cancelled) => Color::Yellow,
    }
}
