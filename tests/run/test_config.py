import pytest

from robustlvq.api import ConfigError, Norm, UnknownNameError, as_mapping, config_from
from robustlvq.run.config import BenchConfig, read_config


def write(tmp_path, text):
    path = tmp_path / "bench.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_are_those_of_the_paper():
    limits = BenchConfig().limits
    assert limits == {Norm.L0: 12.0, Norm.L1: None, Norm.L2: 1.5, Norm.LINF: 0.3}
    assert config_from(BenchConfig, as_mapping(BenchConfig())) == BenchConfig()


def test_thresholds_are_changed_one_by_one():
    config = BenchConfig(thresholds={"l2": 2.0, "linf": float("inf"), "l1": 5.0})
    assert config.limits == {Norm.L0: 12.0, Norm.L1: 5.0, Norm.L2: 2.0, Norm.LINF: None}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("samples", 0, "samples = 0 is"),
        ("samples", "some", "not a number or 'all'"),
        ("samples", 2.5, "samples = 2.5"),
        ("seed", -1, "seed = -1 is"),
        ("batch_size", -1, "batch_size = -1 is"),
        ("workers", -1, "workers = -1 is"),
        ("thresholds", {"l2": -1}, "threshold of l2"),
        ("thresholds", 3, "thresholds"),
        ("attack_options", {"fgm": 3}, "attack_options"),
    ],
)
def test_bad_values(key, value, message):
    with pytest.raises(ConfigError, match=message):
        config_from(BenchConfig, {key: value}, "bench")


def test_an_unknown_norm():
    with pytest.raises(UnknownNameError, match="did you mean 'l2'"):
        BenchConfig(thresholds={"L2": 1})


def test_a_file_and_what_stands_above_it(tmp_path):
    path = write(
        tmp_path,
        "models: [glvq, gm*]\nattacks: bim, fgsm\nsamples: all\n"
        "thresholds: {l2: 2}\nattack_options:\n  bim: {iterations: 5}\n",
    )
    config = read_config(path, {"samples": "30"})
    assert config.models == ("glvq", "gm*")
    assert config.attacks == ("bim", "fgsm")
    assert config.samples == 30
    assert config.limits[Norm.L2] == 2
    assert config.attack_options == {"bim": {"iterations": 5}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [a]\n\nsampels: 3\n", "line 3: unknown key of bench 'sampels'; did you mean"),
        ("seed: 1\nsamples: 2.5\n", "line 2: bench: samples = 2.5"),
        ("seed: 1\nseed: 2\n", "line 2: 'seed' is given twice"),
        ("models: [a\n", "line 2: not valid YAML"),
        ("- a\n- b\n", "must hold keys and values"),
        ("seed: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("seed: 1\nnull: 3\n", "line 2: 'null' is not a key"),
        ("true: 1\n", "line 1: 'true' is not a key"),
        ("1.50: 2\n", "line 1: '1.50' is not a key"),
        ("<<: {seed: 1}\n", "line 1: '<<' is not a key"),
        ("? [a, b]\n: 1\n", "line 1: a list or mapping is not a key"),
        ("{}: 1\n", "line 1: a list or mapping is not a key"),
        ("!!str [a]: 1\n", "line 1: a list or mapping is not a key"),
        ("models: a\nseed: 2019-99-99\n", "line 2: not valid YAML: month must be"),
        ("seed: !!bool maybe\n", "line 1: not valid YAML"),
        ("seed: &a [*a]\n", "line 1"),
        ("thresholds: {? [a] : 1}\n", "line 1: not valid YAML"),
        ("thresholds: {null: 1}\n", "line 1: bench: thresholds"),
        ("models: " + "[" * 3000 + "]" * 3000, "not valid YAML: too deeply nested"),
    ],
)
def test_a_bad_file_is_answered_with_the_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "bench.yaml" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        read_config(tmp_path / "binary.yaml")
    for text in ("", "# nothing\n", "null\n"):
        assert read_config(write(tmp_path, text)) == BenchConfig()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("attack_options:\n  bim: {iterations: 5}\n  bim: {iterations: 6}\n", 3),
        ("attack_options:\n  bim:\n    iterations: 5\n    iterations: 6\n", 4),
        ("thresholds: {l2: 1,\n  l2: 2}\n", 2),
        ("models: glvq\nmodels: gmlvq\n", 2),
    ],
)
def test_a_key_that_is_given_twice_at_any_depth(tmp_path, text, line):
    with pytest.raises(ConfigError, match=rf"line {line}: '\w+' is given twice"):
        read_config(write(tmp_path, text))


