"""A signal stops a command once, at a safe point, and is never lost."""
# ruff: noqa: PT012  # what is tested is that the block is left by the signal

import importlib
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from fmcore.errors import Interrupted
from fmcore.runs.signals import STOPPING, interruptible, raise_if_stopped, stop_on_signal


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_asks_to_stop_and_is_named(number):
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        assert not stop
        send(number)
        assert stop
        assert stop.signal == number


def test_repeated_signals_of_a_cluster_interrupt_nothing():
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
            send(number)
        assert stop.signal == signal.SIGUSR1


def test_a_second_control_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), stop_on_signal():
        send(signal.SIGTERM)
        send(signal.SIGINT)
        pytest.fail("the second signal was ignored")


def test_a_request_that_nothing_acted_on_is_raised_at_the_end():
    reached = False
    with pytest.raises(KeyboardInterrupt), stop_on_signal():
        send(signal.SIGTERM)  # as during the last save of a loop
        reached = True
    assert reached


@pytest.mark.parametrize("number", STOPPING)
def test_work_that_may_be_lost_is_interrupted_at_once(number):
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        with pytest.raises(KeyboardInterrupt), stop.at_once():
            send(number)
            pytest.fail("the signal was deferred")
        assert stop.signal == number


def test_a_signal_that_came_before_prevents_such_work():
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        send(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), stop.at_once():
            pytest.fail("the work was started")


@pytest.mark.parametrize("number", STOPPING)
def test_outside_of_loops_every_signal_interrupts(number):
    with pytest.raises(KeyboardInterrupt), interruptible():
        send(number)


def swallow(number):
    """Turn a KeyboardInterrupt into another exception, as some libraries do."""
    try:
        send(number)
        pytest.fail("the signal did not interrupt")
    except KeyboardInterrupt:
        pass


def test_a_signal_that_a_library_swallowed_is_raised_afterwards():
    with pytest.raises(KeyboardInterrupt), interruptible():
        swallow(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            raise_if_stopped()
        swallowed = True
    assert swallowed
    raise_if_stopped()  # nothing is left of it


def test_an_error_that_follows_a_swallowed_signal_is_reported_as_the_interruption():
    """As numpy fails with a RecursionError after the import of its submodule was cut off."""
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        swallow(signal.SIGTERM)
        raise RecursionError
    assert isinstance(caught.value.__cause__, RecursionError)


SLOW_MODULE = """
import os, signal
from sent import numbers
for number in numbers:
    os.kill(os.getpid(), number)
finished = True
"""


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    """Return a function that imports a module which sends signals to its own process."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sending.py").write_text(SLOW_MODULE)

    def load(*numbers):
        monkeypatch.setitem(sys.modules, "sent", SimpleNamespace(numbers=numbers))
        monkeypatch.delitem(sys.modules, "sending", raising=False)
        return importlib.import_module("sending")

    yield load
    sys.modules.pop("sending", None)


@pytest.mark.parametrize("number", STOPPING)
def test_an_import_is_finished_before_a_signal_interrupts(slow_module, number):
    """One that is cut off leaves broken modules, and ends the process inside compiled code."""
    alarm = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        loaded = slow_module(number)
        time.sleep(60)  # until the next look
        pytest.fail("the signal was lost")
    assert loaded.finished
    assert signal.getsignal(signal.SIGALRM) == alarm
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_signal_during_the_last_import_is_raised_at_the_end(slow_module):
    loaded = None
    with pytest.raises(KeyboardInterrupt), interruptible():
        loaded = slow_module(signal.SIGTERM)
    assert loaded.finished
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_second_control_c_cuts_an_import_off(slow_module):
    with pytest.raises(KeyboardInterrupt), interruptible():
        slow_module(signal.SIGINT, signal.SIGINT)
        pytest.fail("the second signal was deferred")
    assert "sending" not in sys.modules


RUN_ON_IMPORT = """
import os, signal
from fmcore.runs.signals import interruptible
with interruptible():
    os.kill(os.getpid(), signal.SIGTERM)
    reached = True
"""


def test_a_module_that_runs_a_command_on_import_is_interrupted_at_once(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "running.py").write_text(RUN_ON_IMPORT + "    raise AssertionError\n")
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("running")


def test_an_error_without_a_signal_and_a_reported_interruption_pass_through():
    with pytest.raises(RecursionError), interruptible():
        raise RecursionError
    with pytest.raises(Interrupted, match="resume"), interruptible():
        swallow(signal.SIGTERM)
        raise Interrupted("resume it")


def test_handlers_are_restored():
    before = signal.getsignal(signal.SIGUSR1)
    with stop_on_signal():
        assert signal.getsignal(signal.SIGUSR1) != before
    assert signal.getsignal(signal.SIGUSR1) == before


BELONGING = """
import os, sys, time
from fmcore.runs.signals import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep(60)
"""

STARTING = """
import os, subprocess, sys
own = {**os.environ, "FMCORE_PARENT": str(os.getpid())}
subprocess.run([sys.executable, "-c", sys.argv[1]], env=own)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a call of Linux")
def test_a_process_ends_with_the_one_that_it_belongs_to():
    command = [sys.executable, "-c", STARTING, BELONGING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        # the other process holds the pipe too: it is closed when both have ended
        assert parent.stdout.read() == ""


def test_a_process_whose_parent_has_ended_already_does_not_start(monkeypatch):
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("FMCORE_PARENT", "1999999999")
        done = subprocess.run([sys.executable, "-c", BELONGING], capture_output=True, check=False)
        assert done.returncode != 0
        assert b"KeyboardInterrupt" in done.stderr
