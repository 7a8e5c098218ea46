import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from robustlvq.api import (
    ImporterSpec,
    PluginError,
    UnknownNameError,
    UsageError,
    WeightsError,
    hookimpl,
)
from robustlvq.core.identity import identify
from robustlvq.core.imported import import_weights, imported, imported_file
from robustlvq.core.loading import load_model, open_model
from robustlvq.core.registry import Registry
from robustlvq.core.weights_header import read_header
from robustlvq.errors import OutputError
from tests import importing


@pytest.fixture
def registry():
    importing.reads.clear()
    points = [EntryPoint(name, f"tests.{name}", "robustlvq") for name in ("tiny", "importing")]
    return Registry.discover(points)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, text in (("a", "0.25"), ("b", "0.5"), ("a-large", "0.125")):
        (folder / f"{name}.half").write_text(text)
    return folder


def references(outcomes):
    return [one.reference for one in outcomes if one.error is None]


def test_what_is_imported_becomes_a_model(registry, folder, home):
    assert imported("texts") == []
    outcomes = import_weights("texts", folder, registry)
    assert [(one.reference, one.source) for one in outcomes] == [
        ("texts/a", folder / "a.half"),
        ("texts/a-large", folder / "a-large.half"),
        ("texts/b", folder / "b.half"),
    ]
    assert references(outcomes) == imported("texts")
    path = home / "imported" / "texts" / "a.safetensors"
    assert imported_file("texts/a") == path
    opened = open_model("texts/a", registry)
    assert (opened.name, opened.weights) == ("texts/a", "imported")
    assert opened.module.threshold.item() == 0.25
    assert opened.config.threshold == 0.75
    facts = {key: opened.facts[key] for key in ("imported_as", "source")}
    assert facts == {"imported_as": "texts/a", "source": "a.half"}
    assert load_model("texts/b", registry=registry).threshold.item() == 0.5
    assert open_model(f"half={path}", registry).fingerprint == opened.fingerprint
    # The original is not needed any more.
    (folder / "a.half").unlink()
    assert open_model("texts/a", registry).fingerprint == opened.fingerprint


def test_only_what_is_wanted_and_what_changed_is_read(registry, folder):
    import_weights("texts", folder, registry, ["texts/a"])
    assert [path.name for path in importing.reads] == ["a.half"]
    outcomes = import_weights("texts", folder, registry, ["texts/a*"])
    assert references(outcomes) == ["texts/a", "texts/a-large"]
    assert [path.name for path in importing.reads[1:]] == ["a-large.half"]
    before = open_model("texts/a", registry).fingerprint
    (folder / "a.half").write_text("0.75")
    import_weights("texts", folder, registry, ["texts/*"])
    assert [path.name for path in importing.reads[2:]] == ["a.half", "b.half"]
    after = open_model("texts/a", registry)
    assert after.module.threshold.item() == 0.75
    assert after.fingerprint != before


def test_what_is_imported_already_need_not_be_there(registry, folder):
    import_weights("texts", folder, registry, ["texts/a"])
    (folder / "a.half").unlink()
    assert references(import_weights("texts", folder, registry, ["texts/a", "texts/b"])) == [
        "texts/b"
    ]


def test_the_same_content_is_never_written_again(registry, folder):
    import_weights("texts", folder, registry)
    path = imported_file("texts/a")
    header, _, body = path.read_bytes().partition(b'"config"')
    assert b'{"__metadata__":{"architecture"' in header
    assert body.count(b'"') > 10
    before = path.stat().st_mtime_ns, path.read_bytes()
    import_weights("texts", folder, registry, again=True)
    assert len(importing.reads) == 6
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


@pytest.mark.parametrize("at", [-1, -2])
def test_a_damaged_file_is_mended(registry, folder, at):
    import_weights("texts", folder, registry)
    path = imported_file("texts/a")
    whole = path.read_bytes()
    path.write_bytes(whole[:at])
    import_weights("texts", folder, registry)
    assert path.read_bytes() == whole
    changed = bytearray(whole)
    changed[at] ^= 1
    path.write_bytes(bytes(changed))
    # Whether the numbers are those of the original is seen only by reading it again.
    import_weights("texts", folder, registry, again=True)
    assert path.read_bytes() == whole
    assert [file.name for file in path.parent.iterdir() if "partial" in file.name] == []


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("x", WeightsError, "c.half holds no number"),
        ("bug", PluginError, "importer of 'texts/c': {}/c.half: KeyError: 'bug'"),
        ("other", WeightsError, "c.half: unknown model 'no-such-model'"),
        ("option", WeightsError, "c.half: unknown key of model 'half' 'treshold'"),
        ("object", PluginError, "threshold holds no numbers"),
    ],
)
def test_what_cannot_be_imported_is_named_and_the_rest_imported(
    registry, folder, text, kind, message
):
    (folder / "c.half").write_text(text)
    outcomes = import_weights("texts", folder, registry)
    assert references(outcomes) == ["texts/a", "texts/a-large", "texts/b"]
    assert imported("texts") == references(outcomes)
    assert type(outcomes[-1].error) is kind
    assert message.format(folder) in str(outcomes[-1].error)
    with pytest.raises(kind):
        load_model("texts/c", registry=registry, published_dir=folder)


