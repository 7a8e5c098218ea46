from __future__ import annotations

import sys

import pytest

from tests.chaos.arena import SMALL, Arena, Server


def pytest_collection_modifyitems(items):
    for item in items:
        if "chaos" in item.path.parts and sys.platform != "linux":
            item.add_marker(pytest.mark.skip(reason="signals and /proc of Linux"))


@pytest.fixture(scope="package")
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="package")
def undisturbed(server, tmp_path_factory):
    """What a run finds that nothing happens to."""
    arena = Arena(tmp_path_factory.mktemp("undisturbed"), server)
    run = arena.start(workers=1)
    assert run.wait() == 0, run.out
    arena.check()
    return arena.answer()


@pytest.fixture(scope="package")
def small(undisturbed):
    """The part of it that is asked for by :data:`tests.chaos.arena.SMALL`."""
    models, attacks = SMALL["models"], SMALL["attacks"]
    return {
        key: values for key, values in undisturbed.items() if key[0] in models and key[1] in attacks
    }


@pytest.fixture
def arena(server, tmp_path):
    return Arena(tmp_path / "arena", server)
