"""What Dockrev says when something fails, read out of the code that raises it (docs/languages.md).

Read are: the sentences given to what is raised, to the classes of errors and to their `super().__init__`, and what is
said in a `hint=`; a name, a table or a function of the same file that stands there is followed. An f-string becomes a
form: `f"{name} has no image"` is the text `%(name)s has no image`, and is found again on a page by that form.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

CONTEXT = "error"
# Nobody meets these on a page of Dockrev: the command line and the start say them in a terminal, in English; the
# supervisor has texts of its own; the last two are mistakes in the code.
NOT_ON_PAGES = (
    "app/cli/", "app/settings.py", "app/core/db/migrate.py", "app/supervisor/", "app/core/db/types.py",
    "app/features/preferences/sections.py",
)  # fmt: skip
# A mistake in the code, told as "internal error": its words are for the log.
MISTAKES = {"RuntimeError", "AssertionError", "TypeError", "KeyError", "FileNotFoundError", "NotImplementedError"}
NAMED = ("hint", "remedy")  # the keywords whose sentences are read wherever they are given
# What pydantic says of a field and the system of a file, in their own words; and where in a file something is wrong.
OF_LIBRARIES = (
    "%(path)s, line %(line)s", "No such file or directory", "Permission denied", "Is a directory", "Not a directory",
    "Read-only file system", "No space left on device",
    "Field required", "Extra inputs are not permitted", "Input should be a valid string",
    "Input should be a valid integer", "Input should be a valid number", "Input should be a valid boolean",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Input should be a valid boolean, unable to interpret input",
    "Input should be greater than or equal to %(least)s", "Input should be less than or equal to %(most)s",
    "Input should be greater than %(least)s", "Input should be less than %(most)s",
    "String should have at most %(most)s characters", "String should have at least %(least)s characters",
    "String should have at least 1 character",
    "List should have at most %(most)s items after validation, not %(count)s",
    "List should have at least %(least)s items after validation, not %(count)s",
    "Input should be %(one)s or %(other)s",
)  # fmt: skip
HOLE = re.compile(r"%\(\w+\)s")
WORD = re.compile(r"(?:^|\s)[(“'`]?[A-Za-z]{2,}[.,:;)”'`]*(?=\s|$)")
MAX_FOLLOWED = 7
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sentences(root: Path) -> set[str]:
    """All of them, each as the key it has in the catalogues."""
    trees = {path: ast.parse(path.read_text()) for path in sorted((root / "app").rglob("*.py"))}
    kinds = classes_of_errors(trees.values())
    found = set(OF_LIBRARIES)
    for path, tree in trees.items():
        if not path.relative_to(root).as_posix().startswith(NOT_ON_PAGES):
            found |= {text for text in Reading(tree, kinds).texts() if is_sentence(text)}
    return found


def classes_of_errors(trees: Iterable[ast.Module]) -> set[str]:
    """Names of the classes that derive from DockrevError."""
    bases = {
        node.name: {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {"DockrevError"}
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return known


def is_sentence(text: str) -> bool:
    """Two words at least, holes counted; codes, names of fields and what is only added to a sentence are none."""
    return bool(WORD.search(HOLE.sub(" x ", text))) and " " in text.strip() and text[0] not in ",;: "


class Reading:
    """One file."""

    def __init__(self, tree: ast.Module, kinds: set[str]) -> None:
        self._tree, self._kinds = tree, kinds
        self._given: dict[str, list[ast.expr]] = {}
        self._functions: dict[str, Function] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assigned(target, node.value)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                self._assigned(node.target, node.value)
            elif isinstance(node, Function):
                self._functions[node.name] = node

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._given.setdefault(target.id, []).append(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=False):
                self._assigned(one, its)
        elif isinstance(target, ast.Tuple):
            for one in target.elts:
                self._assigned(one, value)

    def texts(self) -> Iterator[str]:
        """Of everything that says what failed."""
        raised = [node.exc for node in ast.walk(self._tree) if isinstance(node, ast.Raise)]
        for node in ast.walk(self._tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
                yield from self._marked(node.left)
            if not isinstance(node, ast.Call):
                continue
            name = name_of(node.func)
            of_error = name in self._kinds or (name == "__init__" and self._in_error(node))
            if (of_error or node in raised) and name not in MISTAKES:
                for argument in node.args:
                    yield from self._said(argument)
            for keyword in node.keywords:
                if keyword.arg in NAMED or (of_error and keyword.arg == "message"):
                    yield from self._said(keyword.value)

    def _marked(self, node: ast.expr) -> Iterator[str]:
        """`NAME.message % values`, where NAME is an `N_` text with holes."""
        if isinstance(node, ast.Attribute) and node.attr == "message" and isinstance(node.value, ast.Name):
            for given in self._given.get(node.value.id, []):
                if isinstance(given, ast.Call) and name_of(given.func) == "N_":
                    yield from (arg.value for arg in given.args if isinstance(arg, ast.Constant))

    def _in_error(self, call: ast.Call) -> bool:
        return any(
            isinstance(node, ast.ClassDef) and node.name in self._kinds and call in ast.walk(node)
            for node in self._tree.body
        )

    def _said(self, node: ast.expr | None, depth: int = MAX_FOLLOWED) -> Iterator[str]:
        """The texts an expression can be; what is only known at run time counts as a hole of another one."""
        if depth == 0 or node is None:
            return
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr() | ast.BinOp(op=ast.Add()):
                yield from self._forms(node, depth)
            case ast.IfExp(body=one, orelse=other):
                yield from self._said(one, depth)
                yield from self._said(other, depth)
            case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.Dict(values=values):
                for value in values:
                    yield from self._said(value, depth)
            case ast.Name(id=name):
                for value in self._given.get(name, []):
                    yield from self._said(value, depth - 1)
            case ast.Attribute(attr="message", value=inner) | ast.Subscript(value=inner):
                yield from self._said(inner, depth - 1)
            case ast.Call(func=ast.Name(id="N_" | "_" | "ngettext")):
                return  # extracted as such
            case ast.Call(func=ast.Attribute(attr="get" | "strip" | "rstrip" | "lower", value=inner), args=args):
                for value in (inner, *args):
                    yield from self._said(value, depth - 1)
            case ast.Call(func=func) if name_of(func) in self._functions:
                for inside in ast.walk(self._functions[name_of(func)]):
                    if isinstance(inside, ast.Return):
                        yield from self._said(inside.value, depth - 1)
                for argument in node.args:
                    yield from self._said(argument, depth - 1)

    def _forms(self, node: ast.expr, depth: int) -> Iterator[str]:
        """A text with holes, and what may stand in them of our own."""
        names: dict[str, int] = {}
        text = ""
        for part in parts_of(node):
            if isinstance(part, str):
                text += part.replace("%", "%%")
                continue
            name = hole_of(part)
            names[name] = names.get(name, 0) + 1
            text += f"%({name}{'' if names[name] == 1 else names[name]})s"
            if not isinstance(part, ast.Constant):
                yield from self._said(part, depth - 1)
        yield text if HOLE.search(text) else text.replace("%%", "%")


def parts_of(node: ast.expr) -> Iterator[str | ast.expr]:
    """Texts and expressions by turns, of an f-string or of a sum of texts."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            for value in values:
                yield from parts_of(value)
        case ast.FormattedValue(value=value):
            yield value
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            yield from parts_of(left)
            yield from parts_of(right)
        case _:
            yield node


def name_of(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def hole_of(node: ast.expr) -> str:
    """What a hole is called: the last name of its expression that tells something."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower() or "value"
        case ast.Subscript(value=value) | ast.Call(func=ast.Attribute(attr="join"), args=[value]):
            return hole_of(value)
        case ast.Call(args=[first, *_]):
            return hole_of(first)
        case ast.Call(func=ast.Attribute(value=value)) | ast.BinOp(left=value) | ast.BoolOp(values=[value, *_]):
            return hole_of(value)
        case ast.GeneratorExp(elt=value) | ast.ListComp(elt=value) | ast.FormattedValue(value=value):
            return hole_of(value)
        case _:
            return "value"
