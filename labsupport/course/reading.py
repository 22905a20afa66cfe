"""Reads the folder of an exercise: ``exercise.toml``, ``start.yaml``, ``solution.yaml``, ``right`` and ``wrong``.

Whatever is wrong with it is an author's mistake: it is told with the file, the field and what to write instead.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from labsupport import words
from labsupport.course.questions import COUNTED, ChoiceQuestion, NumberQuestion, Question
from labsupport.course.spec import KINDS, ExerciseSpec, Judge, Untouched, Wrong
from labsupport.errors import UsageError

__all__ = ["FALLBACK", "FILE", "language", "read_exercise", "wrong_words"]

FILE = "exercise.toml"
FALLBACK = "en"
"""The language that every exercise has."""

_LANGUAGE_VARIABLE = "WORKSHOP_LANGUAGE"
_FEWEST_HINTS = 3
_FEWEST_WORDS = 3
_PLAIN = {"kind", "needs", "absent", "may_go", "questions", "short_cuts", "verb", "extra"}
_TEXTS = {"title", "task", "hints", "reasons", "rungs", "questions"}
_FORMS: Mapping[type, str] = {dict: "a table", list: "a list", str: "a text"}
_NUMBER = {"name", "right", "tolerance", "of", "counts"}
_CHOICE = {"name", "right", "choices"}


def language() -> str:
    """The language of the texts: ``WORKSHOP_LANGUAGE``, such as ``ja``; English without it."""
    return os.environ.get(_LANGUAGE_VARIABLE, "").strip().lower() or FALLBACK


def wrong_words(text: str) -> tuple[str, ...]:
    """What the outcome of a wrong answer must say: one text for each comment line at the head of its manifest."""
    return tuple(
        line.lstrip("#").strip() for line in takewhile(lambda line: line.startswith("#"), text.splitlines()) if line
    )


def read_exercise(
    folder: Path, base: Path, *, judge: Judge | None = None, untouched: Untouched | None = None
) -> ExerciseSpec:
    """An exercise from its folder.

    Args:
        folder: ``NN-topic/exercises/NN.k`` below ``base``.
        base: the folder of all manifests.
        judge: how it is judged; None for questions only.
        untouched: whether the mesh is still as given.

    Raises:
        UsageError: what is wrong with the folder: file, field and remedy.
    """
    return _Reader(folder, base).spec(judge, untouched)


class _Reader:
    """One ``exercise.toml`` while it is read."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base = folder, base
        self.file = folder / FILE
        try:
            self.content: dict[str, Any] = tomllib.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self.refuse("", "there is no such file; write one, with kind and [en]")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.refuse("", f"no TOML: {error}")

    def refuse(self, place: str, problem: str) -> NoReturn:
        where = f"{self.file.relative_to(self.base.parent)}: " + (f"{place}: " if place else "")
        raise UsageError(where + problem)

    def spec(self, judge: Judge | None, untouched: Untouched | None) -> ExerciseSpec:
        content = self.content
        tables = {key for key, value in content.items() if isinstance(value, dict) and key not in _PLAIN}
        self.known(content, _PLAIN | tables, "")
        for code in sorted(tables):
            self.known(content[code], _TEXTS, code)
        if FALLBACK not in tables:
            self.refuse(f"[{FALLBACK}]", "is missing; every exercise has its texts in English at least")
        # A translation may lack a text that was added since; English then stands in.
        said = {code: self.translated(content[FALLBACK], content[code], code) for code in sorted(tables)}
        texts = said.get(language(), content[FALLBACK])
        kind = self.text(content, "kind", "")
        if kind not in KINDS:
            self.refuse("kind", f"{kind!r} is none; write {words.join(KINDS, last='or')}")
        hints = self.texts(texts, "hints", f"{FALLBACK}.hints")
        if len(hints) < _FEWEST_HINTS:
            self.refuse(f"{FALLBACK}.hints", f"{words.plural(len(hints), 'hint')}; write three, from mild to concrete")
        start, solution = self.folder / "start.yaml", self.folder / "solution.yaml"
        questions = self.questions(texts)
        if judge is None and not questions:
            self.refuse(
                "", f'nothing judges it: write @judge("{self.folder.name}") in course/lessons, or [[questions]]'
            )
        if judge is not None and not solution.is_file():
            self.refuse("", "it has a judge and no solution.yaml beside it; write one that the judge passes")
        return ExerciseSpec(
            number=self.folder.name,
            title=self.text(texts, "title", FALLBACK),
            task=self.text(texts, "task", FALLBACK).strip(),
            kind=kind,
            hints=hints,
            judge=judge,
            start=start.read_text(encoding="utf-8") if start.is_file() else "",
            solution=self.below(solution) if solution.is_file() else "",
            right=tuple(self.below(path) for path in sorted((self.folder / "right").glob("*.yaml"))),
            wrong=tuple(self.wrong(path) for path in sorted((self.folder / "wrong").glob("*.yaml"))),
            needs=self.paths("needs"),
            absent=self.texts(content, "absent", "absent"),
            may_go=self.texts(content, "may_go", "may_go"),
            untouched=untouched,
            questions=questions,
            reasons=self.table(texts, "reasons", f"{FALLBACK}.reasons"),
            rungs=self.table(texts, "rungs", f"{FALLBACK}.rungs"),
            short_cuts=self.paths("short_cuts"),
            verb=self.text(content, "verb", "") if "verb" in content else "",
            extra=self.flag("extra"),
        )

    def translated(self, english: Any, own: Any, place: str) -> Any:
        """Texts of a language, and in place of each that is missing or empty the English one."""
        if type(own) is not type(english):
            self.refuse(place, f"write {_FORMS.get(type(english), 'the same')}, as in [{FALLBACK}]")
        if isinstance(english, dict):
            self.known(own, {*english}, place)
            return {
                key: self.translated(text, own[key], f"{place}.{key}") if key in own else text
                for key, text in english.items()
            }
        if isinstance(english, list):
            pairs = enumerate(zip(english, own, strict=False), start=1)
            done = [self.translated(text, translation, f"{place}[{number}]") for number, (text, translation) in pairs]
            return [*done, *english[len(done) :], *own[len(done) :]]
        return english if isinstance(own, str) and not own.strip() else own

    def wrong(self, path: Path) -> Wrong:
        told = wrong_words(path.read_text(encoding="utf-8"))
        if not told:
            self.refuse("", f"wrong/{path.name} begins with no comment; write the words that the learner must read")
        for sentence in told:
            if len(sentence.split()) < _FEWEST_WORDS:
                self.refuse(
                    "", f"wrong/{path.name}: {sentence!r} is in many outcomes; quote a sentence that tells this mistake"
                )
        return Wrong(self.below(path), told)

    def questions(self, texts: Mapping[str, Any]) -> tuple[Question, ...]:
        given = self.content.get("questions", [])
        if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
            self.refuse("questions", "write [[questions]], once for each")
        return tuple(self.question(entry, f"questions[{place}]", texts) for place, entry in enumerate(given))

    def question(self, entry: Mapping[str, Any], place: str, texts: Mapping[str, Any]) -> Question:
        name = self.text(entry, "name", place)
        where = f"[{FALLBACK}.questions.{name}]"
        said = self.table(self.table(texts, "questions", where, text=False), name, where, text=False)
        text, reason = self.text(said, "text", where), self.text(said, "reason", where)
        if "choices" in entry:
            self.known(entry, _CHOICE, place)
            self.known(said, {"text", "reason", "choices", "because"}, where)
            keys, right = self.texts(entry, "choices", f"{place}.choices"), self.text(entry, "right", place)
            if right not in keys:
                self.refuse(f"{place}.right", f"{right!r} is none of the choices {', '.join(keys)}")
            shown = self.table(said, "choices", f"{where}.choices")
            because = self.table(said, "because", f"{where}.because")
            self.each(shown, keys, f"{where}.choices", "give a text")
            wrong = [key for key in keys if key != right]
            self.each(because, wrong, f"{where}.because", "say what is wrong")
            told = tuple((shown[key], because[key]) for key in wrong)
            choices = tuple(shown[key] for key in keys)
            # Where all that is asked is a prediction, the experiment answers, whatever the form of the answer.
            predicts = self.content.get("kind") == "predict"
            return ChoiceQuestion(name, text, choices, shown[right], reason, told, predicts=predicts)
        self.known(entry, _NUMBER, place)
        self.known(said, {"text", "reason", "pointer", "unit"}, where)
        middle = self.number(entry, "right", place)
        tolerance = self.number({"tolerance": 0, **entry}, "tolerance", place)
        counts = entry.get("counts", {})
        if not isinstance(counts, dict) or not {*counts} <= COUNTED:
            self.refuse(f"{place}.counts", f"write what is counted, by {words.join(sorted(COUNTED), last='or')}")
        return NumberQuestion(
            name,
            text,
            middle - tolerance,
            middle + tolerance,
            reason,
            of=int(self.number({"of": 0, **entry}, "of", place)),
            counts=counts,
            unit=self.text({"unit": "requests", **said}, "unit", where),
            pointer=self.text(said, "pointer", where) if not counts or "pointer" in said else "",
        )

    def each(self, texts: Mapping[str, str], keys: Sequence[str], place: str, remedy: str) -> None:
        if {key for key, text in texts.items() if text.strip()} != {*keys}:
            self.refuse(place, f"{remedy} for each of {', '.join(keys)} and for nothing else")

    # --- fields -------------------------------------------------------------------------------------------------

    def known(self, table: Mapping[str, Any], fields: set[str], place: str) -> None:
        for key in table:
            if key not in fields:
                self.refuse(f"{place}.{key}".lstrip("."), f"no such field; there are {', '.join(sorted(fields))}")

    def text(self, table: Mapping[str, Any], key: str, place: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            self.refuse(f"{place}.{key}".lstrip("."), "write a text")
        return value

    def texts(self, table: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
            self.refuse(place, "write a list of texts")
        return tuple(value)

    def table(self, table: Mapping[str, Any], key: str, place: str, *, text: bool = True) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict) or (text and not all(isinstance(entry, str) for entry in value.values())):
            self.refuse(place, "write a table of texts")
        return value

    def number(self, table: Mapping[str, Any], key: str, place: str) -> float:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            self.refuse(f"{place}.{key}", "write a number, not below 0")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            self.refuse(key, "write true or false")
        return value

    def paths(self, key: str) -> tuple[str, ...]:
        given = self.texts(self.content, key, key)
        for path in given:
            if not (self.base / path).exists():
                self.refuse(key, f"there is no manifests/{path}")
        return given

    def below(self, path: Path) -> str:
        return path.relative_to(self.base).as_posix()
