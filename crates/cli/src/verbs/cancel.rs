//! `aws-exe cancel RUN [ORDER]`: asks the engine to cancel, by the object that anybody with write access may put. What
//! has ended stays as it is.

use std::time::Duration;

use common::{
    ids::OrderNum,
    intake::kick_off::WAKE,
    keys,
    status::{Outcome, Status},
};

use crate::{
    args::CancelArgs,
    exit::{Exit, Failure},
    lookup::Run,
    remote::Remote,
    state::{OrderState, told},
};

/// Between two looks of `--wait`.
const PAUSE: Duration = Duration::from_millis(250);

/// Cancels.
pub(crate) async fn cancel(args: CancelArgs) -> Result<Exit, Failure> {
    let remote = Remote::connect(&args.endpoint.endpoint).await?;
    let mut run = Run::find(&remote, &args.run).await?;
    let order = match &args.order {
        Some(text) => Some(run.find_order(text).await?),
        None => None,
    };
    let order = order.as_ref();
    if let Some(outcome) = ended(&run, order).await? {
        println!("{} has ended already: {outcome}", subject(&run, order));
        return Ok(if args.wait { outcome.into() } else { Exit::Success });
    }
    let key = keys::cancel(&run.id, order.map_or(OrderNum::RUN, |order| order.order_num));
    remote.objects().put(&key, WAKE).await.map_err(told)?;
    println!("asked to cancel {}", subject(&run, order));
    println!("{}", expectation(&run, order));
    if !args.wait {
        return Ok(Exit::Success);
    }
    loop {
        tokio::time::sleep(PAUSE).await;
        run.refresh().await?;
        if let Some(outcome) = ended(&run, order).await? {
            println!("{} has ended: {outcome}", subject(&run, order));
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
    let gone = || Failure::input(format!("the run `{}` ended so long ago that its outcome is gone", run.id));
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
