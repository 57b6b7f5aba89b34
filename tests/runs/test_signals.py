"""What a cluster sends stops a run once, and does not tear what it saves."""

import os
import signal

import pytest

from fmcore.runs.signals import stop_on_signal


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_asks_to_stop_and_is_named(number):
    with stop_on_signal() as stop:
        assert not stop
        send(number)
        assert stop
        assert stop.signal == number


def test_a_cluster_that_repeats_itself_interrupts_nothing():
    with stop_on_signal() as stop:
        for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
            send(number)
        assert stop.signal == signal.SIGUSR1


def test_control_c_after_it_interrupts_at_once():
    with stop_on_signal() as stop:
        send(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert stop


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGUSR1)
    with stop_on_signal():
        assert signal.getsignal(signal.SIGUSR1) != before
    assert signal.getsignal(signal.SIGUSR1) == before
