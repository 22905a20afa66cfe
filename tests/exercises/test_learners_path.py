"""A learner's ten minutes in each notebook: wait, answer wrongly, take a hint, restart the kernel, go on.

However they go, what the text says of each cell is true at the end: no cell fails, every check passes after the right
answer, and what the text announces (``[[outputs]]`` of the lesson's ``lesson.toml``) is in the output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jupyter_client.blocking.client import BlockingKernelClient
from lesson_file import FROM_END_TO_END, cells, read_lesson
from socket_kernels import SocketKernelManager

from labsupport import paths
from labsupport.course import catalogue
from labsupport.course.questions import NumberQuestion

pytestmark = pytest.mark.slow

CELL_S = 120.0
# So few responses are kept here that seconds do what otherwise ten minutes do: the first ones are gone.
KEPT = 300
FORGETFUL = f"""
import inspect
from labsupport import BackgroundTraffic
inspect.unwrap(BackgroundTraffic.__init__).__kwdefaults__["capacity"] = {KEPT}
"""
_MANIFEST = re.compile(r"%%manifest (\d\d\.\d+)\n")
_CHECK = re.compile(r'exercise\("(\d\d\.\d+)"\)\.check\(\)')
_ASK = re.compile(r'exercise\("(\d\d\.\d+)"\)\.ask\((\d*)\)')
_TRAFFIC = re.compile(r"^(\w+) = lab\.traffic\(", re.MULTILINE)


class Learner:
    """Somebody with a notebook and its kernel.

    Args:
        path: the notebook.
    """

    def __init__(self, path: Path) -> None:
        self.cells = cells(path, "code")
        self.outputs = [""] * len(self.cells)
        self.manager = SocketKernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(path.parent))
        self.client = self._connected()

    def _connected(self) -> BlockingKernelClient:
        client: BlockingKernelClient = self.manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        assert client.execute_interactive(FORGETFUL, timeout=CELL_S)["content"]["status"] == "ok"
        return client

    def restart(self) -> None:
        """Restart the kernel, as the button does: whatever it held is gone."""
        self.client.stop_channels()
        self.manager.restart_kernel(newports=True)
        self.client = self._connected()

    def close(self) -> None:
        """End the kernel, and with it its lab."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def do(self, code: str, *, fails: bool = False) -> str:
        """Run code and return what it shows as text; it raises an error only if it is to."""
        texts: list[str] = []
        reply = self.client.execute_interactive(
            code, allow_stdin=False, timeout=CELL_S, output_hook=lambda message: texts.append(_text(message["content"]))
        )
        shown = "\n".join(filter(None, texts))
        assert (reply["content"]["status"] == "error") == fails, f"{code}\n{shown}"
        return shown

    def run(self, number: int) -> None:
        """Run a cell of the notebook as it stands there now."""
        self.outputs[number] = self.do(self.cells[number])

    def answer(self, exercise: str, text: str) -> str:
        """Write an answer into the exercise's cell and run it; where there is none, change the mesh."""
        for number, source in enumerate(self.cells):
            if (cell := _MANIFEST.match(source)) and cell[1] == exercise:
                self.cells[number] = f"{cell[0]}{text}"
                return self.do(self.cells[number])
        return self.do(f"lab.apply({text!r})")

    def practise(self, exercise: str) -> None:
        """Err once or twice, take a hint, and answer rightly; every wrong answer has its turn in ``test_lessons``."""
        spec = catalogue.find(exercise)
        if spec.judge is None:
            return
        check = f'exercise("{exercise}").check()'
        assert self.do(check).startswith("NOT_ATTEMPTED ")
        begin = f'exercise("{exercise}").prepare()'
        # An object of another name stays in the mesh; afresh it is the oldest, which is the one that counts.
        others = [wrong for wrong in spec.wrong if _objects(wrong.path) - _objects(spec.solution)]
        for wrong in (*[wrong for wrong in spec.wrong if wrong not in others][:1], *others[:1]):
            if wrong in others:
                self.do(begin)
            self.answer(exercise, _read(wrong.path))
            told = self.do(check)
            assert told.startswith("FAILED "), f"{wrong.path}\n{told}"
            assert [word for word in wrong.words if word not in told] == [], f"{wrong.path}\n{told}"
        assert "Hint 1 of" in self.do(f'exercise("{exercise}").hint()')
        if others:
            self.do(begin)
        self.answer(exercise, _read(spec.solution))
        assert self.do(check).startswith(f"PASSED {spec.heading}")

    def decide(self, exercise: str, number: int) -> None:
        """Answer a question in every wrong way, and think again."""
        question = catalogue.find(exercise).questions[number - 1]
        ask = f'exercise("{exercise}")'
        for answer in (*question.wrong_answers(), question.right_answer()):
            self.do(f"{ask}.predict({answer!r}, question={number})")
        told = self.do(f"{ask}.compare(question={number})")
        counted = question.predicts and isinstance(question, NumberQuestion)
        assert told.startswith("FAILED " if counted else "PASSED "), "nothing was sent yet that could be counted"

    def idle(self, traffic: str) -> None:
        """Let background traffic run until its first responses are no longer kept."""
        for _ in range(2):
            self.do(f"{traffic}.collect({KEPT * 2 // 3})")
        assert "from the last 300 of" in self.do(f"{traffic}.observations")

    def go_on(self, first: int, last: int) -> None:
        """Run cells in order, and do what each of them is for."""
        for number in range(first, last):
            source = self.cells[number]
            if check := _CHECK.fullmatch(source):
                self.practise(check[1])
            self.run(number)
            if ask := _ASK.fullmatch(source):
                self.decide(ask[1], int(ask[2] or 1))
            # What ends by itself is not left running.
            if (traffic := _TRAFFIC.search(source)) and "duration_s" not in source:
                self.idle(traffic[1])