def test_weights_that_do_not_fit_the_model(registry, folder):
    (folder / "c.half").write_text("shape")
    import_weights("texts", folder, registry)
    with pytest.raises(WeightsError, match=r"'texts/c': 'threshold' has shape \(3,\)"):
        load_model("texts/c", registry=registry)


@pytest.mark.parametrize(
    ("name", "wanted", "kind", "message"),
    [
        ("", ["texts/c"], UsageError, "has no model 'texts/c'; it has texts/a, texts/a-large"),
        ("", ["texts/a-larg"], UsageError, "did you mean 'texts/a-large'?"),
        ("", ["texts/x*"], UsageError, "has no model 'texts/x*'"),
        ("missing", [], WeightsError, "cannot read {}/missing: No such file or directory"),
        ("none.half", [], WeightsError, "cannot read {}/none.half"),
        ("a.half/b", [], WeightsError, "cannot read {}/a.half/b: Not a directory"),
    ],
)
def test_what_is_not_there(registry, folder, name, wanted, kind, message):
    with pytest.raises(kind) as raised:
        import_weights("texts", folder / name, registry, wanted)
    assert message.format(folder) in str(raised.value)


def test_an_empty_folder_and_an_unknown_importer(registry, tmp_path):
    with pytest.raises(WeightsError, match="holds nothing that importer 'texts' reads"):
        import_weights("texts", tmp_path, registry)
    with pytest.raises(UnknownNameError, match="unknown importer 'text'; did you mean 'texts'"):
        import_weights("text", tmp_path, registry)


def test_a_reference_that_is_not_imported(registry, folder):
    with pytest.raises(WeightsError, match="nothing is imported by 'texts' yet: robustlvq import"):
        load_model("texts/a", registry=registry)
    import_weights("texts", folder, registry)
    with pytest.raises(UsageError, match="'texts/a-lrge' is not imported; did you mean 'texts/a-"):
        load_model("texts/a-lrge", registry=registry)
    for name in ("texts/", "texts/../texts/a", "texts/x"):
        with pytest.raises(UsageError, match="is not imported"):
            load_model(name, registry=registry)


def test_a_folder_that_cannot_be_looked_into(registry, folder, monkeypatch):
    def closed(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(WeightsError, match=f"cannot read {folder}: Permission denied"):
        import_weights("texts", folder, registry)


def test_a_home_that_cannot_be_written_to(registry, folder, home):
    home.write_text("a file")
    outcomes = import_weights("texts", folder, registry)
    assert {type(one.error) for one in outcomes} == {OutputError}
    assert str(home) in str(outcomes[0].error)


def test_a_file_of_more_than_is_read(registry, folder, monkeypatch):
    monkeypatch.setattr("robustlvq.core.imported.LARGEST", 3)
    outcomes = import_weights("texts", folder, registry)
    assert "a.half has 4 bytes, more than the 3 bytes that are read" in str(outcomes[0].error)


class Broken:
    def __init__(self, names):
        self.names = names

    def find(self, path):
        if self.names is None:
            raise KeyError("bug")
        return dict.fromkeys(self.names, path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "importer 'own' cannot look into .*: KeyError: 'bug'"),
        (["../x"], "importer 'own': model '../x' must be lower case letters"),
        (["a/b"], "importer 'own': model 'a/b' must be a name without '/'"),
        (["Upper"], "must be lower case letters"),
        ([7], "must be lower case letters"),
    ],
)
def test_a_broken_importer(plugin, tmp_path, names, message):
    @hookimpl
    def robustlvq_importers():
        return [ImporterSpec("own", "x", lambda: Broken(names))]

    registry = Registry.discover([plugin("own", robustlvq_importers=robustlvq_importers)])
    with pytest.raises(PluginError, match=message):
        import_weights("own", tmp_path, registry)


def test_an_importer_without_a_slash():
    with pytest.raises(PluginError, match="importer 'a/b': name = 'a/b' must be without '/'"):
        ImporterSpec("a/b", "x", "a:b")


def test_weights_of_a_model_that_is_not_registered_any_more(registry, folder):
    import_weights("texts", folder, registry)
    alone = Registry.discover([EntryPoint("importing", "tests.importing", "robustlvq")])
    with pytest.raises(WeightsError, match="texts/a: unknown model 'half'"):
        identify("texts/a", alone)


def test_a_header_is_sorted_so_that_a_file_is_the_same_everywhere(registry, folder):
    import_weights("texts", folder, registry)
    content = imported_file("texts/b").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0
    texts = json.loads(content[8 : 8 + size])["__metadata__"]
    assert list(texts) == sorted(texts) == ["architecture", "config", "facts", "format", "model"]
    header = read_header(imported_file("texts/b"))
    assert header.config == {"threshold": 0.75}


def test_importing_needs_no_torch(folder, home):
    code = (
        "import sys\n"
        "from importlib.metadata import EntryPoint\n"
        "from pathlib import Path\n"
        "from robustlvq.core.registry import Registry\n"
        "from robustlvq.core.imported import import_weights\n"
        "points = [EntryPoint(n, f'tests.{n}', 'robustlvq') for n in ('tiny', 'importing')]\n"
        "found = import_weights('texts', Path(sys.argv[1]), Registry.discover(points))\n"
        "assert [one.error for one in found] == [None] * 3\n"
        "assert 'torch' not in sys.modules\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code, folder], check=True, cwd=root)
    assert imported("texts") == ["texts/a", "texts/a-large", "texts/b"]
