"""What a plugin registers: frozen descriptions that cost nothing until they are used.

A spec names its factory as ``"package.module:callable"``, so that ``robustlvq list`` can
describe everything without importing torch. Specs are validated when they are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from robustlvq.core.checks import (
    check_config,
    check_factory,
    check_integer,
    check_mapping,
    check_name,
    check_recipe,
    check_texts,
    check_weights,
    require,
)
from robustlvq.core.config import Config, config_from
from robustlvq.core.factory import Factory, packaged, qualified_name, resolve
from robustlvq.core.types import Norm
from robustlvq.errors import PluginError

__all__ = [
    "AttackSpec",
    "CertifierSpec",
    "DatasetSpec",
    "Factory",
    "ImporterSpec",
    "MetricSpec",
    "ModelSpec",
    "ObjectiveSpec",
    "Spec",
    "Variant",
    "qualified_name",
    "resolve",
]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Spec:
    """What all specs have in common.

    Attributes:
        name: Lower case letters, digits and ``- . _ / +``; unique among its kind.
        summary: One line for ``robustlvq list``.
    """

    name: str
    summary: str
    kind_of_spec: ClassVar[str] = "spec"

    def __post_init__(self) -> None:
        check_name(self.name, f"{self.kind_of_spec} name")
        if not isinstance(self.summary, str) or not self.summary or "\n" in self.summary:
            raise PluginError(f"{self._owner} needs a summary of one line")
        for name in ("factory", "function"):
            if hasattr(self, name):
                check_factory(getattr(self, name), self._owner)

    @property
    def _owner(self) -> str:
        """How errors name this spec."""
        return f"{self.kind_of_spec} {self.name!r}"


@dataclass(frozen=True)
class ModelSpec(Spec):
    """A classifier.

    Attributes:
        factory: Called with the configuration; returns a ``torch.nn.Module`` that maps
            (N, \\*shape) in [0, 1] to class scores (N, classes), the highest one winning.
        config: The frozen configuration class.
        defaults: Values that this registered name sets on ``config``.
        weights: ``"package:relative/path.safetensors"`` of the shipped weights, or "".
            The path has no ``..``.
        recipe: Values that this name sets on :class:`robustlvq.training.TrainConfig`, or
            ``"package:relative/path.yaml"`` of a file of them, read when a model is trained; None
            if the model is not trained by ``robustlvq train``.
        version: Raised whenever the scores of this architecture change for the same weights;
            results of another version are not used again.
    """

    factory: Factory = ""
    config: type[Config] = Config
    defaults: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    weights: str = ""
    recipe: Mapping[str, Any] | str | None = None
    version: int = 1
    kind_of_spec: ClassVar[str] = "model"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_config(self.config, self.defaults, self._owner)
        check_weights(self.weights, self._owner)
        check_integer(self.version, self._owner, "version")
        check_recipe(self.recipe, self._owner)

    def configure(self, overrides: Mapping[str, object] = _EMPTY) -> Config:
        """The configuration under this name, with ``overrides`` on top."""
        return config_from(self.config, {**self.defaults, **overrides}, f"model {self.name!r}")

    def build(self, config: Config | None = None) -> Any:
        """A fresh module with untrained parameters."""
        owner = f"model {self.name!r}"
        return resolve(self.factory, owner)(config if config is not None else self.configure())

    def shipped_weights(self) -> Path | None:
        """Where the shipped weights lie, or None if none are shipped; imports no torch."""
        return packaged(self.weights) if self.weights else None

    def recipe_file(self) -> Path | None:
        """Where the file of the recipe lies, or None if it is no file; imports no torch.

        Raises:
            PluginError: It is missing.
        """
        if not isinstance(self.recipe, str):
            return None
        found = packaged(self.recipe)
        if found is None:
            raise PluginError(
                f"{self._owner}: its recipe {self.recipe!r} is missing; reinstall what ships it"
            )
        return found


@dataclass(frozen=True)
class Variant:
    """One implementation of an attack: a factory and the configuration it takes.

    Attributes:
        version: Raised whenever the results of this implementation change.
        fixed_radius: Whether it looks within a radius that is set beforehand, so that finding
            nothing is an answer and no sign of a search that failed.
    """

    factory: Factory
    config: type[Config] = Config
    defaults: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    version: int = 1
    fixed_radius: bool = False


@dataclass(frozen=True)
class AttackSpec(Spec):
    """A search for adversarials in one norm.

    Attributes:
        norm: The norm that the attack minimises and in which it is compared.
        box: "white" if it needs gradients, "black" if it needs scores or decisions only.
        factory: Called with the configuration; returns an :class:`robustlvq.api.Attack`.
        config: The frozen configuration class.
        defaults: Values that this registered name sets on ``config``.
        family: A name that stands for this attack in all its norms (``bim`` for ``bim-l2``
            and ``bim-linf``); the attack's own name by default.
        profiles: Other implementations under the same name, by profile. A profile that is
            not a key uses ``factory``.
        extra: Extras run when they are named or matched by a glob, but not for ``-a all``.
        in_all: Profiles in which an extra is run for ``-a all`` all the same.
        order: Place among the attacks of its norm in tables; equal ones are sorted by name.
        version: Raised whenever the results of ``factory`` change.
        fixed_radius: Whether ``factory`` looks within a radius that is set beforehand
            (:class:`Variant`).
    """

    norm: Norm = Norm.L2
    box: Literal["white", "black"] = "black"
    factory: Factory = ""
    config: type[Config] = Config
    defaults: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    family: str = ""
    profiles: Mapping[str, Variant] = field(default_factory=lambda: _EMPTY)
    extra: bool = False
    in_all: tuple[str, ...] = ()
    order: int = 100
    version: int = 1
    fixed_radius: bool = False
    kind_of_spec: ClassVar[str] = "attack"

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = self._owner
        require(isinstance(self.norm, Norm), owner, "norm", self.norm, "a robustlvq.api.Norm")
        require(self.box in ("white", "black"), owner, "box", self.box, "'white' or 'black'")
        check_config(self.config, self.defaults, owner)
        if self.family != "":
            check_name(self.family, f"{owner}: family")
        require(isinstance(self.extra, bool), owner, "extra", self.extra, "True or False")
        check_texts(self.in_all, owner, "in_all")
        for profile in self.in_all:
            check_name(profile, f"{owner}: in_all")
        check_integer(self.order, owner, "order")
        check_integer(self.version, owner, "version")
        _check_flag(self.fixed_radius, owner)
        check_mapping(self.profiles, owner, "profiles")
        for profile, variant in self.profiles.items():
            of_profile = f"{owner}, profile {profile!r}"
            check_name(profile, f"{owner}: profile")
            if not isinstance(variant, Variant):
                raise PluginError(f"{of_profile}: {variant!r} must be a robustlvq.api.Variant")
            check_factory(variant.factory, of_profile)
            check_config(variant.config, variant.defaults, of_profile)
            check_integer(variant.version, of_profile, "version")
            _check_flag(variant.fixed_radius, of_profile)

    def variant(self, profile: str) -> Variant:
        """The implementation that ``profile`` uses."""
        own = Variant(self.factory, self.config, self.defaults, self.version, self.fixed_radius)
        return self.profiles.get(profile, own)

    def is_in_all(self, profile: str) -> bool:
        """Whether ``-a all`` means this attack too in ``profile``."""
        return not self.extra or profile in self.in_all

    def configure(self, profile: str, overrides: Mapping[str, object] = _EMPTY) -> Config:
        """The configuration of that implementation, with ``overrides`` on top."""
        variant = self.variant(profile)
        values = {**variant.defaults, **overrides}
        return config_from(variant.config, values, f"attack {self.name!r}")

    def build(self, profile: str, config: Config | None = None) -> Any:
        """The attack object for ``profile``."""
        owner = f"attack {self.name!r}"
        factory = resolve(self.variant(profile).factory, owner)
        return factory(config if config is not None else self.configure(profile))


def _check_flag(value: object, owner: str) -> None:
    require(isinstance(value, bool), owner, "fixed_radius", value, "True or False")


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """A labelled set of inputs.

    Attributes:
        factory: Called as ``factory(split, data_dir)`` with one of ``splits`` and a
            ``pathlib.Path`` or None; returns a :class:`robustlvq.api.Dataset`.
        splits: The splits there are; the first is the one evaluated by default.
        held_out: Name of a dataset whose inputs are left out when a model is trained on this
            one, so that they can be evaluated on; "" for none.
        locate: Called like ``factory``; returns the paths of the files on this machine that
            ``factory`` would read, or none if it would fetch some. It fetches nothing itself.
            With it, ``robustlvq doctor`` checks the dataset; "" for none.
    """

    factory: Factory = ""
    splits: tuple[str, ...] = ("test",)
    held_out: str = ""
    locate: Factory = ""
    kind_of_spec: ClassVar[str] = "dataset"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_texts(self.splits, self._owner, "splits")
        if not self.splits:
            raise PluginError(f"{self._owner} needs at least one split")
        if self.held_out != "":
            check_name(self.held_out, f"{self._owner}: held_out")
        if self.locate != "":
            check_factory(self.locate, f"{self._owner}: locate")


@dataclass(frozen=True)
class MetricSpec(Spec):
    """A number computed from adversarial distances.

    Attributes:
        function: ``function(delta, threshold)``, where ``delta`` is a float64 array
            (..., N) of adversarial distances (0 misclassified, inf none found) and
            ``threshold`` the t_p of its norm; reduces the last axis.
        unit: "distance" (in the norm of the attack) or "share" (printed in percent).
        resample: ``resample(delta, threshold, generator, size)``, or "" for none; it makes
            intervals fast. With the distances (N,) of one row and a
            ``numpy.random.Generator``, it returns a float64 array (size,) of independent
            draws of what ``function`` is for N distances drawn from ``delta`` with
            replacement. Without it, ``function`` is called on such distances themselves.
    """

    function: Factory = ""
    unit: Literal["distance", "share"] = "distance"
    resample: Factory = ""
    kind_of_spec: ClassVar[str] = "metric"

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.unit in ("distance", "share")
        require(fits, self._owner, "unit", self.unit, "'distance' or 'share'")
        if self.resample != "":
            check_factory(self.resample, f"{self._owner}: resample")


@dataclass(frozen=True)
class CertifierSpec(Spec):
    """A method that bounds the adversarial distance from below.

    Attributes:
        norm: The norm of the certified distance.
        factory: Called without arguments; returns a :class:`robustlvq.api.Certifier`.
        models: What it can certify: names (globs) of registered models, or where the class of
            the module is defined, ``"package.module:Class"``, as in the factory of a model;
            subclasses do not count.
        version: Raised whenever the results of ``factory`` change.
    """

    norm: Norm = Norm.L2
    factory: Factory = ""
    models: tuple[str, ...] = ()
    version: int = 1
    kind_of_spec: ClassVar[str] = "certifier"

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = isinstance(self.norm, Norm)
        require(fits, self._owner, "norm", self.norm, "a robustlvq.api.Norm")
        check_texts(self.models, self._owner, "models")
        check_integer(self.version, self._owner, "version")

    def certifies(self, name: str, architecture: str) -> bool:
        """Whether it is meant for a model.

        Args:
            name: The name under which the model is registered; "" for a module of a user.
            architecture: Where its class is defined, ``"package.module:Class"``.
        """
        classes = [known for known in self.models if ":" in known]
        globs = [known for known in self.models if ":" not in known]
        return architecture in classes or any(fnmatchcase(name, glob) for glob in globs)

    def build(self) -> Any:
        """The certifier."""
        return resolve(self.factory, self._owner)()


@dataclass(frozen=True)
class ImporterSpec(Spec):
    """A reader of weights that were trained, and saved, by other software.

    Its name has no ``/``: what it imports is called ``IMPORTER/MODEL``.

    Attributes:
        factory: Called without arguments; returns an :class:`robustlvq.api.Importer`.
    """

    factory: Factory = ""
    kind_of_spec: ClassVar[str] = "importer"

    def __post_init__(self) -> None:
        super().__post_init__()
        require("/" not in self.name, self._owner, "name", self.name, "without '/'")

    def build(self) -> Any:
        """The importer."""
        return resolve(self.factory, f"importer {self.name!r}")()


@dataclass(frozen=True)
class ObjectiveSpec(Spec):
    """What a training minimises in place of the loss of the module.

    Attributes:
        factory: Called with the configuration; returns an :class:`robustlvq.api.Objective`.
        config: The frozen configuration class; its fields are the ``options`` of a recipe.
        defaults: Values that this registered name sets on ``config``.
    """

    factory: Factory = ""
    config: type[Config] = Config
    defaults: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    kind_of_spec: ClassVar[str] = "objective"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_config(self.config, self.defaults, self._owner)

    def configure(self, options: Mapping[str, object] = _EMPTY) -> Config:
        """The configuration under this name, with ``options`` on top."""
        return config_from(self.config, {**self.defaults, **options}, self._owner)

    def build(self, config: Config) -> Any:
        """The objective.

        Raises:
            PluginError: The factory cannot be imported, or returns nothing that can be called.
        """
        made = resolve(self.factory, self._owner)(config)
        if not callable(made):
            raise PluginError(
                f"{self._owner}: its factory returned a {type(made).__name__}, which cannot be "
                "called as objective(module, x, y)"
            )
        return made
