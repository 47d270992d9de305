"""Asks a service's health URL until it answers well several times in a row, or not often enough.

Only Python's standard library: the worker's image need not have curl. A redirect counts as a wrong answer, because a
login page answers 200 as well.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from typing import Any, Optional

from tools import Failure, number, report, say

# Tries, and seconds between two: two minutes and a half, in which a load balancer has taken the old targets out.
TRIES, PAUSE = 30, 5
# Good answers in a row that are wanted: while old tasks drain, some answers are still theirs.
IN_ROW = 3
# Seconds for one answer: far more than a health page takes, short against the pause between two looks of a balancer.
ANSWER_LIMIT = 5
# Bytes of an answer that are read and searched.
READ = 64 << 10


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an HTTPError."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask(url: str, text: str) -> Optional[str]:
    """What is wrong with the answer; nothing if all is well."""
    try:
        with urllib.request.build_opener(NoRedirect).open(url, timeout=ANSWER_LIMIT) as answer:
            body = answer.read(READ).decode("utf-8", "replace")
            if answer.status != 200:
                return f"status {answer.status}"
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    # Refused, reset, not resolved, timed out, cut short: all of them are OSError or HTTPException.
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {getattr(error, 'reason', None) or error or type(error).__name__}"
    if text and text not in body:
        return f"status 200, but the answer does not contain {text}"
    return None


def healthy(url: str, text: str) -> None:
    """Asks until there were enough good answers in a row; fails after `HEALTH_TRIES`."""
    if not url.startswith(("https://", "http://")):
        raise Failure(f"the health URL should be http or https, not {url}")
    tries = int(number("HEALTH_TRIES", TRIES, 1, 1000))
    pause = number("HEALTH_PAUSE", PAUSE, 0, 300)
    wanted = min(int(number("HEALTH_IN_ROW", IN_ROW, 1, 100)), tries)
    good = 0
    told: Optional[str] = ""
    for attempt in range(1, tries + 1):
        wrong = ask(url, text)
        good = 0 if wrong else good + 1
        if wrong != told:
            told = wrong
            say(f"{url}: {wrong or 'answers well'} (try {attempt} of {tries})")
        if good == wanted:
            report("healthy", url=url, tries=attempt)
            return
        if attempt < tries:
            time.sleep(pause)
    last = told or f"only {good} good answers in a row, {wanted} are wanted"
    raise Failure(f"{url} did not become healthy in {tries} tries: {last}")
