"""The README, the changelog and the packaging say what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import robustlvq

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_has_one_command_to_run_and_one_to_test() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.M)
    assert len(commands) == 2
    assert "robustlvq bench -m glvq -a boundary" in commands[0]
    assert "pytest" in commands[1]
    assert all("-c constraints.txt" in command for command in commands)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_version_and_changelog_agree() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert robustlvq.__version__ == declared
    assert f"## [{declared}]" in (ROOT / "CHANGELOG.md").read_text()


def test_installed_entry_points_are_those_of_pyproject() -> None:
    from importlib.metadata import distribution

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    installed = {
        point.name: point.value
        for point in distribution("robustlvq").entry_points
        if point.group == "robustlvq"
    }
    assert installed == declared["robustlvq"], "run `pip install -e .` again"


def test_the_example_configuration_is_valid() -> None:
    from robustlvq.core.registry import Registry
    from robustlvq.run.config import read_config
    from robustlvq.run.plan import plan_attacks

    config = read_config(ROOT / "examples" / "bench.yaml")
    planned = plan_attacks(
        config.attacks, config.profile, config.attack_options, Registry.discover()
    )
    assert [attack.name for attack in planned] == [
        "deepfool-l2",
        "bim-l2",
        "deepfool-linf",
        "bim-linf",
        "pointwise-l0",
    ]
