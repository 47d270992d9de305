# The watchdog's state machine: one execution an order and one a run. Its definition is the file that the embedded AWS
# runs too.
#
# Most orders have ended when their first wait is over. `HasResult` sees that without a function: such an execution costs
# two state transitions. Whatever S3 answers but that the result is there leads to `Check`, which looks again and retries.
# Of a run the state looks for a key that nobody writes (keys.rs), so that its tick goes on.
#
# `HasResult` is written in JSONata: an input without `result_key`, from functions of a release before it, then is an
# error that `Catch` takes. A path that leads nowhere would end the execution, as nothing catches States.Runtime
# (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html). So it does not matter in which
# order an update reaches the functions and the state machine; executions that run keep the definition they began with
# (https://docs.aws.amazon.com/step-functions/latest/apireference/API_UpdateStateMachine.html).

resource "aws_sfn_state_machine" "watchdog" {
  #checkov:skip=CKV_AWS_284: Each execution is one line of waits and looks, all of which its history shows; X-Ray would add a permission on all resources and nothing to see.
  name     = local.name.state_machine
  role_arn = aws_iam_role.step_functions.arn
  # Executions last as long as their orders, up to days, and must run once; Express ones end after five minutes.
  type = "STANDARD"

  definition = templatefile("${path.module}/watchdog.asl.json", {
    watchdog_check_arn = aws_lambda_function.function["watchdog_check"].arn
    # Of AWS's own integrations, whose ARNs name neither region nor account, but the partition.
    partition = local.partition
  })

  logging_configuration {
    log_destination = "${aws_cloudwatch_log_group.state_machine.arn}:*"
    # Failures alone: a look that failed and was repeated; and, in a line for each run and for each order that takes
    # longer than its first wait, S3's answer that there is no result yet. Everything else is in the history, which Step
    # Functions keeps for 90 days; a run of a day would write thousands of lines.
    level = "ERROR"
    # Input and output may be logged, as they hold no secrets: names of the run, the order, a bucket and a table, times,
    # and the text of an error (docs/ARCHITECTURE.md, section 10, number 18). Without them a line would not say what
    # failed.
    include_execution_data = true
  }

  # Step Functions asks at once whether the role may deliver logs.
  depends_on = [aws_iam_role_policy.step_functions_own]
}
