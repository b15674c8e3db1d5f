"""Named cases of a tour, run one after the other and reported as `cargo xtask test` reads it.

    from cases import case, equal, main, skip

    @case
    def a_bucket_is_made_and_listed():
        ...

    main()

The name of a case in the report is `PEER::MODULE::FUNCTION`, without the module for cases of the tour itself. A
case passes when it returns, fails when it raises, and is skipped when it calls `skip`. What it prints is shown only
if it fails. Arguments of the tour are parts of names: a case runs if its name contains one of them.
"""

import contextlib
import io
import logging
import os
import pathlib
import sys
import time
import traceback

_CASES = []


class Skip(Exception):
    """Raised by `skip`."""


def case(function):
    """Makes a function a case of the tour."""
    module = function.__module__
    path = [function.__name__] if module == "__main__" else [module.rpartition(".")[2], function.__name__]
    _CASES.append(("::".join([os.environ.get("LONGSHORE_PEER", "peer"), *path]), function))
    return function


def skip(reason):
    """Ends the case as skipped. A reason that starts with `unsupported` says that the peer lacks what the case shows."""
    raise Skip(reason)


def server(name, default=None):
    """What the server announced under `name` (`aistore`, `authn`, ...), usually an address."""
    value = os.environ.get("LONGSHORE_DEV_" + name.upper().replace("-", "_"), default)
    if value is None:
        raise AssertionError(f"the server announced no `{name}`")
    return value


def is_dev_server():
    """Whether the server was started for this tour, and is not one that the user named."""
    return "LONGSHORE_PEER_FOLDER" in os.environ


def folder():
    """A folder that the server may read too, if its manifest says so. It is removed after the tour."""
    if not is_dev_server():
        skip("unsupported: a server that runs elsewhere shares no folder with this tour")
    return pathlib.Path(os.environ["LONGSHORE_PEER_FOLDER"])


def equal(actual, expected, what="value"):
    """Fails, and shows both, unless they are equal."""
    if actual != expected:
        raise AssertionError(f"{what}: got {_short(actual)}, expected {_short(expected)}")


def check(condition, what):
    """Fails with `what` unless the condition holds."""
    if not condition:
        raise AssertionError(what)


def raises(kinds, call, *args, **kwargs):
    """Calls and returns the exception that it raised; fails if it raised none, or one of another kind."""
    try:
        answer = call(*args, **kwargs)
    except kinds as error:
        return error
    raise AssertionError(f"expected a refusal, got {_short(answer)}")


def eventually(condition, what, limit=10.0):
    """Asks until the condition holds, and returns what it gave."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {limit} s")
        time.sleep(0.02)


def main():
    """Runs the cases and ends the process: 0 if none failed."""
    # What clients log is told by their errors too.
    logging.disable()
    wanted = sys.argv[1:]
    cases = [(name, run) for name, run in _CASES if not wanted or any(part in name for part in wanted)]
    print(f"\nrunning {len(cases)} test{'' if len(cases) == 1 else 's'}")
    start = time.monotonic()
    counts = {"ok": 0, "FAILED": 0, "ignored": 0}
    for name, run in cases:
        end, reason, told = _run(run)
        counts[end] += 1
        print(f"test {name} ... {end}{', ' + reason if reason else ''}")
        for line in told.splitlines():
            print(f"    {line}")
    verdict = "FAILED" if counts["FAILED"] else "ok"
    print(
        f"\ntest result: {verdict}. {counts['ok']} passed; {counts['FAILED']} failed; {counts['ignored']} ignored; "
        f"0 measured; 0 filtered out; finished in {time.monotonic() - start:.2f}s\n"
    )
    sys.exit(1 if counts["FAILED"] else 0)


def _run(run):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            run()
    except Skip as skipped:
        return "ignored", " ".join(str(skipped).split()), ""
    except Exception:  # any exception fails the case, and the next one runs
        return "FAILED", "", said.getvalue() + traceback.format_exc()
    return "ok", "", ""


def _short(value):
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:600]}... ({len(text)} characters)"
