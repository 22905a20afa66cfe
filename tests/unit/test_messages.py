"""Rules for the words that people are told; each is a fault that was found in more than one message."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from urllib.error import URLError

import pytest

from labsupport import paths, words
from labsupport.arguments import plain
from labsupport.errors import Problem, UsageError

_ORDERS = re.compile(
    r"(Add|Apply(?! failed)|Ask|Call|Choose|Correct|Give|Install|Keep|Leave|Let|List|Make|Mount|Name|Part|Put|Rename|"
    r"Save|Set|Take|Use|Write)(?= )"
)
# Behind a colon stands what is typed, which a full stop would spoil.
_TYPED = re.compile(r": \S[^:]*\S$|: kubectl .*\S$|[.] \{\}$")
_CLAUSE = re.compile(r"(reason|problem|message|failure|decision)$")
_SYSTEM = re.compile(r"(OSError|ConnectionError|TimeoutError|SubprocessError|PermissionError)$")


@cache
def trees() -> dict[str, ast.Module]:
    root = paths.root() / "labsupport"
    return {str(file.relative_to(root)): ast.parse(file.read_text("utf-8")) for file in sorted(root.rglob("*.py"))}


def template(node: ast.AST) -> str:
    """A text with {} where something is put in; empty for what is no text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def texts(tree: ast.AST) -> Iterator[ast.expr]:
    """All texts but docstrings and the pieces of others."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr | ast.Constant):
            yield node
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                if isinstance(part, ast.FormattedValue):
                    yield from texts(part)
        else:
            yield from texts(node)


def dashes(tree: ast.Module) -> Iterator[str]:
    yield from (text for text in map(template, texts(tree)) if "\N{EM DASH}" in text)


def orders_without_end(tree: ast.Module) -> Iterator[str]:
    """What to do next stands behind a sentence, and is one."""
    for text in map(template, texts(tree)):
        if _ORDERS.match(text) and not text.rstrip().endswith((".", "?", "!", ":")) and not _TYPED.search(text):
            yield text


def doubled_ends(tree: ast.Module) -> Iterator[str]:
    """A clause may be a question, or a sentence of somebody else: words.sentence ends it."""
    for node in texts(tree):
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            for value, behind in zip(node.values, node.values[1:], strict=False):
                name = ast.unparse(value.value) if isinstance(value, ast.FormattedValue) else ""
                if _CLAUSE.search(name) and template(behind).startswith("."):
                    yield template(node)


def pythons_words(tree: ast.Module) -> Iterator[str]:
    """What the system says of itself has numbers and names of classes around it: words.reason takes them off."""
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.type is None or handler.name is None:
            continue
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if not all(_SYSTEM.search(ast.unparse(kind)) for kind in kinds):
            continue
        for node in ast.walk(handler):
            if isinstance(node, ast.FormattedValue) and ast.unparse(node.value) == handler.name:
                yield f"{{{handler.name}}} in line {node.lineno}"


def none_of_one(tree: ast.Module) -> Iterator[str]:
    for node in texts(tree):
        if isinstance(node, ast.JoinedStr) and re.search(r"(?i)(none|not one) of \{words\.plural", ast.unparse(node)):
            yield template(node)


RULES: list[Callable[[ast.Module], Iterator[str]]] = [
    dashes,
    orders_without_end,
    doubled_ends,
    pythons_words,
    none_of_one,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_messages_keep_the_rules(rule: Callable[[ast.Module], Iterator[str]]) -> None:
    assert not {name: found for name, tree in trees().items() if (found := list(rule(tree)))}


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        (dashes, 'tell("no pod \N{EM DASH} none")'),
        (orders_without_end, 'tell(f"Leave {field} out")'),
        (doubled_ends, 'tell(f"Unknown destination: {reason}.")'),
        (pythons_words, "try:\n    go()\nexcept (OSError, TimeoutError) as error:\n    tell(f'no answer: {error}')"),
        (none_of_one, "tell(f\"None of {words.plural(count, 'pod')} is ready.\")"),
    ],
)
def test_a_rule_finds_its_fault(rule: Callable[[ast.Module], Iterator[str]], wrong: str) -> None:
    assert list(rule(ast.parse(wrong))) and not list(
        rule(ast.parse('"""Leave it \N{EM DASH} out"""\ntell("Leave it.")'))
    )


def test_a_sentence_has_one_end() -> None:
    assert [words.sentence(text) for text in ("no pod", "no pod.", "did you mean web?")] == [
        "no pod.",
        "no pod.",
        "did you mean web?",
    ]
    assert str(Problem("is it Service?", remedy="Write it.")) == "is it Service? Write it."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/tmp/log"), "No space left on device: '/tmp/log'"),
        (OSError(28, "[Errno 28] No space left on device"), "No space left on device"),
        (URLError(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (ConnectionError("The host is gone.\nMore."), "The host is gone"),
        (TimeoutError("Pool(host='web', port=80): Read timed out. (read timeout=3.99)"), "Read timed out"),
        (ConnectionError(), "ConnectionError"),
    ],
)
def test_a_reason_is_told_without_pythons_words(error: OSError, said: str) -> None:
    assert words.reason(error) == said


def test_what_json_cannot_hold_is_told_without_pythons_words() -> None:
    inside: list[object] = []
    inside.append(inside)
    for value, why in (
        (inside, "it contains itself"),
        ([float("nan")], "infinity and NaN are no numbers there"),
        ({(1, 2): 3}, "a key is no text"),
        ([{1, 2}], "it holds a set"),
        ([1j], "it holds a complex"),
    ):
        with pytest.raises(UsageError, match=f"have a place in it; {why}[.]$"):
            plain("change", value)
