// Cost, break-even and verdict from measured throughput and any price. Pure; the same formulas as results/what_if.py.
// An interval is {estimate, low, high}; low and high are null where there were too few runs. Money in USD, time in seconds.
"use strict";

const scaled = (value, factor) => (value === null ? null : value * factor);
const inverted = (value) => (value === null ? null : 1 / value);

const times = ({ estimate, low, high }, factor) => ({
  estimate: estimate * factor,
  low: scaled(low, factor),
  high: scaled(high, factor),
});

const inverse = ({ estimate, low, high }) => ({ estimate: 1 / estimate, low: inverted(high), high: inverted(low) });

const paidPerHour = (side) => side.usdPerHour * (1 - side.discount);

const steppingShare = (side, rentedSeconds) =>
  rentedSeconds === null ? 1 : Math.max(0, 1 - side.startUpSeconds / rentedSeconds);

function usdPerMillionTokens(side, rentedSeconds) {
  const usefulShare = side.goodput * steppingShare(side, rentedSeconds);
  const at = (speed) => (speed === null ? null : (paidPerHour(side) / 3600 / (speed * usefulShare)) * 1e6);
  const { estimate, low, high } = side.tokensPerSecond;
  return { estimate: at(estimate), low: at(high), high: at(low) };
}

function judge(costRatio, margin) {
  if (costRatio.low === null || costRatio.high === null) return "none";
  if (costRatio.high < 1 - margin) return "better";
  if (costRatio.low > 1 + margin) return "worse";
  return costRatio.low >= 1 - margin && costRatio.high <= 1 + margin ? "equal" : "undecided";
}

const discountsToTie = (ratio) => [Math.max(0, 1 - 1 / ratio), Math.max(0, 1 - ratio)];

// equalPriceRatio: cost per token of the case over the baseline's if both machines cost the same.
// null if the run ends before a side's first step.
function whatIf(baseline, side, equalPriceRatio, rentedSeconds, margin) {
  const ours = steppingShare(baseline, rentedSeconds);
  const theirs = steppingShare(side, rentedSeconds);
  if (!ours || !theirs) return null;
  const slower = times(equalPriceRatio, ours / theirs);
  const costRatio = times(slower, paidPerHour(side) / paidPerHour(baseline));
  return {
    baselineUsdPerMillionTokens: usdPerMillionTokens(baseline, rentedSeconds),
    caseUsdPerMillionTokens: usdPerMillionTokens(side, rentedSeconds),
    costRatio,
    verdict: judge(costRatio, margin),
    breakEvenPriceRatio: inverse(slower),
    discountsToTie: discountsToTie(costRatio.estimate),
  };
}

// What holds on a day (YYYY-MM-DD): the last step of a price history that begins at or before it, or null.
const priceOn = (steps, day) => steps.filter((step) => step.from <= day).pop() ?? null;
