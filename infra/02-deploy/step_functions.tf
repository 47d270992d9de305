# The watchdog's state machine: one execution an order and one a run. Its definition is the file that the embedded AWS
# runs too.

resource "aws_sfn_state_machine" "watchdog" {
  #checkov:skip=CKV_AWS_284: Each execution is one line of waits and looks, all of which its history shows; X-Ray would add a permission on all resources and nothing to see.
  name     = local.name.state_machine
  role_arn = aws_iam_role.step_functions.arn
  # Executions last as long as their orders, up to days, and must run once; Express ones end after five minutes.
  type = "STANDARD"

  definition = templatefile("${path.module}/watchdog.asl.json", {
    watchdog_check_arn = aws_lambda_function.function["watchdog_check"].arn
  })

  logging_configuration {
    log_destination = "${aws_cloudwatch_log_group.state_machine.arn}:*"
    # Failures alone: a look that failed and was repeated. Everything else is in the history, which Step Functions
    # keeps for 90 days; a run of a day would write thousands of lines.
    level = "ERROR"
    # Input and output may be logged, as they hold no secrets: names of the run, the order, a bucket and a table, times,
    # and the text of an error (docs/ARCHITECTURE.md, section 10, number 18). Without them a line would not say what
    # failed.
    include_execution_data = true
  }

  # Step Functions asks at once whether the role may deliver logs.
  depends_on = [aws_iam_role_policy.step_functions_own]
}
