//! `aws-exe cancel RUN [ORDER]`: asks the engine to cancel, by the object that anybody with write access may put. What
//! has ended stays as it is.

use std::time::Duration;

use common::{
    env::Environment,
    ids::OrderNum,
    intake::kick_off::WAKE,
    keys,
    status::{Outcome, Status},
};
use serde_json::json;

use crate::{
    args::CancelArgs, code::Code, engine::Engine, exit::Exit, failure::Failure, lookup::Run, output::Output,
    state::OrderState,
};

/// Between two looks of `--wait`.
const PAUSE: Duration = Duration::from_millis(250);

/// Cancels.
pub(crate) async fn cancel(args: CancelArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let engine = Engine::connect(&args.engine, environment).await?;
    let mut run = Run::find(&engine, &args.run).await?;
    let order = match &args.order {
        Some(text) => Some(run.find_order(text).await?),
        None => None,
    };
    let order = order.as_ref();
    let subject = subject(&run, order);
    let result = |asked: bool, outcome: Option<Outcome>| {
        json!({
            "run_id": args.run, "order_num": order.map(|order| order.order_num), "asked": asked, "outcome": outcome,
        })
    };
    if let Some(outcome) = ended(&run, order).await? {
        output.finish(&result(false, Some(outcome)), || format!("{subject} has ended already: {outcome}\n"))?;
        return Ok(if args.wait { outcome.into() } else { Exit::Success });
    }
    let key = keys::cancel(&run.id, order.map_or(OrderNum::RUN, |order| order.order_num));
    engine.objects().put(&key, WAKE).await?;
    let asked = format!("asked to cancel {subject}\n{}\n", expectation(&run, order));
    if !args.wait {
        output.finish(&result(true, None), || asked)?;
        return Ok(Exit::Success);
    }
    output.text(&asked)?;
    loop {
        tokio::time::sleep(PAUSE).await;
        run.refresh().await?;
        if let Some(outcome) = ended(&run, order).await? {
            output.finish(&result(true, Some(outcome)), || format!("{subject} has ended: {outcome}\n"))?;
            return Ok(outcome.into());
        }
    }
}

/// How the order, or the run, ended, if it has.
async fn ended(run: &Run<'_>, order: Option<&OrderState>) -> Result<Option<Outcome>, Failure> {
    if let Some(order) = order {
        return Ok(run.order(order.order_num).and_then(Status::outcome));
    }
    if !run.is_completed() {
        return Ok(None);
    }
    let gone = || {
        let problem = format!("the run `{}` ended so long ago that its outcome is gone", run.id);
        Failure::new(Code::OutcomeGone, problem).hint(format!("`aws-exe events {}` may still have it", run.id))
    };
    run.done().await?.map(|done| Some(done.status)).ok_or_else(gone)
}

fn subject(run: &Run<'_>, order: Option<&OrderState>) -> String {
    match order {
        None => format!("the run `{}`", run.id),
        Some(order) => format!("the order `{}` ({})", order.order_name, order.order_num),
    }
}

/// What happens now.
fn expectation(run: &Run<'_>, order: Option<&OrderState>) -> String {
    const STOPPED: &str = "SIGINT and, after `stop_grace`, SIGKILL";
    const DEPENDENT: &str = "what depends on it is cancelled as well";
    match order {
        None => {
            let (running, queued) = (run.count(Status::Running), run.count(Status::Queued));
            format!("{running} running: the commands get {STOPPED}; {queued} queued: they will not start")
        }
        Some(order) if run.order(order.order_num) == Some(Status::Running) => {
            format!("its command gets {STOPPED}; {DEPENDENT}")
        }
        Some(_) => format!("it will not start; {DEPENDENT}"),
    }
}
