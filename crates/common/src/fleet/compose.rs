//! The one result of an SSM order out of its instances': pure, and the same whoever composes it.

use crate::{
    claim::Ending,
    clock::Timestamp,
    ids::InstanceId,
    outcome::{MAX_EVENT_VALUES, MAX_EVENTS, OrderResult},
    status::Outcome,
    worker_event::WorkerEvent,
};

/// Bytes of logs that travel in the order's result, shared by its instances: as much as of any order.
const LOG_BYTES: usize = 256 << 10;
/// An instance's part of them, at least, so that the last lines of each can be read.
const LEAST_LOG_BYTES: usize = 512;
/// Bytes of events that travel in the order's result: what a hundred full events have.
const EVENT_BYTES: usize = 100 * (64 << 10);
/// Instances that the reason names for each thing that happened, and how many of these it tells.
const NAMED: usize = 5;

/// Takes the results of the instances one by one, in order.
#[derive(Debug)]
pub struct Composer {
    log_bytes: usize,
    logs: String,
    lines: String,
    sections: String,
    truncated: bool,
    has_logs: bool,
    events: Vec<WorkerEvent>,
    event_bytes: usize,
    event_values: usize,
    dropped: Option<(u64, Timestamp)>,
    total: usize,
    /// What happened to instances that did not succeed, in the order of its first, and to whom.
    unsuccessful: Vec<(String, Vec<InstanceId>)>,
    outcomes: Vec<Outcome>,
    first_failure: Option<(Option<i32>, Option<usize>)>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl Composer {
    /// For so many instances, whose whole logs lie below the key `logs`.
    pub fn new(instances: usize, logs: String) -> Self {
        Self {
            log_bytes: (LOG_BYTES / instances.max(1)).max(LEAST_LOG_BYTES),
            logs,
            lines: String::new(),
            sections: String::new(),
            truncated: false,
            has_logs: false,
            events: Vec::new(),
            event_bytes: 0,
            event_values: 0,
            dropped: None,
            total: 0,
            unsuccessful: Vec::new(),
            outcomes: Vec::new(),
            first_failure: None,
            started_at: None,
            finished_at: None,
        }
    }

    /// Takes the result of the next instance.
    pub fn add(&mut self, instance: &InstanceId, result: OrderResult) {
        self.total += 1;
        self.outcomes.push(result.status);
        let told = match &result.reason {
            Some(reason) => format!("{}: {reason}", result.status),
            None => result.status.to_string(),
        };
        self.lines.extend([instance.as_str(), " ", &told, "\n"]);
        if result.status != Outcome::Succeeded {
            match self.unsuccessful.iter_mut().find(|(what, _)| *what == told) {
                Some((_, instances)) => instances.push(instance.clone()),
                None => self.unsuccessful.push((told, vec![instance.clone()])),
            }
            self.first_failure.get_or_insert((result.exit_code, result.failed_command));
        }
        let (log, cut) = cut(&result.log, self.log_bytes);
        if !log.is_empty() {
            self.sections.extend(["\n── ", instance.as_str(), " ──\n", log.trim_end_matches('\n'), "\n"]);
        }
        self.truncated |= cut || result.log_truncated == Some(true);
        self.has_logs |= result.log_location.is_some();
        for mut event in result.events {
            event.data.entry("instance_id").or_insert_with(|| instance.as_str().into());
            self.event(event);
        }
        self.started_at = [self.started_at, result.started_at].into_iter().flatten().min();
        self.finished_at = self.finished_at.max(result.finished_at);
    }

    fn event(&mut self, event: WorkerEvent) {
        let bytes = serde_json::to_vec(&event.data).map_or(0, |data| data.len()) + event.event_type.len();
        let values = event.values();
        // The last place is kept for what tells of those that are left out.
        let is_full = self.event_bytes + bytes > EVENT_BYTES
            || self.event_values + values > MAX_EVENT_VALUES
            || self.events.len() + 1 >= MAX_EVENTS;
        if is_full {
            let (count, newest) = self.dropped.unwrap_or_default();
            self.dropped = Some((count + 1, newest.max(event.epoch)));
        } else {
            self.event_bytes += bytes;
            self.event_values += values;
            self.events.push(event);
        }
    }

    /// The order's result. `ending` is how the engine ended the order, if it did: it says what the order ended as,
    /// unless all its instances succeeded before that could take effect.
    pub fn finish(mut self, ending: Option<&Ending>) -> OrderResult {
        if let Some((count, epoch)) = self.dropped {
            let data = [("count".to_owned(), count.into())].into_iter().collect();
            let (event_type, status) = ("events_dropped".to_owned(), "warning".to_owned());
            self.events.push(WorkerEvent { event_type, status, epoch, data });
        }
        let has = |outcome| self.outcomes.contains(&outcome);
        let status = if self.unsuccessful.is_empty() {
            Outcome::Succeeded
        } else if let Some(ending) = ending {
            ending.outcome
        } else {
            let worst = [Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled].into_iter().find(|o| has(*o));
            worst.unwrap_or(Outcome::Failed)
        };
        let (exit_code, failed_command) = self.first_failure.unwrap_or((Some(0), None));
        OrderResult {
            status,
            log: format!("{}{}", self.lines, self.sections),
            schema_version: Some(1),
            reason: reason(self.total, &self.unsuccessful),
            exit_code,
            failed_command,
            started_at: self.started_at,
            finished_at: self.finished_at,
            writer: Some(crate::claim::ENGINE.to_owned()),
            skipped: false,
            log_truncated: Some(self.truncated),
            log_location: self.has_logs.then_some(self.logs),
            events: self.events,
        }
    }
}

fn reason(total: usize, unsuccessful: &[(String, Vec<InstanceId>)]) -> Option<String> {
    let count: usize = unsuccessful.iter().map(|(_, instances)| instances.len()).sum();
    let noun = if total == 1 { "instance" } else { "instances" };
    let told = unsuccessful.iter().take(NAMED).map(|(what, instances)| {
        let named = instances.iter().take(NAMED).map(|instance| format!("`{instance}`")).collect::<Vec<_>>().join(", ");
        match instances.len().saturating_sub(NAMED) {
            0 => format!("{named} {what}"),
            more => format!("{named} and {more} more {what}"),
        }
    });
    let mut told = told.collect::<Vec<_>>();
    told.extend((unsuccessful.len() > NAMED).then(|| "and others".to_owned()));
    (count > 0).then(|| format!("{count} of {total} {noun} did not succeed: {}", told.join("; ")))
}

/// Beginning and end of a log; whether something is left out.
fn cut(log: &str, limit: usize) -> (String, bool) {
    if log.len() <= limit {
        return (log.to_owned(), false);
    }
    let head = &log[..log.floor_char_boundary(limit / 2)];
    let tail = &log[log.ceil_char_boundary(log.len() - limit / 2)..];
    (format!("{head}\n… {} bytes left out …\n{tail}", log.len() - head.len() - tail.len()), true)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn instance(number: usize) -> InstanceId {
        format!("i-{number}").parse().unwrap()
    }

    fn result(status: Outcome, log: &str) -> OrderResult {
        let reason = (status != Outcome::Succeeded).then(|| "command 1 of 1 exited with 3".to_owned());
        OrderResult {
            log: log.to_owned(),
            reason,
            exit_code: Some(if status == Outcome::Succeeded { 0 } else { 3 }),
            ..OrderResult::of_engine(status, "", Timestamp::from_secs(7))
        }
    }

    fn composed(results: &[OrderResult], ending: Option<&Ending>) -> OrderResult {
        let mut composer = Composer::new(results.len(), "logs/r/0001/".to_owned());
        for (number, result) in results.iter().enumerate() {
            composer.add(&instance(number), result.clone());
        }
        composer.finish(ending)
    }

    #[test]
    fn one_of_three_that_fails_fails_the_order_and_is_named() {
        let results =
            [result(Outcome::Succeeded, "fine\n"), result(Outcome::Failed, "no\n"), result(Outcome::Succeeded, "")];
        let order = composed(&results, None);
        assert_eq!((order.status, order.exit_code), (Outcome::Failed, Some(3)));
        assert_eq!(
            order.log,
            "i-0 succeeded\ni-1 failed: command 1 of 1 exited with 3\ni-2 succeeded\n\n── i-0 ──\nfine\n\n── i-1 ──\nno\n"
        );
        assert_eq!(
            order.reason.unwrap(),
            "1 of 3 instances did not succeed: `i-1` failed: command 1 of 1 exited with 3"
        );
    }

    #[test]
    fn what_happened_to_many_is_told_once() {
        let results: Vec<_> = (0..8).map(|_| result(Outcome::Failed, "")).collect();
        assert_eq!(
            composed(&results, None).reason.unwrap(),
            "8 of 8 instances did not succeed: `i-0`, `i-1`, `i-2`, `i-3`, `i-4` and 3 more failed: command 1 of 1 exited with 3"
        );
    }

    #[test]
    fn the_engines_ending_counts_unless_all_succeeded() {
        let ending = Ending::new(Outcome::Cancelled, "the order was cancelled");
        let all = [result(Outcome::Succeeded, ""), result(Outcome::Succeeded, "")];
        assert_eq!(composed(&all, Some(&ending)).status, Outcome::Succeeded);
        let some = [result(Outcome::Succeeded, ""), result(Outcome::Failed, "")];
        assert_eq!(composed(&some, Some(&ending)).status, Outcome::Cancelled);
    }

    #[test]
    fn events_tell_their_instance_and_are_bounded() {
        let data = [("text".to_owned(), "x".repeat(60_000).into())].into_iter().collect();
        let event =
            WorkerEvent { event_type: "e".to_owned(), status: "info".to_owned(), epoch: Timestamp::from_secs(1), data };
        let one = OrderResult { events: vec![event; 80], ..result(Outcome::Succeeded, "") };
        let order = composed(&[one.clone(), one], None);
        assert_eq!(order.events[0].data["instance_id"], "i-0");
        let last = order.events.last().unwrap();
        assert_eq!((last.event_type.as_str(), order.events.len() - 1), ("events_dropped", 109));
        assert_eq!(last.data["count"], 160 - 109);
    }

    #[test]
    fn the_order_has_the_first_failure_the_whole_time_and_the_place_of_its_logs() {
        let secs = Timestamp::from_secs;
        let whole = |status, reason: Option<&str>, from, to, code, command, location: Option<&str>| OrderResult {
            reason: reason.map(str::to_owned),
            started_at: from,
            finished_at: to,
            exit_code: code,
            failed_command: command,
            log_location: location.map(str::to_owned),
            ..result(status, "")
        };
        let results = [
            whole(Outcome::Succeeded, None, Some(secs(5)), Some(secs(8)), Some(0), None, Some("logs/r/0001/i-0.log")),
            whole(Outcome::TimedOut, None, None, Some(secs(20)), Some(130), Some(2), None),
            whole(Outcome::Failed, Some("no"), Some(secs(3)), None, Some(1), Some(0), None),
        ];
        let order = composed(&results, None);
        assert_eq!((order.status, order.exit_code, order.failed_command), (Outcome::Failed, Some(130), Some(2)));
        assert_eq!((order.started_at, order.finished_at), (Some(secs(3)), Some(secs(20))));
        assert_eq!(order.log, "i-0 succeeded\ni-1 timed_out\ni-2 failed: no\n");
        let reason = "2 of 3 instances did not succeed: `i-1` timed_out; `i-2` failed: no";
        assert_eq!(order.reason.as_deref(), Some(reason));
        assert_eq!(order.log_location.as_deref(), Some("logs/r/0001/"));
        assert_eq!((order.schema_version, order.writer.as_deref()), (Some(1), Some("engine")));
        assert_eq!((order.log_truncated, order.events), (Some(false), vec![]));

        let order = composed(&results[1..2], None);
        assert_eq!((order.started_at, order.log_location), (None, None));
        assert_eq!(order.reason.as_deref(), Some("1 of 1 instance did not succeed: `i-0` timed_out"));
        let order = composed(&results[..1], None);
        assert_eq!((order.exit_code, order.failed_command, order.reason), (Some(0), None, None));
    }

    #[test]
    fn the_reason_names_five_instances_of_each_and_five_things_that_happened() {
        let reason_of = |told: &[usize]| {
            let failed = |what: &usize| OrderResult { reason: Some(what.to_string()), ..result(Outcome::Failed, "") };
            composed(&told.iter().map(failed).collect::<Vec<_>>(), None).reason.unwrap()
        };
        assert!(reason_of(&[1; 5]).ends_with(": `i-0`, `i-1`, `i-2`, `i-3`, `i-4` failed: 1"));
        assert!(reason_of(&[1; 6]).ends_with(": `i-0`, `i-1`, `i-2`, `i-3`, `i-4` and 1 more failed: 1"));
        assert!(reason_of(&[1, 2, 1]).ends_with(": `i-0`, `i-2` failed: 1; `i-1` failed: 2"));
        assert!(reason_of(&[1, 2, 3, 4, 5]).ends_with("; `i-4` failed: 5"));
        assert!(reason_of(&[1, 2, 3, 4, 5, 6]).ends_with("; `i-4` failed: 5; and others"));
    }

    #[test]
    fn a_log_that_is_cut_anywhere_makes_the_orders_log_cut() {
        let cut = |each: [bool; 3]| {
            let results = each.map(|cut| OrderResult { log_truncated: Some(cut), ..result(Outcome::Succeeded, "") });
            composed(&results, None).log_truncated
        };
        for number in 0..8 {
            let each = [number & 1 != 0, number & 2 != 0, number & 4 != 0];
            assert_eq!(cut(each), Some(number != 0), "{each:?}");
        }
        let logs = |bytes: usize| composed(&[result(Outcome::Succeeded, &"x".repeat(bytes))], None);
        assert_eq!(logs(262_144).log_truncated, Some(false));
        assert_eq!(logs(262_145).log_truncated, Some(true));
    }

    #[test]
    fn the_instances_share_the_room_for_logs_and_each_has_some() {
        let kept = |instances: usize| {
            let results = vec![result(Outcome::Succeeded, &"x".repeat(300_000)); instances];
            composed(&results, None).log.matches('x').count() / instances
        };
        assert_eq!([kept(1), kept(2), kept(512), kept(1_000)], [262_144, 131_072, 512, 512]);
    }

    #[test]
    fn beginning_and_end_of_a_log_are_kept() {
        assert_eq!(cut("0123456789", 10), ("0123456789".to_owned(), false));
        assert_eq!(cut("0123456789", 9), ("0123\n… 2 bytes left out …\n6789".to_owned(), true));
        assert_eq!(cut("0123456789", 4), ("01\n… 6 bytes left out …\n89".to_owned(), true));
        assert_eq!(cut("ääää", 6), ("ä\n… 4 bytes left out …\nä".to_owned(), true));
    }

    /// An event that counts for so many bytes.
    fn event(bytes: usize, epoch: u64) -> WorkerEvent {
        let fields = |text: String| [("instance_id", "i-x".to_owned()), ("text", text)];
        let data = |text| fields(text).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let empty =
            serde_json::to_vec(&fields(String::new()).into_iter().collect::<std::collections::BTreeMap<_, _>>());
        let text = "x".repeat(bytes - empty.unwrap().len() - "kind".len());
        let (event_type, status) = ("kind".to_owned(), "info".to_owned());
        WorkerEvent { event_type, status, epoch: Timestamp::from_secs(epoch), data: data(text) }
    }

    #[test]
    fn events_fill_the_room_to_the_last_byte_and_what_is_dropped_is_counted() {
        // 100 of 64 KiB each.
        let of = |events: Vec<WorkerEvent>| OrderResult { events, ..result(Outcome::Succeeded, "") };
        let full = [of(vec![event(6_000_000, 1)]), of(vec![event(553_600, 2)])];
        assert_eq!(composed(&full, None).events, [event(6_000_000, 1), event(553_600, 2)]);

        let more = [of(vec![event(6_000_000, 1), event(553_601, 9)]), of(vec![event(553_600, 2), event(100, 4)])];
        let events = composed(&more, None).events;
        assert_eq!(events[..2], [event(6_000_000, 1), event(553_600, 2)]);
        let dropped = &events[2];
        assert_eq!(
            (events.len(), dropped.event_type.as_str(), dropped.status.as_str()),
            (3, "events_dropped", "warning")
        );
        assert_eq!((dropped.epoch, &dropped.data["count"]), (Timestamp::from_secs(9), &2.into()));
        assert_eq!(dropped.data.len(), 1);
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop::sample::select(vec![Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled])
    }

    proptest! {
        /// The order in which instances come matters to what is told, not to what the order ended as.
        #[test]
        fn the_worst_outcome_is_the_orders(mut outcomes in vec(outcome(), 1..8), ending in prop::option::of(outcome()), turn in 0..8_usize) {
            let ending = ending.map(|outcome| Ending::new(outcome, ""));
            let of = |outcomes: &[Outcome]| {
                let results: Vec<_> = outcomes.iter().map(|outcome| result(*outcome, "")).collect();
                composed(&results, ending.as_ref()).status
            };
            let status = of(&outcomes);
            let expected = match &ending {
                _ if outcomes.iter().all(|outcome| *outcome == Outcome::Succeeded) => Outcome::Succeeded,
                Some(ending) => ending.outcome,
                None if outcomes.contains(&Outcome::Failed) => Outcome::Failed,
                None if outcomes.contains(&Outcome::TimedOut) => Outcome::TimedOut,
                None => Outcome::Cancelled,
            };
            prop_assert_eq!(status, expected);
            let turn = turn % outcomes.len();
            outcomes.rotate_left(turn);
            prop_assert_eq!(of(&outcomes), status);
        }

        #[test]
        fn a_cut_log_is_its_beginning_and_its_end(log in "[a-zäö…\n]{0,60}", limit in 0..80_usize) {
            let (kept, is_cut) = cut(&log, limit);
            prop_assert_eq!(is_cut, log.len() > limit);
            if is_cut {
                let (head, rest) = kept.split_once("\n… ").unwrap();
                let (count, tail) = rest.split_once(" bytes left out …\n").unwrap();
                prop_assert!(log.starts_with(head) && log.ends_with(tail));
                prop_assert_eq!(head.len() + tail.len() + count.parse::<usize>().unwrap(), log.len());
                // A character of three bytes may be in the way of both.
                prop_assert!(head.len().max(tail.len()) <= limit / 2 && head.len().min(tail.len()) + 2 >= limit / 2);
            } else {
                prop_assert_eq!(kept, log);
            }
        }
    }

    proptest! {
        // Some megabytes each.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn logs_stay_within_bounds_and_between_characters(
            logs in vec("[a-zäö\n]{0,3000}", 1..40), repeat in 1..60_usize,
        ) {
            let results: Vec<_> = logs.iter().map(|log| result(Outcome::Succeeded, &log.repeat(repeat))).collect();
            let order = composed(&results, None);
            prop_assert!(order.log.len() <= LOG_BYTES + logs.len() * (LEAST_LOG_BYTES + 200));
            prop_assert_eq!(order.log.lines().take(logs.len()).filter(|line| line.ends_with(" succeeded")).count(), logs.len());
        }
    }
}
