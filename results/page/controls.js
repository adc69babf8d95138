// Joins the controls of the page to formulas.js. Text reaches the page as text only.
"use strict";

const sections = JSON.parse(document.getElementById("data").textContent);
const OWN = "user";
const WORDS = { none: "no verdict" };

const digits = (value, count) => value.toLocaleString("en-US", { minimumFractionDigits: count, maximumFractionDigits: count });
const ends = ({ estimate, low, high }, count, unit = "") =>
  digits(estimate, count) + unit + (low === null || high === null ? "" : ` [${digits(low, count)}, ${digits(high, count)}]`);

function setUp(form) {
  const data = sections[Number(form.dataset.section)];
  const shared = (name) => form.querySelector(`.shared [data-in="${name}"]`);
  const out = (name) => form.querySelector(`.answer [data-out="${name}"]`);
  const sides = ["baseline", "case"].map((name) => {
    const set = form.querySelector(`[data-side="${name}"]`);
    const part = (kind, key) => set.querySelector(`[data-${kind}="${key}"]`);
    return { name, set, in: (key) => part("in", key), out: (key) => part("out", key) };
  });
  const pair = () => data.pairs[Number(shared("pair").value)];
  const caseOf = (side) => data.cases[pair()[side.name]];
  const discountOf = (side) => Math.min(Math.max(Number(side.in("discount").value) || 0, 0), 99.9) / 100;

  function addOption(select, value, text) {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    select.append(option);
  }

  function begin() {
    shared("day").min = data.firstDay;
    shared("day").max = data.asOf;
    shared("day").value = data.asOf;
    beginPair();
  }

  function beginPair() {
    for (const side of sides) {
      const measured = caseOf(side);
      const select = side.in("model");
      select.replaceChildren();
      for (const model of Object.keys(measured.prices)) addOption(select, model, model);
      addOption(select, OWN, "your own price");
      select.value = measured.model;
      side.in("discount").value = 0;
      side.out("label").textContent = `${pair().sameMachine ? "Both" : measured.label} on ${measured.machine}`;
      side.set.querySelector(".side").className = `side side-${pair()[side.name] % 6}`;
      if (select.value === OWN) side.in("price").value = measured.usdPerHour ?? "";
    }
    sides[1].set.hidden = pair().sameMachine;
    lookUp();
  }

  // The book's price of the day, for every side that is not priced by the reader.
  function lookUp() {
    for (const side of sides) {
      const model = side.in("model").value;
      const step = model === OWN ? null : priceOn(caseOf(side).prices[model], shared("day").value);
      if (model !== OWN) side.in("price").value = step?.usdPerHour ?? "";
      side.out("said").textContent = model === OWN ? ownSaid(side) : (step?.said ?? "no price on this day yet");
    }
    answer();
  }

  // On one machine any price gives the same verdict, so there need not be one.
  function priced(side) {
    const from = pair().sameMachine ? sides[0] : side;
    const { tokensPerSecond, startUpSeconds, goodput } = caseOf(side);
    const usdPerHour = unpriced() ? 1 : Number(from.in("price").value);
    return { tokensPerSecond, startUpSeconds, goodput, usdPerHour, discount: discountOf(from) };
  }

  const unpriced = () => pair().sameMachine && sides[0].in("price").value === "";

  const ownSaid = (side) => (side.in("price").value === "" ? "no price is known: type one" : "your own price");

  function answer() {
    const [baseline, other] = sides.map(priced);
    const length = shared("length").value === "" ? null : Number(shared("length").value);
    const possible = [baseline, other].every((side) => side.usdPerHour > 0 && Number.isFinite(side.usdPerHour));
    const found = possible ? whatIf(baseline, other, pair().equalPriceRatio, length, data.margin) : null;
    const names = sides.map((side) => caseOf(side).label);
    show(found, names, possible);
    const models = sides.map((side) => side.in("model").value);
    out("mixed").hidden = pair().sameMachine || models[0] === models[1];
    out("mixed").textContent = `Mixed: ${models.join(" against ")}. Prices bought in different ways make no matched comparison.`;
    moveMark(found, paidPerHour(other) / paidPerHour(baseline));
  }

  function show(found, names, possible) {
    const verdict = found ? found.verdict : "none";
    form.querySelector(".answer").className = `answer is-${verdict}`;
    out("verdict").textContent = WORDS[verdict] ?? verdict;
    out("claim").textContent = found
      ? `A token on ${names[1]} costs ${ends(found.costRatio, 3, " times")} what it costs on ${names[0]}.`
      : possible ? "The run ends before a first step is done." : "Give both sides a price: there is none for this day and model.";
    sides.forEach((side, i) => {
      out(`${side.name}-name`).textContent = `${names[i]}, USD/Mtoken`;
      out(`${side.name}-side`).className = `side side-${pair()[side.name] % 6}`;
      out(`${side.name}-cost`).textContent = found && !unpriced() ? ends(found[`${side.name}UsdPerMillionTokens`], 4) : "–";
    });
    out("break-even-row").hidden = pair().sameMachine;
    out("break-even").textContent = found ? ends(found.breakEvenPriceRatio, 3) : "–";
    out("tie").textContent = found && !pair().sameMachine ? cutToTie(found, names) : found ? "none: the price cancels" : "–";
  }

  function cutToTie(found, names) {
    const [own, others] = found.discountsToTie;
    return own ? `${digits(100 * own, 1)} % on ${names[1]}` : `${digits(100 * others, 1)} % on ${names[0]}`;
  }

  // The reader's own point on the break-even chart, whose axes are logarithmic.
  function moveMark(found, priceRatio) {
    for (const figure of document.querySelectorAll(`figure[data-section="${form.dataset.section}"]`)) {
      const mark = figure.querySelector(".mark") ?? addMark(figure.querySelector("svg"));
      const here = figure.dataset.pair === shared("pair").value && found !== null;
      const [x0, x1, y0, y1] = ["x0", "x1", "y0", "y1"].map((name) => Math.log(Number(figure.dataset[name])));
      const x = (Math.log(priceRatio) - x0) / (x1 - x0);
      const y = (Math.log(found?.costRatio.estimate) - y0) / (y1 - y0);
      const inside = [x, y].every((part) => part >= 0 && part <= 1);
      mark.style.display = here && inside ? "" : "none";
      if (!(here && inside)) continue;
      const { x: left, y: top, width, height } = figure.querySelector("svg").dataset;
      mark.setAttribute("cx", Number(left) + x * Number(width));
      mark.setAttribute("cy", Number(top) + (1 - y) * Number(height));
    }
  }

  function addMark(svg) {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    mark.setAttribute("class", "mark");
    mark.setAttribute("r", 9);
    svg.append(mark);
    return mark;
  }

  data.pairs.forEach((one, i) => addOption(shared("pair"), i, `${data.cases[one.case].label} with ${data.cases[one.baseline].label}`));
  shared("pair").addEventListener("change", beginPair);
  shared("day").addEventListener("change", lookUp);
  shared("length").addEventListener("change", answer);
  for (const side of sides) {
    side.in("model").addEventListener("change", lookUp);
    side.in("discount").addEventListener("input", answer);
    side.in("price").addEventListener("input", () => {
      side.in("model").value = OWN;
      side.out("said").textContent = ownSaid(side);
      answer();
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(begin));
  begin();
  form.hidden = false;
}

document.querySelectorAll("form.what-if").forEach(setUp);
// A print shows what is closed on the screen.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
