"""The names that users and plugins rely on; a change here is a change of the promise."""

import subprocess
import sys

import pytest

import robustlvq
import robustlvq.api


def test_names_of_the_package():
    assert robustlvq.__all__ == [
        "BenchResult",
        "CertifyResult",
        "ModelCard",
        "__version__",
        "bench",
        "certify",
        "load_model",
        "model_card",
        "open_result",
    ]
    for name in robustlvq.__all__:
        assert getattr(robustlvq, name) is not None
    assert callable(robustlvq.bench)
    assert callable(robustlvq.certify)


def test_bench_stays_a_function_after_every_import():
    import robustlvq.benchmark
    import robustlvq.certification
    import robustlvq.cli.app

    assert callable(robustlvq.bench)


def test_names_of_the_api():
    assert set(robustlvq.api.__all__) == {
        *("Attack", "AttackError", "AttackSpec", "Bounds", "Cancelled", "Certificate"),
        *("CertificateStatus", "Certified", "Certifier", "CertifierSpec", "certify_samples"),
        *("Config", "ConfigError", "DataError", "Dataset", "DatasetSpec", "ImportedWeights"),
        *("Importer", "ImporterSpec", "Loss", "MetricSpec"),
        *("ModelError", "ModelSpec", "Norm", "Objective", "ObjectiveSpec", "Oracle", "Outcome"),
        "PluginError",
        *("RobustLVQError", "Target", "Trainable", "UnknownNameError", "UsageError", "Variant"),
        *("WeightsError", "as_mapping", "attack_samples", "cache_dir", "check_range"),
        *("config_from", "cross_entropy", "distance", "distances", "evaluate", "hookimpl"),
        "sample_seed",
    }
    for name in robustlvq.api.__all__:
        assert getattr(robustlvq.api, name) is not None


@pytest.mark.parametrize("module", [robustlvq, robustlvq.api])
def test_an_unknown_name_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


@pytest.mark.parametrize(
    "code",
    [
        "import robustlvq",
        "import robustlvq.api",
        "from robustlvq.core.registry import Registry; Registry.discover()",
        "import robustlvq.cli.app",
        "import robustlvq; print(robustlvq.model_card('glvq'))",
        "import robustlvq.run.config, robustlvq.run.plan",
    ],
)
def test_torch_is_not_imported_before_it_is_needed(code):
    check = "import sys; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)
