"""Tests that share what is dear to build run in one process."""

import os

import pytest


def test_the_groups_of_conftest_are_kept(request: pytest.FixtureRequest) -> None:
    """What a version of pytest once broke in silence: every process then built every model and service."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not request.config.getoption("loadgroup"):
        pytest.skip("tests run in one process, or not in groups")
    assert request.node.nodeid.endswith("@test_groups.py")
