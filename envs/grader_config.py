"""How patches are graded."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["GraderConfig"]


class GraderConfig(BaseModel):
    """How patches are graded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: float = Field(default=1800.0, gt=0)
    """Seconds the tests may take, as in the official harness."""
    canaries: bool = True
    """Run resolved patches a second time with canaries. Without, a forged report is believed."""
    retries: int = Field(default=2, ge=0)
    """How often a fault that is not the patch's is tried again."""
    reuse: bool = False
    """Give a patch the verdict that this process gave the same patch to the same task, where it was no matter of
    chance. Saves most of the grading where many episodes end alike; two runs of a flaky test become one."""
    memory_mb: int = Field(default=4096, ge=64)
    cpus: float = Field(default=2.0, gt=0)
    pids: int = Field(default=2048, ge=16)
    disk_mb: int = Field(default=8192, ge=1)
    log_limit: int = Field(default=64 << 20, ge=1 << 16)
    """Bytes of a log that are kept; a longer one is not judged but reported as a limit reached."""
    cap_add: tuple[str, ...] = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID")
    """Capabilities that test suites run as root count on; the official harness gives these and more."""
    seed: int | None = None
    """Makes names and places of canaries repeatable, for tests only: a patch must not be able to guess them."""
