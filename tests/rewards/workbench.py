"""Steps as they really are: the real tools, over a small repository in a folder of this machine."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.rewards.config import RubricSource
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rewards.scores import RuleScore, StepScore
from trajectory_hub.tools.base import CommandResult, Telemetry, ToolContext, ToolResult
from trajectory_hub.tools.registry import ParsedCall, ToolRegistry

WHEN = datetime(2024, 5, 1, tzinfo=UTC)
CART = '''"""A shopping cart."""

from shop.money import rounded

DISCOUNT_THRESHOLD = 100


class Cart:
    """Lines with a price and a number."""

    def __init__(self):
        self.lines = []

    def add(self, price, number=1):
        """Put something in."""
        if number < 1:
            raise ValueError("number must be positive")
        self.lines.append((price, number))

    def total(self):
        """What is to be paid, with ten per cent off from DISCOUNT_THRESHOLD on."""
        amount = sum(price * number for price, number in self.lines)
        if amount > DISCOUNT_THRESHOLD:
            amount = amount * 0.9
        return rounded(amount)
'''
MONEY = '"""Money."""\n\n\ndef rounded(amount):\n    """To cents."""\n    return round(amount, 2)\n'
TESTS = """from shop.cart import Cart


def test_empty():
    assert Cart().total() == 0


def test_plain():
    cart = Cart()
    cart.add(5, 3)
    assert cart.total() == 15


def test_discount():
    cart = Cart()
    cart.add(200)
    assert cart.total() == 180


def test_threshold():
    cart = Cart()
    cart.add(100)
    assert cart.total() == 90
"""
FILES: dict[str, str] = {
    "README.md": "# Shop\n\nA cart.\n",
    "shop/__init__.py": "",
    "shop/cart.py": CART,
    "shop/money.py": MONEY,
    "shop/long.py": "\n".join(f"VALUE_{number} = {number}  # one of many values" for number in range(1200)) + "\n",
    "tests/test_cart.py": TESTS,
    "tests/conftest.py": "",
}
OLD, NEW = "amount > DISCOUNT_THRESHOLD", "amount >= DISCOUNT_THRESHOLD"
STATEMENT = (
    "`Cart.total` gives no discount at the threshold.\n\nA cart of exactly DISCOUNT_THRESHOLD should be cheaper:\n"
    "`cart.add(100)` and then `cart.total()` gives 100 and should give 90.\n"
)
PATCH = f"""diff --git a/shop/cart.py b/shop/cart.py
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -20,7 +20,7 @@ class Cart:
     def total(self):
         \"\"\"What is to be paid, with ten per cent off from DISCOUNT_THRESHOLD on.\"\"\"
         amount = sum(price * number for price, number in self.lines)
-        if {OLD}:
+        if {NEW}:
             amount = amount * 0.9
         return rounded(amount)
"""


class Folder:
    """A sandbox without isolation: commands run in a folder of this machine."""

    def __init__(self, workdir: str) -> None:
        self.workdir = workdir

    def run(self, command: str, *, timeout: float | None = None, output_limit: int | None = None) -> CommandResult:
        """Run it by `sh`."""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.workdir, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        output = done.stdout + done.stderr
        return CommandResult(
            exit_code=done.returncode,
            output=output,
            total_bytes=len(output),
            sha256=hashlib.sha256(output).hexdigest(),
            telemetry=Telemetry(wall_ms=1.0),
        )

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        """The bytes of a file."""
        return Path(self.workdir, path).read_bytes()[:limit]

    def write_file(self, path: str, data: bytes) -> None:
        """Replace a file."""
        target = Path(self.workdir, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


class Bench:
    """A repository with a defect, a task about it, and the tools to work on it."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = Folder(str(folder))
        self.tools = ToolRegistry()
        self.steps: list[Step] = []
        for path, content in FILES.items():
            self.sandbox.write_file(path, content.encode())
        made = self.sandbox.run(
            "git init -q . && git add -A && git -c user.name=t -c user.email=t@t.invalid commit -qm one"
        )
        assert made.exit_code == 0, made.text
        self.task = Task(
            instance_id="shop-1",
            repo="demo/shop",
            base_commit="HEAD",
            patch=PATCH,
            problem_statement=STATEMENT,
            workdir=str(folder),
            provenance=Provenance(source="test"),
        )

    def act(self, tool: str, thought: str | None = None, **arguments: Any) -> Step:
        """Call a tool and keep the step."""
        return self.act_text(json.dumps({"name": tool, "arguments": arguments}), thought)

    def act_text(self, action: str, thought: str | None = None) -> Step:
        """Do what a text asks for, as the environment would."""
        call = self.tools.parse(action)
        if isinstance(call, ParsedCall):
            result, tool = call.run(self._context()), call.name
            arguments: Mapping[str, Any] = call.arguments.model_dump()
        else:
            result, tool = ToolResult(output=call.message, ok=False, error="malformed_action"), call.tool
            arguments = call.arguments
        step = Step(
            index=len(self.steps),
            action=action,
            tool=tool,
            arguments=arguments,
            observation=result.output,
            ok=result.ok,
            error=result.error,
            exit_code=result.exit_code,
            data=result.data,
            telemetry=Telemetry(wall_ms=1.0),
            t_start=WHEN,
            t_end=WHEN,
            duration_ms=1.0,
            thought=thought,
        )
        self.steps.append(step)
        return step

    def _context(self) -> ToolContext:
        command = f"PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=. {sys.executable} -m pytest -p no:cacheprovider -q -rA"
        return ToolContext(sandbox=self.sandbox, test_command=command, log_parser=parse_log)

    def scores(self, rubric: RubricSource = None) -> list[StepScore]:
        """Every step so far, scored."""
        return Rubric(rubric).score(self.task, self.steps)

    def said(self, index: int = -1, rubric: RubricSource = None) -> dict[str, RuleScore]:
        """What each rule says of a step."""
        score = self.scores(rubric)[index]
        return {rule.rule: rule for criterion in score.criteria.values() for rule in criterion.rules}

    def read(self, path: str = "shop/cart.py", **arguments: Any) -> Step:
        """`file_read`."""
        return self.act("file_read", path=path, **arguments)

    def shell(self, command: str) -> Step:
        """`shell`."""
        return self.act("shell", command=command)

    def fix(self) -> Step:
        """Change what the reference patch changes."""
        return self.act("file_edit", path="shop/cart.py", old=OLD, new=NEW)

    def test(self, *tests: str) -> Step:
        """`run_tests`."""
        return self.act("run_tests", tests=list(tests))

    def solve(self) -> None:
        """The episode of a careful agent."""
        self.act("search", pattern="DISCOUNT_THRESHOLD")
        self.read("shop/cart.py", start=1, end=27)
        self.test("tests/test_cart.py")
        self.fix()
        self.test("tests/test_cart.py")
        self.act("submit")


def parse_log(log: str) -> dict[str, str]:
    """Results of `pytest -rA`."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        status, _, name = line.partition(" ")
        if status in ("PASSED", "FAILED", "ERROR") and "::" in name:
            found[name.split(" - ")[0]] = status
    return found


def renumbered(steps: Iterable[Step]) -> list[Step]:
    """The steps with their indices in order."""
    return [replace(step, index=index) for index, step in enumerate(steps)]