def test_the_same_key_in_two_mappings_and_aliases(tmp_path):
    text = "attack_options: {bim: &a {iterations: 5}, fgsm: *a, pgd: {iterations: 6}}\n"
    options = read_config(write(tmp_path, text)).attack_options
    assert options["fgsm"] == {"iterations": 5}
    assert options["pgd"] == {"iterations": 6}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("models:\n- glvq\n- 3\n", 3, r"models = \[3\] is not a list of texts"),
        ("thresholds:\n  l2: 1\n  linf: x\n", 3, "thresholds.linf = 'x' is not a number or empty"),
        ("thresholds:\n  l2: 1\n  linf: -1\n", 3, "threshold of linf = -1.0 is below 0"),
        ("thresholds:\n  l2: 1\n  l3: 1\n", 3, "unknown norm in thresholds of bench 'l3'; did"),
        ("thresholds: {l2: 1,\n  linf: [1,\n  2]}\n", 2, r"thresholds.linf = \[1, 2\] is not"),
        ("thresholds:\n  l2: 1\n  3: 1\n", 3, "thresholds has the key 3, which is not text"),
        ("attack_options:\n  bim:\n    iterations: 5\n  fgsm: 3\n", 4, "attack_options.fgsm = 3"),
        (
            "attack_options:\n  bim:\n    iterations: 5\n    3: 4\n",
            4,
            "attack_options.bim has the key 3, which is not text",
        ),
        ("attack_options:\n  bim: &a {x: 1}\n  4: *a\n", 3, "attack_options has the key 4, which"),
        (
            "samples: all\nseed: 0x" + "f" * 5000,
            2,
            "seed = <int that cannot be shown> is too large",
        ),
        ("samples: all\nseed: !!binary MTI=\n", 2, "seed = b'12' is not a whole number"),
        ("samples: all\nthresholds:\n\n  l0: 1" + "0" * 400, 4, "thresholds.l0 = 1000"),
    ],
)
def test_the_line_of_a_nested_key_is_named(tmp_path, text, line, message):
    with pytest.raises(ConfigError, match=rf"bench\.yaml, line {line}: .*{message}"):
        read_config(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("models:\n  - half\n  - hafl\n", 3, "unknown model 'hafl'; did you mean 'half'"),
        ("models:\n  - half\n  - hafl=x\n", 3, "unknown model 'hafl'"),
        ("models:\n  - half\n  - half=\n", 3, "name a weight file after"),
        ("models: >-\n  half,\n  hafl\n", 1, "unknown model 'hafl'"),
        ("seed: 1\nattacks:\n  - noise\n  - nose\n", 4, "unknown attack 'nose'; did you mean"),
        ("attacks: noise\nprofile: papper\n", 2, "unknown profile 'papper'; did you mean"),
        (
            "attacks: step\nattack_options:\n  step:\n    beyond: 1\n    beyonds: 2\n",
            5,
            "unknown key of attack 'step-l2' 'beyonds'; did you mean 'beyond'",
        ),
        (
            "attacks: step\nattack_options:\n  step-l2:\n    beyond: 1\n  step:\n    beyond: x\n",
            6,
            "attack 'step-l.*': beyond = 'x' is not a number",
        ),
        (
            "attacks: step-l2\nattack_options:\n  step-l2: {beyond: 1}\n  stp: {beyond: 1}\n",
            4,
            "unknown attack 'stp'; did you mean 'step'",
        ),
        (
            "attacks: step-l2\nattack_options:\n  noise:\n    beyond: 1\n",
            3,
            "options for 'noise', which is not among the attacks of this run",
        ),
        (
            "attacks: step-l2\nattack_options:\n  step-l2: &a\n    beyond: 1\n  step:\n"
            "    <<: *a\n    beyonds: 3\n",
            7,
            "'beyonds'",
        ),
    ],
)
def test_names_are_looked_up_and_their_line_is_named(tmp_path, registry, text, line, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=rf"bench\.yaml, line {line}: .*{message}"):
        read_config(path, registry=registry)
    read_config(path)


def test_names_that_stand_above_the_file(tmp_path, registry):
    path = write(tmp_path, "models: hafl\nattacks: nose\nprofile: papper\n")
    good = {"models": "half", "attacks": "step-l2", "profile": "paper"}
    assert read_config(path, good, registry).models == ("half",)
    for key, wrong in (("models", "a"), ("attacks", "b"), ("profile", "c")):
        with pytest.raises(UnknownNameError, match=f"^unknown {key.rstrip('s')} '{wrong}'"):
            read_config(path, {**good, key: wrong}, registry)
    options = {"step-l2": {"beyonds": 1}}
    with pytest.raises(UnknownNameError, match=r"^unknown key"):
        read_config(path, {**good, "attack_options": options}, registry)
    path = write(tmp_path, "attacks: step-l2\nattack_options:\n  step-l2: {beyond: 1}\n")
    with pytest.raises(ConfigError, match="line 3: options for 'step-l2', which is not among"):
        read_config(path, {"attacks": "noise"}, registry)
