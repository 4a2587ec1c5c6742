"""Canaries in files that are read as text, run by the real runners of this machine where it has them."""

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from trajectory_hub.envs.canaries import break_in_place, can_hold, judge, plant
from trajectory_hub.envs.canaries.languages import language_of
from trajectory_hub.envs.logs import log_parser
from trajectory_hub.envs.verdict import CanaryKind

NODE = """\
const test = require('node:test');
const assert = require('node:assert');
const { describe, it } = test;

test('adds small numbers', () => {
  assert.strictEqual(1 + 1, 2);
});

test("handles a } brace in a string", async (t) => {
  const re = /[}]'/;
  assert.ok(re.test("}'"))
});

describe('nested', () => {
  it('deep equal', (t, done) => {
    setImmediate(() => { assert.deepStrictEqual([1], [1]); done(); })
  });
});
"""
RUST = """\
pub fn add(a: i32, b: i32) -> i32 { a + b }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_two() {
        let c = '{';
        assert_eq!(add(1, 2), 3, "brace {c} }}");
        // done
    }

    #[test]
    fn adds_result() -> Result<(), String> {
        assert_eq!(add(1, 2), 3);
        Ok(())
    }

    #[test]
    #[should_panic]
    fn panics() {
        panic!("x")
    }

    #[test]
    fn last_expression() {
        let v: &'static str = r#"a"}"#;
        assert!(v.len() > 1)
    }
}
"""
GO = """\
package sum

import "testing"

func TestMain(m *testing.M) { m.Run() }

func TestAdd(t *testing.T) {
	if got := add(1, 2); got != 3 { // a } in a comment
		t.Fatalf("got %d}", got)
	}
}

func TestTable(t *testing.T) {
	for _, c := range []struct{ a int }{{1}, {2}} {
		t.Run("one", func(t *testing.T) { _ = c })
	}
}

func helper(t *testing.T) {}

func (s *SumSuite) TestOfSuite() {
	s.Equal(3, add(1, 2))
}
"""
JAVA = """\
package a;

public class SumTest {
  @Test
  public void addsTwo() throws Exception {
    assertEquals("}", 3, 1 + 2);
  }

  @Test(expected = IllegalStateException.class)
  public void refuses() {
    throw new IllegalStateException();
  }

  @Test void emptySum() { assertEquals(0, 0); }
}
"""
RUBY = """\
class SumTest < Minitest::Test
  def test_adds_two
    assert_equal 3, 1 + 2
  end

  should "be empty at first" do
    [1].each do |x|
      assert x
    end
  end
end
"""
PHP = """\
<?php
final class SumTest extends TestCase
{
    public function testAddsTwo(): void
    {
        self::assertSame("}", '}'); // it's }
    }

    /** @dataProvider numbers */
    public function testEach(int $a): void {}
}
"""


@dataclass(frozen=True)
class Sample:
    """A test file, what is in it, and how a log names it."""

    path: str
    text: str
    titles: tuple[str, ...]
    ids: tuple[str, ...]


SAMPLES = {
    "node": Sample(
        "test/sum.test.js",
        NODE,
        ("adds small numbers", "handles a } brace in a string", "deep equal"),
        ("- adds small numbers", "- handles a } brace in a string"),
    ),
    "rust": Sample(
        "src/lib.rs",
        RUST,
        ("adds_two", "adds_result", "panics", "last_expression"),
        ("tests::adds_two", "tests::adds_result", "tests::last_expression"),
    ),
    "go": Sample(
        "sum_test.go", GO, ("TestAdd", "TestTable", "TestOfSuite"), ("TestAdd", "TestTable/one", "TestSums/TestOfSuite")
    ),
    "java": Sample(
        "SumTest.java", JAVA, ("addsTwo", "refuses", "emptySum"), ("a.SumTest#addsTwo", "SumTest > emptySum")
    ),
    "ruby": Sample("sum_test.rb", RUBY, ("test_adds_two", "be empty at first"), ("SumTest#test_adds_two",)),
    "php": Sample("tests/SumTest.php", PHP, ("testAddsTwo",), ("Sum > Adds two",)),
}
COMMANDS = {
    "node": ("node", "node --test --test-reporter=tap test/", "parse_log_tap"),
    "rust": ("cargo", "cargo test --offline --quiet -- --format pretty", "parse_log_cargo"),
}


