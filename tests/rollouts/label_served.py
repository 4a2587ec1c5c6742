"""What the tests of the labelling page share: the command as a server, and what is measured in the browser."""

import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from trajectory_hub.rewards.human.store import LabelStore

FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
).split()
URL = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]+/\S*")
CONTRAST = """() => {
  const luminance = (color) => {
    const parts = color.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const backdrop = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [low, high] = [getComputedStyle(element).color, backdrop(element)].map(luminance).sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) poor.push(element.outerHTML.slice(0, 90));
  }
  return poor;
}"""


class Served:
    """A running `trajhub label`."""

    def __init__(self, labels: Path, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "trajectory_hub", "label", *map(str, arguments)]
        self.labels = labels
        self.process = subprocess.Popen(
            [*command, "--labels", str(labels), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        self.url = next(match[0] for line in lines if (match := URL.search(line)))

    def address(self, annotator: str) -> str:
        return f"{self.url}?annotator={annotator}"

    def store(self) -> "closing[LabelStore]":
        return closing(LabelStore(self.labels, create=False))

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=100)
        return self.process.returncode
