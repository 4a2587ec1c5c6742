"""Canaries in every language: planted into a small suite, run by the real runner, read by swebench's parser.

    python -m trajectory_hub.benchmarks.canaries [--json FILE]

For each runner that this machine has: how many canaries were planted over ten plantings, how many the report showed as
they must be, and whether deciding tests broken in place failed while true statements there changed nothing.
Runners that are not installed are named. Nothing is downloaded.
"""

import argparse
import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..console import table
from ..envs.canaries import break_in_place, judge, plant
from ..envs.logs import log_parser

__all__ = ["SUITES", "Outcome", "Suite", "main", "measure"]

_SEEDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A test file of some language and how it is run."""

    runner: str
    needs: tuple[str, ...]
    """Programs, any of which missing leaves it out; a name that ends with `.jar` is a file."""
    path: str
    text: str
    ids: tuple[str, ...]
    """The deciding tests as the log names them."""
    command: str
    parser: str
    files: tuple[tuple[str, str], ...] = field(default=())
    """What the suite needs besides."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of one suite."""

    runner: str
    planted: int = 0
    as_they_must: int = 0
    broken: int = 0
    broken_failed: int = 0
    controls: int = 0
    controls_resolved: int = 0


_JS_BODY = """\
describe('sums', () => {
  it('adds small numbers', () => { const text = '}'; if (1 + 1 !== 2) throw new Error(text); });

  it("keeps what is there", async () => {
    if (!/[}]'/.test("}'")) throw new Error('no');
  });
});
"""
_MOCHA = "const { describe, it } = require('mocha');\n" + _JS_BODY
_NODE = "const { describe, it } = require('node:test');\n" + _JS_BODY.replace("describe('sums', () => {\n", "").replace(
    "});\n});\n", "});\n"
)
_GO = """\
package sum

import "testing"

func TestAdd(t *testing.T) {
\tif got := 1 + 2; got != 3 { // a } in a comment
\t\tt.Fatalf("got %d}", got)
\t}
}

func TestTable(t *testing.T) {
\tfor _, c := range []struct{ a int }{{1}, {2}} {
\t\tt.Run("one", func(t *testing.T) { _ = c })
\t}
}
"""
_RUST = """\
#[cfg(test)]
mod tests {
    #[test]
    fn adds_two() {
        let c = '{';
        assert_eq!(1 + 2, 3, "brace {c} }}");
    }

    #[test]
    fn adds_result() -> Result<(), String> {
        assert_eq!(1 + 2, 3);
        Ok(())
    }
}
"""
_RUBY = """\
require "test/unit"

class SumTest < Test::Unit::TestCase
  def test_adds_two
    assert_equal 3, 1 + 2
  end

  def test_keeps_one
    [1].each do |x|
      assert_equal 1, x
    end
  end
end
"""
_RSPEC = """\
describe "sum" do
  it "adds two" do
    expect(1 + 2).to eq(3)
  end

  it "keeps one" do
    [1].each do |x|
      expect(x).to eq(1)
    end
  end
end
"""
_RSPEC_FORMAT = """\
class Plain
  RSpec::Core::Formatters.register self, :example_passed, :example_failed
  def initialize(out) = @out = out
  def example_passed(one) = @out.puts("#{one.example.full_description} - passed")
  def example_failed(one) = @out.puts("#{one.example.full_description} - failed")
end
"""
_PHP = """\
<?php
namespace Acme\\Tests;

use PHPUnit\\Framework\\TestCase;

final class SumTest extends TestCase
{
    public function testAddsTwo(): void
    {
        self::assertSame("}", '}'); // it's }
    }

    public function testKeepsOne(): void
    {
        $this->assertEquals(1, 1);
    }
}
"""
_JAVA = """\
import static org.junit.Assert.assertEquals;
import org.junit.Test;

public class SumTest {
  @Test
  public void addsTwo() throws Exception {
    assertEquals("}", 3, 1 + 2);
  }

  @Test public void keepsOne() { assertEquals(1, 1); }
}
"""
_JAVA_RUN = """\
import org.junit.runner.*;
import org.junit.runner.notification.*;

public class Run {
  public static void main(String[] names) throws Exception {
    JUnitCore core = new JUnitCore();
    core.addListener(new RunListener() {
      boolean failed;
      @Override public void testStarted(Description d) { failed = false; }
      @Override public void testFailure(Failure f) { failed = true; }
      @Override public void testFinished(Description d) {
        System.out.println(d.getClassName() + " > " + d.getMethodName() + (failed ? " FAILED" : " PASSED"));
      }
    });
    core.run(Class.forName(names[0]));
  }
}
"""
_JUNIT = "/usr/share/java/junit4.jar"
_CLASSES = f"{_JUNIT}:/usr/share/java/hamcrest-core.jar:."
SUITES: Sequence[Suite] = (
    Suite(
        runner="node --test",
        needs=("node",),
        path="test/sum.test.js",
        text=_NODE,
        ids=("- adds small numbers", "- keeps what is there"),
        command="node --test --test-reporter=tap test/",
        parser="parse_log_tap",
    ),
    Suite(
        runner="mocha",
        needs=("mocha",),
        path="test/sum.js",
        text=_MOCHA,
        ids=("sums.adds small numbers", "sums.keeps what is there"),
        command="mocha --reporter spec test/sum.js",
        parser="parse_log_highlightjs",
    ),
    Suite(
        runner="jest",
        needs=("jest",),
        path="sum.test.js",
        text=_JS_BODY,
        ids=("adds small numbers", "keeps what is there"),
        command="jest --verbose sum.test.js",
        parser="parse_log_jest",
        files=(("package.json", "{}"),),
    ),
    Suite(
        runner="go test",
        needs=("go",),
        path="sum_test.go",
        text=_GO,
        ids=("TestAdd", "TestTable"),
        command="go test -v ./...",
        parser="parse_log_gotest",
        files=(("go.mod", "module example.org/sum\n"), ("sum.go", "package sum\n")),
    ),
    Suite(
        runner="cargo test",
        needs=("cargo",),
        path="src/lib.rs",
        text=_RUST,
        ids=("tests::adds_two", "tests::adds_result"),
        command="cargo test --offline",
        parser="parse_log_cargo",
        files=(("Cargo.toml", '[package]\nname = "sum"\nversion = "0.1.0"\nedition = "2021"\n'),),
    ),
    Suite(
        runner="JUnit 4",
        needs=("javac", _JUNIT),
        path="SumTest.java",
        text=_JAVA,
        ids=("SumTest > addsTwo", "SumTest > keepsOne"),
        command=f"javac -cp {_CLASSES} SumTest.java Run.java && java -cp {_CLASSES} Run SumTest",
        parser="parse_log_gradle_custom",
        files=(("Run.java", _JAVA_RUN),),
    ),
    Suite(
        runner="test-unit",
        needs=("ruby",),
        path="sum_test.rb",
        text=_RUBY,
        ids=("test_adds_two", "test_keeps_one"),
        command="ruby sum_test.rb --verbose=verbose --no-use-color",
        parser="parse_log_ruby_unit",
    ),
    Suite(
        runner="rspec",
        needs=("rspec",),
        path="sum_spec.rb",
        text=_RSPEC,
        ids=("sum adds two", "sum keeps one"),
        command="rspec --require ./plain.rb --format Plain sum_spec.rb",
        parser="parse_log_rspec_transformed_json",
        files=(("plain.rb", _RSPEC_FORMAT),),
    ),
    Suite(
        runner="phpunit",
        needs=("phpunit",),
        path="SumTest.php",
        text=_PHP,
        ids=("Sum > Adds two", "Sum > Keeps one"),
        command="phpunit --testdox --colors=never SumTest.php",
        parser="parse_log_phpunit",
    ),
)