@pytest.fixture(params=list(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


def test_every_test_of_a_file_is_found_with_its_body(sample: Sample) -> None:
    language = language_of(sample.path)
    assert language is not None and can_hold(sample.path)
    found = language.find(sample.text)
    assert tuple(one.title for one in found) == sample.titles
    for one in found:
        assert one.body is not None
        assert sample.text[one.name[0] : one.name[1]] == one.title
        assert sample.text[one.start : one.end].count("\n") >= 1


def test_all_kinds_are_planted_under_names_of_the_language(sample: Sample) -> None:
    for seed in range(10):
        planted = plant({sample.path: sample.text}, sample.ids, (), random.Random(seed))
        text = planted.sources[sample.path]
        assert {canary.kind for canary in planted.canaries} == set(CanaryKind) - {CanaryKind.BROKEN_ORIGINAL}
        assert all(text.count(canary.name) == 1 and canary.name not in sample.text for canary in planted.canaries)
        kept = [line for line in sample.text.split("\n") if line.strip()]
        assert [line for line in text.split("\n") if line in kept][: len(kept)]


def test_an_honest_log_satisfies_all_and_a_lie_does_not(sample: Sample) -> None:
    planted = plant({sample.path: sample.text}, sample.ids, (), random.Random(1))
    passing = (CanaryKind.MUST_PASS, CanaryKind.COPY)
    log = {test: "PASSED" for test in sample.ids}
    honest = log | {f"x {c.name}": "PASSED" if c.kind in passing else "FAILED" for c in planted.canaries}
    assert all(result.ok for result in judge(planted, honest))
    lie = dict.fromkeys(honest, "PASSED")
    assert {result.kind for result in judge(planted, lie) if not result.ok} == {
        CanaryKind.MUST_FAIL,
        CanaryKind.BROKEN_COPY,
    }


def test_a_method_of_a_suite_is_copied_as_one_and_fails_by_its_suite() -> None:
    sample = SAMPLES["go"]
    pair = break_in_place({sample.path: sample.text}, ("TestSums/TestOfSuite",), random.Random(1))
    assert pair is not None
    assert "s.T()." in pair[1].sources[sample.path]
    texts = [plant({sample.path: sample.text}, sample.ids[-1:], (), random.Random(n)).sources for n in range(5)]
    assert all(text[sample.path].count("func (s *SumSuite) Test") >= 4 for text in texts)


def test_a_log_of_whole_files_is_answered_by_breaking_one_test_of_the_file() -> None:
    sample = SAMPLES["node"]
    pair = break_in_place({sample.path: sample.text}, (sample.path,), random.Random(1))
    assert pair is not None
    assert [canary.of for canary in pair[1].canaries] == [(sample.path,)]


@pytest.mark.parametrize("name", list(COMMANDS))
@pytest.mark.parametrize("seed", [1, 2])
def test_real_runners_report_what_was_planted(name: str, seed: int, tmp_path: Path) -> None:
    program, command, parser = COMMANDS[name]
    if shutil.which(program) is None:
        pytest.skip(f"this machine has no {program}")
    sample = SAMPLES[name]
    (tmp_path / sample.path).parent.mkdir()
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "sum"\nversion = "0.1.0"\nedition = "2021"\n')

    def statuses(text: str) -> dict[str, str]:
        (tmp_path / sample.path).write_text(text)
        done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
        return log_parser(parser)(done.stdout)

    planted = plant({sample.path: sample.text}, sample.ids, (), random.Random(seed))
    results = judge(planted, statuses(planted.sources[sample.path]))
    assert results and [result for result in results if not result.ok] == []
    pair = break_in_place({sample.path: sample.text}, sample.ids, random.Random(seed))
    assert pair is not None
    control = statuses(pair[0].sources[sample.path])
    assert all(control[test] == "PASSED" for test in sample.ids)
    assert all(result.ok for result in judge(pair[1], statuses(pair[1].sources[sample.path])))