def _text(content: dict[str, Any]) -> str:
    if "ename" in content:
        return f"{content['ename']}: {content['evalue']}"
    return str(content.get("text") or content.get("data", {}).get("text/plain", ""))


def _read(path: str) -> str:
    return (paths.manifests() / path).read_text(encoding="utf-8")


def _objects(path: str) -> set[tuple[str, str]]:
    """Kind and name of all objects of an answer."""
    return {(document["kind"], document["metadata"]["name"]) for document in yaml.safe_load_all(_read(path))}


@pytest.fixture
def learner(request: pytest.FixtureRequest) -> Iterator[Learner]:
    somebody = Learner(request.param)
    yield somebody
    somebody.close()


@pytest.mark.parametrize("learner", FROM_END_TO_END, ids=lambda path: path.stem, indirect=True)
def test_every_text_is_true_for_a_learner_who_dawdles_errs_and_restarts(
    learner: Learner, request: pytest.FixtureRequest
) -> None:
    notebook = request.node.callspec.params["learner"]
    lesson = notebook.name[:2]
    half = len(learner.cells) // 2
    learner.go_on(0, half)
    learner.restart()
    assert "lab" in learner.do("lab", fails=True)
    for number in range(half):
        learner.run(number)
    learner.go_on(half, len(learner.cells))

    for output in read_lesson(notebook).outputs:
        shown = learner.outputs[output.number(learner.cells)]
        assert [word for word in output.says if word not in shown] == [], f"{output.cell}\n{shown}"
    done = sum(number.startswith(f"{lesson}.") and not spec.extra for number, spec in catalogue.every().items())
    # The lesson's own card; the first lesson shows the whole course as well.
    (card,) = (
        learner.outputs[number] for number, source in enumerate(learner.cells) if source == f'progress("{lesson}")'
    )
    assert card.startswith(f"{done} of {done} exercise"), card
    assert "nothing is left" in learner.outputs[-1].lower() or "remaining=()" in learner.outputs[-1]
