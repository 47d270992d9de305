//! The log of one order, as far as it was printed: one object, or one for each instance of an SSM order.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    ids::InstanceId,
    keys::Share,
    outcome::OrderResult,
    status::{Outcome, Status},
};

use super::printer::{Lines, Printer, Stopped};
use crate::{
    state::OrderState,
    stored::{Sizes, Stored, of_order},
};

/// An order's log.
pub(crate) struct OrderLog {
    pub(crate) state: OrderState,
    /// Instances that have reported.
    pub(crate) reported: BTreeSet<InstanceId>,
    /// Whether it has ended and all of it is printed.
    pub(crate) finished: bool,
    printed: BTreeMap<Share, Printed>,
    /// Whether each line says which instance wrote it; decided at the first.
    names_instances: Option<bool>,
    has_output: bool,
    /// The status that was told last.
    told: Option<Status>,
}

/// What was printed of one object.
#[derive(Debug, Default)]
struct Printed {
    bytes: u64,
    complete: bool,
    lines: Option<Lines>,
}

impl OrderLog {
    pub(crate) fn new(state: OrderState) -> Self {
        Self {
            state,
            reported: BTreeSet::new(),
            finished: false,
            printed: BTreeMap::new(),
            names_instances: None,
            has_output: false,
            told: None,
        }
    }

    /// Prints what is new, and at the end what became of the order.
    pub(crate) async fn advance(
        &mut self,
        stored: &Stored<'_>,
        sizes: &Sizes,
        printer: &mut Printer<'_>,
    ) -> Result<(), Stopped> {
        let number = self.state.order_num;
        let has_ended = self.state.status.outcome().is_some();
        let mut shares: BTreeSet<Share> = of_order(sizes, number).cloned().collect();
        shares.extend(self.reported.iter().map(|instance| Share::of_instance(number, instance.clone())));
        if has_ended && shares.is_empty() {
            // No object: what there is stands in its result. So it does when an SSM order reached no instance.
            shares.insert(number.into());
        }
        for share in shares {
            let size = sizes.get(&share).copied();
            self.copy(&share, size.unwrap_or_default(), stored, printer).await?;
            let is_final = has_ended || share.instance.as_ref().is_some_and(|id| self.reported.contains(id));
            if is_final && !self.printed(&share).complete {
                self.complete(&share, size.is_some(), stored, printer).await?;
            }
            if is_final || !printer.follow {
                let rest = self.printed(&share).lines.as_mut().map(Lines::finish).unwrap_or_default();
                self.write(&rest, printer)?;
            }
        }
        self.finished = has_ended;
        self.tell(printer)
    }

    /// Prints an object from where it was printed last. It only ever grows.
    async fn copy(
        &mut self,
        share: &Share,
        size: u64,
        stored: &Stored<'_>,
        printer: &mut Printer<'_>,
    ) -> Result<(), Stopped> {
        loop {
            let from = self.printed(share).bytes;
            if from >= size {
                return Ok(());
            }
            let piece = stored.piece(share, from).await?;
            if piece.is_empty() {
                return Ok(());
            }
            self.printed(share).bytes += piece.len() as u64;
            self.print(share, &piece, stored, printer).await?;
        }
    }

    /// Prints what stands in the result alone.
    async fn complete(
        &mut self,
        share: &Share,
        has_object: bool,
        stored: &Stored<'_>,
        printer: &mut Printer<'_>,
    ) -> Result<(), Stopped> {
        let result = stored.result(share).await?;
        let rest = result.and_then(|result| rest(result, self.printed(share).bytes, has_object)).unwrap_or_default();
        self.printed(share).complete = true;
        self.print(share, &rest, stored, printer).await
    }

    async fn print(
        &mut self,
        share: &Share,
        bytes: &[u8],
        stored: &Stored<'_>,
        printer: &mut Printer<'_>,
    ) -> Result<(), Stopped> {
        let Some(instance) = &share.instance else { return self.write(bytes, printer) };
        let names = match self.names_instances {
            Some(names) => names,
            None => self.has_several(stored).await?,
        };
        self.names_instances = Some(names);
        if !names {
            return self.write(bytes, printer);
        }
        let lines = self.printed(share).lines.get_or_insert_with(|| Lines::of(instance.as_str())).push(bytes);
        self.write(&lines, printer)
    }

    /// Whether the order is one of several instances.
    async fn has_several(&self, stored: &Stored<'_>) -> Result<bool, Stopped> {
        let mut instances = stored.pinned(self.state.order_num).await?;
        instances.extend(self.reported.iter().cloned());
        instances.extend(self.printed.keys().filter_map(|share| share.instance.clone()));
        Ok(instances.len() > 1)
    }

    fn write(&mut self, bytes: &[u8], printer: &mut Printer<'_>) -> Result<(), Stopped> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.has_output = true;
        if printer.several && printer.shown != Some(self.state.order_num) {
            self.header(printer)?;
        }
        printer.bytes(&self.state, bytes)
    }

    fn header(&mut self, printer: &mut Printer<'_>) -> Result<(), Stopped> {
        let nothing_yet = !self.has_output && self.told.is_none() && self.state.status.outcome().is_none();
        printer.header(&self.state, nothing_yet)?;
        self.told = Some(self.state.status);
        Ok(())
    }

    /// Says how the order stands, where its log alone does not.
    fn tell(&mut self, printer: &mut Printer<'_>) -> Result<(), Stopped> {
        let status = self.state.status;
        if printer.several {
            let is_news = if printer.follow { self.finished && self.told != Some(status) } else { self.told.is_none() };
            return if is_news { self.header(printer) } else { Ok(()) };
        }
        if printer.follow && !self.finished && self.told.is_some() {
            return Ok(());
        }
        self.told = Some(status);
        let name = &self.state.order_name;
        if let Some(run) = &self.state.reused_from {
            return printer.note(&format!(
                "`{name}` ran in the run `{run}`, whose success counts here: \
                                          `aws-exe logs {run} {name}` has its log"
            ));
        }
        match (status, self.has_output, &self.state.failure_reason) {
            (Status::Ended(Outcome::Succeeded), true, _) => Ok(()),
            (Status::Ended(Outcome::Succeeded), false, _) => {
                printer.note(&format!("`{name}` succeeded and wrote nothing"))
            }
            (Status::Ended(_), _, Some(reason)) => printer.note(&format!("`{name}` {status}: {reason}")),
            (Status::Ended(_), _, None) => printer.note(&format!("`{name}` {status}")),
            (_, false, _) => printer.note(&format!("`{name}` is {status}: nothing yet")),
            (_, true, _) if printer.follow => Ok(()),
            (_, true, _) => printer.note(&format!("`{name}` is {status}: this is its log so far, `-f` follows it")),
        }
    }

    fn printed(&mut self, share: &Share) -> &mut Printed {
        self.printed.entry(share.clone()).or_default()
    }
}

/// What a result has of a log beyond the bytes that were printed of its object.
fn rest(result: OrderResult, printed: u64, has_object: bool) -> Option<Vec<u8>> {
    let mut log = result.log.into_bytes();
    if !has_object {
        return (printed == 0).then_some(log);
    }
    // Put whole; or not, and then the result has but the ends of it.
    if result.log_location.is_some() || result.log_truncated != Some(false) {
        return None;
    }
    // The last put failed.
    let printed = usize::try_from(printed).unwrap_or(usize::MAX).min(log.len());
    Some(log.split_off(printed))
}
