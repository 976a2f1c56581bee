"""Stubs that leave a notebook runnable.

nbgrader puts the same line wherever it takes a solution out. Where the solution bound
a name that the code goes on to read, that line alone would end in a ``NameError`` far
from the gap; here the stub binds the name, to ``...``, which every check recognises.
"""

import ast
from collections.abc import Iterable, Iterator

from advrec_teach.course.lessons import regions

STUB = "...  # YOUR CODE HERE"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def named_stubs(cleared: str, full: str, later: Iterable[str]) -> str:
    """Let each stub bind the names of its region that are read after it.

    ``prediction = "b"`` leaves ``prediction = ...  # YOUR CODE HERE``.

    Parameters
    ----------
    cleared
        The cell with one stub line per region.
    full
        The same cell with its solutions.
    later
        The code cells after it, with their solutions.
    """
    tree = ast.parse(full)
    read_later = {name for source in later for _, name, read in _names(ast.parse(source)) if read}
    lines: list[str] = cleared.split("\n")
    removed = added = 0
    for begin, end in regions(full):
        names = _missing(tree, begin + 1, end + 1, read_later)
        if names:
            place = begin - removed + added
            indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
            lines[place : place + 1] = [f"{indent}{name} = {STUB}" for name in names]
            added += len(names) - 1
        removed += end - begin
    return "\n".join(lines)


def _missing(tree: ast.Module, begin: int, end: int, read_later: set[str]) -> list[str]:
    """Return the names that only the region binds and that code after it reads.

    ``begin`` and ``end`` are the lines of the markers, from 1. A region inside a
    function is judged within that function, any other within the cell and those after it.
    """
    scope: ast.Module | _Function = tree
    for node in ast.walk(tree):
        # A marker after the last statement is no part of the tree: only the first one counts.
        if isinstance(node, _Function) and node.lineno < begin <= (node.end_lineno or 0):
            scope = node
    before: set[str] = set()
    wanted = set(read_later) if isinstance(scope, ast.Module) else set()
    if not isinstance(scope, ast.Module):
        before = {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)}
    bound: list[str] = []
    for line, name, read in _names(scope):
        if read and line > end:
            wanted.add(name)
        elif not read and line < begin:
            before.add(name)
        elif not read and line < end and name not in bound:
            bound.append(name)
    return [name for name in bound if name in wanted and name not in before]


def _names(scope: ast.Module | _Function) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, name, whether it is read) for what a scope binds, and for all that it reads."""
    for statement in scope.body:
        yield from _visit(statement, own=True)


def _visit(node: ast.AST, *, own: bool) -> Iterator[tuple[int, str, bool]]:
    """Walk the tree; below a nested function, class or comprehension, bindings are not the scope's own."""
    if isinstance(node, ast.Name):
        read = isinstance(node.ctx, ast.Load)
        if read or own:
            yield node.lineno, node.id, read
        return
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.lineno, node.target.id, True
    if isinstance(node, ast.Import | ast.ImportFrom) and own:
        for entry in node.names:
            yield node.lineno, (entry.asname or entry.name).split(".")[0], False
    nested = isinstance(node, _Function | ast.ClassDef | ast.Lambda)
    if isinstance(node, _Function | ast.ClassDef) and own:
        yield node.lineno, node.name, False
    closed = nested or isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
    for child in ast.iter_child_nodes(node):
        yield from _visit(child, own=own and not closed)
