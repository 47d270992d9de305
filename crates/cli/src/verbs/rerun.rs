//! `aws-exe rerun RUN JOB`: a new run of the job in which orders count as succeeded that succeeded in that run and are
//! unchanged since, unless something that they depend on runs again.

use common::{env::Environment, text::shown};

use crate::{
    args::RerunArgs,
    code::Code,
    exit::Exit,
    failure::Failure,
    output::Output,
    verbs::submit::{Again, perform},
};

/// Runs again.
pub(crate) async fn rerun(args: RerunArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let of = args.run.parse().map_err(|_| {
        Failure::new(Code::RunUnknown, format!("there is no run `{}`", shown(&args.run)))
            .hint("a run is named by the `run_id` that its submission answered with")
    })?;
    let again = Again { of: Some(of), from: args.from.clone() };
    perform(&args.job, &args.options, &args.engine, again, environment, output).await
}
