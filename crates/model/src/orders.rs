//! Sets of orders, as bits: a job of the model has at most four.

use std::fmt;

/// Most orders of a job here. Faults between two orders show with two, joins with three and four.
pub const MAX_ORDERS: usize = 4;

/// An order, by index.
pub type Order = usize;

/// A set of orders.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Orders(u8);

impl Orders {
    /// None.
    pub const NONE: Self = Self(0);

    /// Those whose bits are set.
    pub const fn of_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The first `count` of them.
    pub fn first(count: usize) -> Self {
        (0..count).collect()
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the order is among them.
    pub fn has(self, order: Order) -> bool {
        self.0 & (1 << order) != 0
    }

    /// Whether all of these are among the others.
    pub fn within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Takes an order in.
    pub fn add(&mut self, order: Order) {
        self.0 |= 1 << order;
    }

    /// Leaves an order out.
    pub fn remove(&mut self, order: Order) {
        self.0 &= !(1 << order);
    }

    /// The lowest of them.
    pub fn lowest(self) -> Option<Order> {
        (!self.is_empty()).then(|| self.0.trailing_zeros() as Order)
    }

    /// One after the other, the lowest first.
    pub fn iter(self) -> impl Iterator<Item = Order> {
        (0..MAX_ORDERS).filter(move |order| self.has(*order))
    }
}

impl FromIterator<Order> for Orders {
    fn from_iter<I: IntoIterator<Item = Order>>(orders: I) -> Self {
        let mut set = Self::NONE;
        orders.into_iter().for_each(|order| set.add(order));
        set
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
