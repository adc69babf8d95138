"""How much worse a case may be than the same case of another side: `--fail-on usd_per_mtok:5%`.

A threshold is broken only if the whole interval of the ratio is beyond it, held only if none of it is: a difference
that may be noise fails nothing, and is not called harmless.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from results.break_even import inverse
from results.compare import Check, CheckOutcome, Comparison, Section, equal_price_ratio, why_not_comparable
from results.costs import PricedCase
from results.errors import ComparisonError
from results.names import did_you_mean
from results.record import RunRecord
from results.render import shown_model
from results.stats import FEWEST_RUNS, Interval

METRICS = ("usd_per_mtok", "tokens_per_second")
"""US dollars per million tokens: more is worse. Tokens per second: fewer is worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """By which share a metric may be worse."""

    metric: str
    share: float

    def __str__(self) -> str:
        return f"{self.metric}:{100 * self.share:g}%"

    @property
    def limit(self) -> float:
        """The ratio, case over baseline, beyond which the threshold is broken."""
        return 1 + self.share if self.more_is_worse else 1 - self.share

    @property
    def more_is_worse(self) -> bool:
        """As of money."""
        return self.metric == "usd_per_mtok"


def parse_thresholds(texts: Iterable[str]) -> tuple[Threshold, ...]:
    """``usd_per_mtok:5%`` and others as thresholds.

    Raises:
        ComparisonError: written otherwise, an unknown metric, 100 % or more, or two of one metric.
    """
    found = tuple(map(_parsed, texts))
    metrics = [threshold.metric for threshold in found]
    if twice := next((metric for metric in metrics if metrics.count(metric) > 1), None):
        raise ComparisonError(f"two thresholds for {twice}", "give --fail-on once for each metric")
    return found


def _parsed(text: str) -> Threshold:
    metric, _, number = text.strip().partition(":")
    if metric not in METRICS:
        raise ComparisonError(
            f"--fail-on {text!r} is about no metric that has an interval", did_you_mean(metric, METRICS)
        )
    share = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%", number, re.ASCII)
    if share is None:
        raise ComparisonError(f"--fail-on {text!r} is no threshold", f"write it as {metric}:5%")
    if float(share[1]) >= 100:
        raise ComparisonError(f"--fail-on {text!r} is beyond reason", "give less than 100 %")
    return Threshold(metric=metric, share=float(share[1]) / 100)


def with_checks(
    sections: Sequence[Section], thresholds: Sequence[Threshold], sides: Mapping[str, Sequence[RunRecord]]
) -> list[Section]:
    """The sections, each with what became of the thresholds: every case against that of its backend on another side.

    Raises:
        ComparisonError: there are thresholds, and no two sides have a case of one backend.
    """
    side_of = {record.run_id: side for side, records in sides.items() for record in records}
    checked = [replace(section, checks=tuple(_checks(section, thresholds, side_of))) for section in sections]
    if thresholds and not any(check.case for section in checked for check in section.checks):
        raise ComparisonError(
            "--fail-on has nothing to hold against each other", "compare two sides that have a backend in common"
        )
    return checked


def _checks(section: Section, thresholds: Sequence[Threshold], side_of: Mapping[str, str]) -> Iterator[Check]:
    cases = {case.summary.label: case for case in section.cases}
    sides = {label: side_of[case.summary.first.run_id] for label, case in cases.items()}
    pairs = [pair for pair in _pairs(section) if _same_backend(*(cases[label] for label in pair))]
    across = [(case, baseline) for case, baseline in pairs if sides[case] != sides[baseline]]
    alone = [label for label in cases if sides[label] == next(iter(side_of.values()))]
    for threshold in thresholds:
        for case, baseline in across:
            yield _check(threshold, section, cases[case], cases[baseline])
        for label in alone:
            if label not in {baseline for _, baseline in across}:
                yield _undecided(threshold, None, label, "no other side has this case")


def _pairs(section: Section) -> list[tuple[str, str]]:
    return list(dict.fromkeys((comparison.case, comparison.baseline) for comparison in section.comparisons))


def _same_backend(case: PricedCase, baseline: PricedCase) -> bool:
    return case.summary.first.case.backend == baseline.summary.first.case.backend


def _check(threshold: Threshold, section: Section, case: PricedCase, baseline: PricedCase) -> Check:
    ours, theirs = case.summary.label, baseline.summary.label
    if reason := why_not_comparable(baseline.summary, case.summary):
        return _undecided(threshold, ours, theirs, reason)
    ratio, basis = _ratio(threshold, section, case, baseline)
    if ratio is None:
        return _undecided(threshold, ours, theirs, basis)
    if ratio.low is None or ratio.high is None:
        return _undecided(threshold, ours, theirs, f"under {FEWEST_RUNS} runs a side there is no interval", ratio)
    outcome = judged(ratio.low, ratio.high, threshold)
    side = "above" if threshold.more_is_worse else "below"
    said = (
        f"{threshold}: {ours} has {ratio.estimate:.3f} times [{ratio.low:.3f}, {ratio.high:.3f}] that of {theirs} "
        f"({basis}); broken if all of it is {side} {threshold.limit:g}"
    )
    return Check(threshold=str(threshold), case=ours, baseline=theirs, outcome=outcome, ratio=ratio, sentence=said)


def _ratio(
    threshold: Threshold, section: Section, case: PricedCase, baseline: PricedCase
) -> tuple[Interval | None, str]:
    """The metric of the case over the baseline's, and under which price or why there is none."""
    if threshold.metric == "tokens_per_second":
        ratio = inverse(equal_price_ratio(baseline.summary, case.summary))
        return ratio, f"{ratio.method}, {ratio.runs} {ratio.unit}"
    comparison = _under_shown_model(section, case.summary.label, baseline.summary.label)
    return comparison.cost_ratio, comparison.basis


def _under_shown_model(section: Section, case: str, baseline: str) -> Comparison:
    """Of the pair's comparisons the one under the purchase model of the cost column, else the first."""
    pair = [one for one in section.comparisons if (one.case, one.baseline) == (case, baseline)]
    return next((one for one in pair if one.basis == shown_model(section)), pair[0])


def judged(low: float, high: float, threshold: Threshold) -> CheckOutcome:
    """Where the interval of a ratio, case over baseline, lies."""
    limit = threshold.limit
    beyond, within = (low > limit, high <= limit) if threshold.more_is_worse else (high < limit, low >= limit)
    return "broken" if beyond else "held" if within else "undecided"


def _undecided(
    threshold: Threshold, case: str | None, baseline: str, reason: str, ratio: Interval | None = None
) -> Check:
    pair = f"{case} against {baseline}" if case else baseline
    said = f"{threshold}: {pair}: {reason}"
    return Check(
        threshold=str(threshold), case=case, baseline=baseline, outcome="undecided", ratio=ratio, sentence=said
    )
