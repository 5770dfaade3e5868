"""Which objects the standard library offers, each once, under the name that people know it by."""

import importlib
import inspect
import pkgutil
import sys
import sysconfig
import types
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recipes.demo_collection.docstrings import own_docstring
from recipes.demo_collection.skipped import SKIPPED_MODULES, SKIPPED_NAMES


@dataclass(frozen=True, slots=True)
class Sighting:
    """A public name under which an object was met."""

    module: str
    name: str
    thing: object

    @property
    def full_name(self) -> str:
        """The dotted name; built-ins go without their module."""
        return self.name if self.module == "builtins" else f"{self.module}.{self.name}"

    def preference(self) -> tuple[bool, bool, int, bool, str, bool, str]:
        """The sort key among the names of one object: the smallest is its canonical name."""
        home = home_of(self.thing)
        return (
            self.module != "builtins",
            root(self.module) != root(home),
            self.module.count("."),
            self.module != home,
            self.module,
            getattr(self.thing, "__name__", self.name) != self.name,
            self.name,
        )


def root(module: str) -> str:
    """The public package that a module belongs to: ``csv`` for ``_csv``, ``asyncio`` for ``asyncio.runners``."""
    return module.partition(".")[0].lstrip("_")


def home_of(thing: object) -> str:
    """The module that says it defines an object, or an empty string."""
    home = getattr(thing, "__module__", None)
    return home if isinstance(home, str) else ""


def is_public(name: str) -> bool:
    """Whether no part of a dotted name is private or a package of tests."""
    return not any(part.startswith("_") or part in ("test", "tests") for part in name.split("."))


def load_modules() -> dict[str, types.ModuleType]:
    """The public modules of the standard library by name, imported, parents first, in alphabetical order."""
    paths = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    found = {entry.name for entry in pkgutil.iter_modules(paths)} | set(sys.builtin_module_names)
    modules: dict[str, types.ModuleType] = {}
    for name in sorted(found | sys.stdlib_module_names):
        if name in sys.stdlib_module_names:  # a virtual environment may keep other packages in the same folder
            load_with_submodules(name, modules)
    load_with_submodules("os.path", modules)
    return modules


def load_with_submodules(name: str, modules: dict[str, types.ModuleType]) -> None:
    """Add a module and, for a package, everything public beneath it; nothing where this build lacks it."""
    if name in SKIPPED_MODULES or not is_public(name):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module(name)
    except ImportError:
        return
    modules[name] = module
    beneath = pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}.")
    for child in sorted(entry.name for entry in beneath):
        load_with_submodules(child, modules)


def sightings(name: str, module: types.ModuleType) -> Iterator[Sighting]:
    """The functions and classes that a module offers to its users."""
    listed = getattr(module, "__all__", None)
    for attribute in sorted(set(vars(module)) | set(listed or ())):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            thing = getattr(module, attribute, None)
        if not is_public(attribute) or f"{name}.{attribute}" in SKIPPED_NAMES:
            continue
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        home = home_of(thing)
        offered = root(home) == root(name) or name == "builtins" if listed is None else attribute in listed
        if offered or home.startswith(f"{name}."):  # the second: asyncio.TaskGroup, which its list forgot
            yield Sighting(name, attribute, thing)


def canonical_objects(modules: dict[str, types.ModuleType]) -> list[Sighting]:
    """Each function and class of some modules once, under its canonical name."""
    same: dict[object, list[Sighting]] = {}
    for name, module in modules.items():
        for sighting in sightings(name, module):
            same.setdefault(identity(sighting.thing), []).append(sighting)
    return [min(group, key=Sighting.preference) for group in same.values()]


def identity(thing: object) -> object:
    """What two names of one object share. A bound method is made anew whenever it is looked up."""
    return (id(thing.__func__), id(thing.__self__)) if inspect.ismethod(thing) else id(thing)


def documented_methods(cls: type, classes: Iterable[type]) -> Iterator[tuple[str, object]]:
    """The public methods that a class documents itself, and those of its bases in the module's private part.

    Left out are docstrings that repeat those of a base among ``classes``. A method with several names comes
    once, under the name it was defined with.
    """
    public = set(classes)
    bases = [base for base in cls.__mro__[1:] if base in public]
    methods: dict[int, tuple[str, object]] = {}
    for attribute in sorted({name for base in cls.__mro__ for name in vars(base) if is_public(name)}):
        owner = next(base for base in cls.__mro__ if attribute in vars(base))
        held = vars(owner)[attribute]
        method = getattr(held, "__func__", held)  # what a classmethod or staticmethod wraps
        foreign = owner is not cls and (owner in public or root(home_of(owner)) != root(home_of(cls)))
        if foreign or not inspect.isroutine(method):
            continue
        docstring = own_docstring(method)
        if any(docstring == own_docstring(getattr(base, attribute, None)) for base in bases):
            continue
        if id(method) not in methods or getattr(method, "__name__", "") == attribute:
            methods[id(method)] = (attribute, getattr(cls, attribute))
    yield from methods.values()