def missing(suite: Suite) -> list[str]:
    """What of its needs this machine has not."""
    return [need for need in suite.needs if not (Path(need).exists() if "/" in need else shutil.which(need))]


def measure(suite: Suite, seeds: int = _SEEDS) -> Outcome:
    """Plant `seeds` times and compare."""
    found = Outcome(runner=suite.runner)
    with tempfile.TemporaryDirectory(prefix="trajhub-canaries-") as name:
        folder = Path(name)
        for path, text in ((suite.path, suite.text), *suite.files):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        for seed in range(seeds):
            _one(suite, folder, seed, found)
    return found


def _one(suite: Suite, folder: Path, seed: int, found: Outcome) -> None:
    sources = {suite.path: suite.text}
    planted = plant(sources, suite.ids, (), random.Random(seed))
    results = judge(planted, _statuses(suite, folder, planted.sources[suite.path]))
    found.planted += len(results)
    found.as_they_must += sum(result.ok for result in results)
    pair = break_in_place(sources, suite.ids, random.Random(seed))
    if pair is None:
        return
    control = _statuses(suite, folder, pair[0].sources[suite.path])
    found.controls += 1
    found.controls_resolved += all(control.get(test) == "PASSED" for test in suite.ids)
    broken = judge(pair[1], _statuses(suite, folder, pair[1].sources[suite.path]))
    found.broken += len(broken)
    found.broken_failed += sum(result.ok for result in broken)


def _statuses(suite: Suite, folder: Path, text: str) -> dict[str, str]:
    (folder / suite.path).write_text(text)
    done = subprocess.run(["sh", "-c", suite.command], cwd=folder, capture_output=True, text=True, check=False)
    return log_parser(suite.parser)(done.stdout + done.stderr)


def main() -> int:
    """Measure, print, and fail when a canary was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="plantings a suite")
    options = parser.parse_args()
    absent = {suite.runner: missing(suite) for suite in SUITES if missing(suite)}
    outcomes = [measure(suite, options.seeds) for suite in SUITES if suite.runner not in absent]
    columns = ("runner", "canaries", "as they must", "controls", "resolved", "broken originals", "failed")
    table("Canaries by runner", columns, [tuple(asdict(one).values())[:3] + _rest(one) for one in outcomes])
    for runner, needs in absent.items():
        print(f"Not here: {runner} (needs {', '.join(needs)})")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=2) + "\n")
    right = all(one.as_they_must == one.planted and one.controls_resolved == one.controls for one in outcomes)
    return 0 if right and all(one.broken_failed == one.broken for one in outcomes) else 1


def _rest(one: Outcome) -> tuple[int, int, int, int]:
    return one.controls, one.controls_resolved, one.broken, one.broken_failed


if __name__ == "__main__":
    raise SystemExit(main())
