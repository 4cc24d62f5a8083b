"""What goes wrong under one seed: which kinds at all, how often, and when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

REQUEST_FAULTS = (
    "drop-before-accept",
    "drop-after-accept",
    "silence-before-accept",
    "silence-after-accept",
    "hold",
    "hold-answer",
    "fail-before-accept",
    "fail-after-accept",
    "reject",
    "rate-limit",
)
MESSAGE_FAULTS = ("lose", "duplicate", "reorder", "late")
MOMENT_FAULTS = ("disconnect", "half-open", "venue-restart", "manual-trade")
OTHER_FAULTS = ("partial", "clock-skew", "crash")
UNKNOWN_ERRORS = ((-1006, 503), (-1007, 504), (-1000, 503), (-1001, 500))
LONGEST_HOLD = 14.0
MOST_CRASHES = 5
MOST_SKEW = 20.0
MOST_MOMENTS = 6
POINTS_OF_A_LIFE = 120
ROUNDS_OF_A_LIFE = 500


@dataclass(slots=True)
class Faults:
    """The faults of one seed. rates: how likely each kind is where it can strike; kinds left out never strike.

    skew: seconds our clock is ahead of the exchange's.
    calm: nothing strikes any more. struck: how often each did.
    """

    random: Random
    rates: dict[str, float] = field(default_factory=dict)
    crashes: int = 0
    skew: float = 0.0
    moments: list[tuple[float, str]] = field(default_factory=list)
    calm: bool = False
    struck: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_seed(cls, seed: int, seconds: float) -> Faults:
        """A random choice of kinds, each with a rate of its own; `seconds`: how long the scenario lasts."""
        random = Random(f"{seed} faults")
        rates = {}
        for name in (*REQUEST_FAULTS, *MESSAGE_FAULTS, "partial"):
            if random.random() < 0.4:
                rates[name] = 10 ** random.uniform(-2.0, -0.7)
        chosen = [name for name in MOMENT_FAULTS if random.random() < 0.4]
        count = random.randint(1, MOST_MOMENTS) if chosen else 0
        moments = sorted((random.uniform(0, seconds), random.choice(chosen)) for _ in range(count))
        faults = cls(random, rates, random.randint(0, MOST_CRASHES), moments=moments)
        if random.random() < 0.3:
            faults.skew = random.uniform(-MOST_SKEW, MOST_SKEW)
            faults.note("clock-skew")
        return faults

    def strike(self, *names: str) -> str | None:
        """The fault that strikes here, of those that can."""
        if self.calm:
            return None
        for name in names:
            rate = self.rates.get(name)
            if rate is not None and self.random.random() < rate:
                self.note(name)
                return name
        return None

    def on_request(self, what: str, names: tuple[str, ...]) -> str | None:
        """What becomes of a request; `what` tells which it is."""
        return self.strike(*names)

    def on_report(self, what: str) -> str | None:
        """What becomes of a report on the user stream."""
        return self.strike(*MESSAGE_FAULTS)

    def note(self, name: str) -> None:
        """A fault has struck."""
        self.struck[name] += 1

    def death(self) -> tuple[int | None, int | None]:
        """The point or the round at which the next life dies, or neither."""
        if self.calm or self.crashes <= 0:
            return None, None
        self.crashes -= 1
        self.note("crash")
        if self.random.random() < 0.6:
            return self.random.randint(1, POINTS_OF_A_LIFE), None
        return None, self.random.randint(1, ROUNDS_OF_A_LIFE)
