"""What Python says about one of its objects: the docstring that is its own, and how it is called.

Whatever differs between two machines or two runs (addresses, paths, the order of a set) is left out.
"""

import inspect
import re
import sysconfig
from pathlib import Path

GENERATED = re.compile(
    r"Alias for field number|See help\(type\(self\)\)|Internal raw function|Implement \w+\(|Return self\W|"
    r"Helper for pickle|x\.__\w+__\(|Deprecated AST node"
)
"""How docstrings begin that Python writes by itself."""

INSTALLATION_SCHEMES = frozenset(sysconfig.get_scheme_names())
"""Defaults of ``sysconfig`` that a virtual environment changes."""


def own_docstring(thing: object) -> str:
    """The docstring that an object carries itself, tidied; empty when it is inherited or written by Python."""
    inherited = inspect.isclass(thing) and "__doc__" not in vars(thing)
    written = None if inherited else getattr(thing, "__doc__", None)
    text = inspect.cleandoc(written).strip() if isinstance(written, str) else ""
    return "" if GENERATED.match(text) else text


def class_docstring(cls: type) -> str:
    """A class's docstring and that of its constructor, which often holds the arguments."""
    text = own_docstring(cls)
    if re.match(rf"{re.escape(cls.__name__)}\(.*\)$", text):  # what dataclass and namedtuple write
        return ""
    constructor = vars(cls).get("__init__")
    added = own_docstring(constructor) if inspect.isfunction(constructor) else ""
    return f"{text}\n\n{added}".strip() if added and added not in text else text


def signature_line(name: str, thing: object, *, is_method: bool) -> str:
    """How an object is called, on one line, without annotations and ``self``; empty where Python cannot tell.

    Example:
        >>> def area(self, width: float, height: float = 1.0, unit: object = object()) -> float: ...
        >>> signature_line("Shape.area", area, is_method=True)
        'Shape.area(width, height=1.0, unit=...)'
    """
    try:
        signature = inspect.signature(thing)  # type: ignore[arg-type]  # what cannot be called raises TypeError
    except (TypeError, ValueError, AttributeError, NameError):  # the last two: defaults that inspect cannot read
        return ""
    parameters = [
        parameter.replace(annotation=parameter.empty, default=plain_default(parameter.default))
        for position, parameter in enumerate(signature.parameters.values())
        if position or not is_method or parameter.name not in ("self", "cls", "type")
    ]
    return name + str(signature.replace(parameters=parameters, return_annotation=signature.empty))


class Elided:
    """Stands for a default value that prints differently on each machine or in each run."""

    def __repr__(self) -> str:
        return "..."


def plain_default(value: object) -> object:
    """A default value that prints the same everywhere: itself when it is a plain literal, else an ellipsis."""
    if isinstance(value, str) and ((len(value) > 1 and Path(value).is_absolute()) or value in INSTALLATION_SCHEMES):
        return Elided()
    if value is inspect.Parameter.empty or value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if type(value) is tuple and all(plain_default(item) is item for item in value):
        return value
    return Elided()
