"""One step of a release or of a rollback: the orders of release.yaml and rollback.yaml run this file, a verb each.

Every verb may be run again after it failed anywhere: it looks at what is there and does what is missing.
"""

from __future__ import annotations

import os
import sys

import batch
import trial
from definition import image_of, short
from tools import Failure, main, say

USAGE = """usage: python3 deliver.py VERB

A release of IMAGE_TAG for the job definition JOB_DEFINITION, in this order:
  check       see that the image is there, and a definition whose image can be changed
  register    a revision that differs from the newest active one by the image alone
  test        run a job of it on JOB_QUEUE, and wait

Leaving IMAGE_TAG:
  rollback    in the way that ROLLBACK says:
                revert   deregister its revisions, so that the one before is the newest
                tag      register once more the revision whose image has the tag ROLLBACK_TO
                last     register once more the last revision before those of IMAGE_TAG

The variables are told in README.md."""


def check() -> None:
    what = batch.subject()
    batch.image_exists(what)
    newest = batch.active(what.name)[0]
    say(f"the newest revision is {short(newest)}, {image_of(newest, what.container)}")


def register() -> None:
    what = batch.subject()
    batch.image_exists(what)
    batch.release(what)


def test() -> None:
    trial.run(batch.released(batch.subject()))


def rollback() -> None:
    what = batch.subject()
    way = os.environ.get("ROLLBACK", "").strip()
    if way == "revert":
        batch.revert(what)
    elif way == "tag":
        to = batch.tag_of("ROLLBACK_TO", os.environ.get("ROLLBACK_TO", "").strip())
        if to == what.tag:
            raise Failure(f"`ROLLBACK_TO` and `IMAGE_TAG` are both `{to}`: one is left, the other is gone back to")
        batch.roll_to(what, to)
    elif way == "last":
        batch.roll_to_last(what)
    else:
        raise Failure(f"`ROLLBACK` cannot be `{way}`: `revert`, `tag` or `last` is wanted")


VERBS = {"check": check, "register": register, "test": test, "rollback": rollback}

if __name__ == "__main__":
    sys.exit(main(VERBS, USAGE))
