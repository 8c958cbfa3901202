"""The simulated fleet agrees with what is known in closed form."""

from typing import Any

import pytest

from bench.service.simulate import Fleet, Simulation, assumed_times

FREE: dict[str, Any] = {"claim": 0.0, "publish": 0.0, "heartbeat": 0.0, "look": 0.0, "between_failures": 1e12}


def test_one_worker_waits_as_pollaczek_and_khinchine_say() -> None:
    """Mean wait of an M/G/1 queue: rate * E[S^2] / (2 (1 - load))."""
    times = assumed_times()
    mean = sum(times) / len(times)
    rate = 0.7 / mean
    run = Simulation(Fleet(workers=1, **FREE), times, jobs=20_000, rate=rate, seed=2).run()
    expected = rate * sum(one**2 for one in times) / len(times) / (2 * (1 - 0.7))
    assert sum(run.waits) / len(run.waits) == pytest.approx(expected, rel=0.1)


def test_a_full_queue_is_worked_off_in_even_shares() -> None:
    run = Simulation(Fleet(workers=10, **FREE), [5.0], jobs=100, rate=0.0, seed=1).run()
    assert (run.done, run.seconds) == (100, 50.0)


def test_a_database_that_does_one_thing_at_a_time_holds_workers_up() -> None:
    fleet = Fleet(workers=10, **(FREE | {"claim": 1.0, "database_parallel": 1}))
    run = Simulation(fleet, [5.0], jobs=100, rate=0.0, seed=1).run()
    assert run.seconds == pytest.approx(100 + 5)
    assert run.database_busy == pytest.approx(100 / 105)


def test_jobs_of_dead_workers_are_done_all_the_same() -> None:
    fleet = Fleet(workers=4, **(FREE | {"between_failures": 20.0}))
    run = Simulation(fleet, [5.0], jobs=200, rate=0.0, seed=1).run()
    assert run.done == 200
    assert run.restarted > 20
