use model::{check::*, faults::Budgets, job::Job, protocol::Protocol,flaws::Flaw,invariants::Invariant};
#[test] fn probe() {
    let z = Budgets::default();
    let go = |n: &str, p: Protocol| { let r = explore(n, p, 2); println!("{r}  exhaustive {} completes {}", r.is_exhaustive, r.completes); };
    go("chain, timeouts", Protocol::new(Job::CHAIN, Budgets{timeouts:2,..z}));
    go("chain after look", Protocol::new(Job::CHAIN, Budgets{deadlines:1,zombies:1,..z}).with(Flaw::DeadlineAfterLook));
    go("chain+1 narrow", Protocol::new(Job::CHAIN_AND_ONE, Budgets{deadlines:1,zombies:1,..z}).with(Flaw::DeadlineOnNarrowLook));
    let d = Budgets{deadlines:1,..z};
    go("chain+1 after look, no zombie", Protocol::new(Job::CHAIN_AND_ONE, Budgets{timeouts:1,worker_crashes:1,errors:1,lost_replies:1,..d}).with(Flaw::DeadlineAfterLook));
    go("chain+1 zombie deadline mended", Protocol::new(Job::CHAIN_AND_ONE, Budgets{zombies:1,..d}));
    go("chain+1 zombie cancel", Protocol::new(Job::CHAIN_AND_ONE, Budgets{zombies:1,cancels:1,..z}));
    go("chain tol zombie cancel deadline, timeouts", Protocol::new(Job::CHAIN.tolerant(), Budgets{zombies:1,cancels:1,timeouts:2,..d}));
    go("chain all", Protocol::new(Job::CHAIN, Budgets{crashes:1,worker_crashes:1,duplicates:1,drops:1,zombies:1,lost_replies:1,..z}));
    go("fan cr zo", Protocol::new(Job::FAN_IN, Budgets{crashes:1,zombies:1,..z}));
    go("diamond cr", Protocol::new(Job::DIAMOND, Budgets{crashes:1,..z}));
}
