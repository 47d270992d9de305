//! By which names orders can be waited for, and for which ones they wait.

use std::{collections::HashMap, fmt::Write as _};

use super::{ORDERS, Validator};
use crate::{
    intake::shape::{Meant, similar},
    job::OrderDocument,
    text::shown,
};

/// Problems for which another name is looked for among all names, which takes a while.
const HINTS: usize = 20;

/// The names by which orders can be waited for.
pub(super) struct Names<'a> {
    defaults: &'a DefaultNames,
    /// The index of the order whose a name is. Strangers choose the names, so nobody may know beforehand which of them
    /// collide: the standard hasher is keyed by chance.
    owners: HashMap<&'a str, u16>,
    /// By order, the last one that was found to wait for it. One that comes upon itself names the order a second time.
    waiting: Vec<Option<usize>>,
    /// What the last order waits for that was looked up, as written and by index, if nothing was wrong with it.
    last: Option<(Vec<&'a str>, Vec<u16>)>,
}

impl<'a> Names<'a> {
    pub(super) fn order_name(&self, index: usize, order: &OrderDocument<'a>) -> &'a str {
        order.order_name.unwrap_or_else(|| self.defaults.name(index))
    }

    pub(super) fn default_name(&self, index: usize) -> &'a str {
        self.defaults.name(index)
    }

    pub(super) fn queue_id(&self, index: usize, order: &OrderDocument<'a>) -> &'a str {
        order.queue_id.unwrap_or_else(|| self.defaults.queue_id(index))
    }
}

/// What orders are called that have no names of their own: `order-0001order-0002…`, one text for all of them.
pub(super) struct DefaultNames(String);

impl DefaultNames {
    const LENGTH: usize = "order-0001".len();

    pub(super) fn of(orders: usize) -> Self {
        let mut names = String::with_capacity(orders * Self::LENGTH);
        for number in 1..=orders {
            // Writing to a String cannot fail.
            let _infallible = write!(names, "order-{number:04}");
        }
        Self(names)
    }

    fn name(&self, index: usize) -> &str {
        &self.0[index * Self::LENGTH..][..Self::LENGTH]
    }

    fn queue_id(&self, index: usize) -> &str {
        &self.name(index)["order-".len()..]
    }
}

impl Validator<'_> {
    pub(super) fn names<'a>(&mut self, orders: &[OrderDocument<'a>], defaults: &'a DefaultNames) -> Names<'a> {
        let owners = HashMap::with_capacity(orders.len() * 2);
        let mut names = Names { defaults, owners, waiting: vec![None; orders.len()], last: None };
        for (index, order) in orders.iter().enumerate() {
            let own = u16::try_from(index).unwrap_or(u16::MAX);
            let (name, queue_id) = (names.order_name(index, order), names.queue_id(index, order));
            for (field, name) in [("order_name", name), ("queue_id", queue_id)] {
                if let Some(other) = names.owners.insert(name, own).filter(|other| *other != own) {
                    self.problems.add(
                        ORDERS.item(index).field(field),
                        format_args!(
                            "`{}` is a name of orders[{other}] too; names and queue ids must be unique",
                            shown(name)
                        ),
                    );
                }
            }
        }
        names
    }

    /// What an order waits for, by what is `written` of it.
    pub(super) fn dependencies<'a>(&mut self, index: usize, written: Vec<&'a str>, names: &mut Names<'a>) -> Vec<u16> {
        // The orders of a layer wait for the same ones, and comparing a name takes an eighth of looking it up.
        if let Some((last, resolved)) = &names.last
            && *last == written
            && !resolved.iter().any(|dependency| usize::from(*dependency) == index)
        {
            return resolved.clone();
        }
        let mut resolved = Vec::with_capacity(written.len());
        let at = ORDERS.item(index);
        let at = at.field("dependencies");
        for (position, name) in written.iter().enumerate() {
            let at = at.item(position);
            match names.owners.get(name) {
                None => {
                    let is_asked = self.problems.len() < HINTS;
                    let near = Meant(|| similar(name, names.owners.keys().copied().filter(|_| is_asked)));
                    self.problems.add(at, format_args!("`{}` is no order's name or queue id{near}", shown(name)));
                }
                Some(&dependency) if usize::from(dependency) == index => {
                    self.problems.add(at, "names the order itself");
                }
                Some(&dependency) if names.waiting[usize::from(dependency)].replace(index) == Some(index) => {
                    self.problems.add(at, format_args!("names orders[{dependency}] a second time"));
                }
                Some(&dependency) => resolved.push(dependency),
            }
        }
        // Each problem left one out.
        names.last = (resolved.len() == written.len()).then(|| (written, resolved.clone()));
        resolved
    }
}
