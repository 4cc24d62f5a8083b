"use strict";
/* Draws the charts of an optimisation as SVG from the page's own data. Loads nothing. */
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /* -- numbers as text */
  const plain = (digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const whole = plain(0), two = plain(2), short = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const minus = (text) => text.replace("-", "\u2212");
  const units = {
    percent: (value) => minus(two.format(value * 100)) + "%",
    ratio: (value) => minus(Math.abs(value) >= 0.01 || value === 0 ? two.format(value) : short.format(value)),
    money: (value) => minus(whole.format(value)),
    count: (value) => minus(whole.format(value)),
  };
  const figure = (value, unit) => (value === null || value === undefined ? "\u2013" : units[unit || data.unit](value));
  const moment = (seconds) => {
    const text = new Date(seconds * 1000).toISOString();
    return data.equity.intraday ? text.slice(0, 16).replace("T", " ") : text.slice(0, 10);
  };

  /* -- SVG */
  function node(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function canvas(box, height) {
    const width = Math.max(260, Math.round(box.clientWidth || 600));
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    box.replaceChildren(svg);
    return { svg, width, height, add: (...some) => { const made = node(...some); svg.append(made); return made; } };
  }

  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const dots = (points) => points.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
  const range = (values) => values.reduce(([low, high], value) => (value === null ? [low, high] : [Math.min(low, value), Math.max(high, value)]), [Infinity, -Infinity]);

  function padded([low, high], part = 0.05) {
    if (!(high >= low)) return [0, 1];
    const more = (high - low) * part || Math.abs(high) * 0.1 || 1;
    return [low - more, high + more];
  }

  /* Round numbers between low and high, about `count` of them. */
  function ticks(low, high, count) {
    const rough = (high - low) / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
    return found;
  }

  const shortened = (text, most) => (text.length > most ? text.slice(0, most - 1) + "\u2026" : text);

  /* A plot with a scale each way: frame and labels are drawn, x and y place values. */
  function plot(box, height, across, up, { left = 62, bottom = 28, unitX, unitY, xTicks, titleX, titleY } = {}) {
    const made = canvas(box, height);
    const area = { left, right: made.width - 14, top: titleY ? 26 : 12, bottom: height - bottom - (titleX ? 16 : 0) };
    const x = (value) => area.left + (value - across[0]) / (across[1] - across[0]) * (area.right - area.left);
    const y = (value) => area.bottom - (value - up[0]) / (up[1] - up[0]) * (area.bottom - area.top);
    for (const value of ticks(...up, height / 50)) {
      made.add("path", { class: "grid", d: path([[area.left, y(value)], [area.right, y(value)]]) });
      made.add("text", { x: area.left - 6, y: y(value) + 4, "text-anchor": "end" }, figure(value, unitY));
    }
    const named = xTicks || ticks(...across, made.width / 110).map((value) => [value, figure(value, unitX)]);
    for (const [value, text] of named) {
      made.add("text", { x: clamp(x(value), area.left, area.right - text.length * 3), y: area.bottom + 18, "text-anchor": "middle" }, text);
    }
    if (titleX) made.add("text", { x: (area.left + area.right) / 2, y: height - 6, "text-anchor": "middle" }, titleX);
    if (titleY) made.add("text", { x: 8, y: 16 }, titleY);
    return { ...made, area, x, y };
  }

  /* -- equity */
  const equity = { at: null };
  function drawEquity() {
    const box = element("equity");
    const [times, values] = data.equity.outside, [before, others] = data.equity.inside;
    if (!times.length) { box.replaceChildren(Object.assign(document.createElement("p"), { className: "empty", textContent: "There are no tested bars." })); return; }
    const across = [Math.min(times[0], before[0] ?? times[0]), Math.max(times[times.length - 1], before[before.length - 1] ?? 0)];
    const count = Math.max(2, Math.floor(box.clientWidth / 150));
    const marks = Array.from({ length: count }, (_, i) => across[0] + (across[1] - across[0]) * (i + 0.5) / count);
    const made = plot(box, 320, across, padded(range([...values, ...others])), { unitY: "ratio", xTicks: marks.map((time) => [time, moment(time).slice(0, 10)]) });
    const { area, x, y } = made;
    made.add("rect", { class: "before", x: area.left, y: area.top, width: Math.max(0, x(times[0]) - area.left), height: area.bottom - area.top });
    for (const time of data.equity.tests) made.add("path", { class: "window", d: path([[x(time), area.top], [x(time), area.bottom]]) });
    const line = (when, what) => path(when.map((time, i) => [x(time), what[i]]).filter(([, value]) => value !== null).map(([place, value]) => [place, y(value)]));
    made.add("path", { class: "inside", d: line(before, others) });
    made.add("path", { class: "outside", d: line(times, values) });
    const cursor = made.add("path", { class: "cursor", d: "" });
    equity.show = (i) => {
      equity.at = clamp(i, 0, times.length - 1);
      const time = times[equity.at];
      cursor.setAttribute("d", path([[x(time), area.top], [x(time), area.bottom]]));
      readout("equity-readout", [["", moment(time)], ["out of sample", figure(values[equity.at], "ratio")], ["in sample", figure(valueAt(before, others, time), "ratio")]]);
    };
    equity.near = (place) => nearest(times, across[0] + (place - area.left) / (area.right - area.left) * (across[1] - across[0]));
    equity.last = times.length - 1;
    equity.show(equity.at ?? equity.last);
    if (equity.at === equity.last) cursor.setAttribute("d", "");
  }

  function place(times, time) {
    let low = 0, high = times.length;
    while (low < high) { const middle = (low + high) >> 1; if (times[middle] <= time) low = middle + 1; else high = middle; }
    return low - 1;
  }
  const valueAt = (times, values, time) => values[Math.max(0, place(times, time))];
  function nearest(times, time) {
    const before = clamp(place(times, time), 0, times.length - 1), after = Math.min(before + 1, times.length - 1);
    return time - times[before] <= times[after] - time ? before : after;
  }

  function readout(id, parts) {
    element(id).replaceChildren(...parts.flatMap(([name, text]) => {
      const value = document.createElement("b");
      value.textContent = text;
      return [name ? name + " " : "", value, "  "];
    }));
  }

  /* The place of the pointer in the units of the drawing. */
  function pointer(box, event) {
    const svg = box.querySelector("svg");
    const seen = svg.getBoundingClientRect(), drawn = svg.viewBox.baseVal;
    return [(event.clientX - seen.left) / seen.width * drawn.width, (event.clientY - seen.top) / seen.height * drawn.height];
  }

  /* -- heat-map */
  const heat = { cell: null };
  function drawHeat() {
    const box = element("heat");
    if (!box) return;
    const one = Number(element("across").value), other = Number(element("down").value);
    const turned = one > other;
    const number = Number(element("metric").value), metric = data.heat.metrics[number];
    const pair = data.heat.pairs[turned ? `${other},${one}` : `${one},${other}`][number];
    const columns = data.axes[one].labels, rows = data.axes[other].labels;
    const index = (column, row) => (turned ? column * rows.length + row : row * columns.length + column);
    const shown = pair[element("shown").value];
    const [low, high] = range(shown);
    const warmth = (value) => { const part = high > low ? (value - low) / (high - low) : 0.5; return metric.largest ? part : 1 - part; };
    const left = 14 + 7 * Math.min(14, Math.max(...rows.map((text) => text.length), 3));
    const made = canvas(box, clamp(rows.length * 20, 180, 380) + 78);
    const area = { left, right: made.width - 10, top: 26, bottom: made.height - 52 };
    const wide = (area.right - area.left) / columns.length, tall = (area.bottom - area.top) / rows.length;
    const corner = (column, row) => ({ x: area.left + column * wide, y: area.bottom - (row + 1) * tall, width: wide, height: tall });
    for (let row = 0; row < rows.length; row += 1) {
      for (let column = 0; column < columns.length; column += 1) {
        const value = shown[index(column, row)];
        const cell = made.add("rect", { class: value === null ? "empty" : "cell", ...corner(column, row) });
        if (value !== null) cell.style.setProperty("--heat", warmth(value).toFixed(3));
      }
    }
    const most = Math.max(1, Math.floor((area.right - area.left) / 44));
    thin(columns, most).forEach((column) => made.add("text", { x: clamp(area.left + (column + 0.5) * wide, area.left + 8, area.right - 12), y: area.bottom + 16, "text-anchor": "middle" }, shortened(columns[column].split(" to ")[0], 8)));
    thin(rows, Math.floor((area.bottom - area.top) / 18)).forEach((row) => made.add("text", { x: area.left - 6, y: area.bottom - (row + 0.5) * tall + 4, "text-anchor": "end" }, shortened(rows[row], 14)));
    made.add("text", { class: "name", x: area.right, y: area.bottom + 34, "text-anchor": "end" }, data.names[one] + " \u2192");
    made.add("text", { class: "name", x: 8, y: 16 }, data.names[other] + " \u2191");
    legend(made, area, metric.largest ? [low, high] : [high, low], metric.unit);
    const chosen = [data.heat.chosen[one], data.heat.chosen[other]];
    if (chosen[0] !== null && chosen[1] !== null) {
      const at = corner(...chosen);
      made.add("rect", { class: "ring", x: at.x + 1.5, y: at.y + 1.5, width: Math.max(2, at.width - 3), height: Math.max(2, at.height - 3), rx: 3 });
    }
    const here = made.add("rect", { class: "here", width: 0, height: 0 });
    heat.show = (column, row, mark = true) => {
      heat.cell = [clamp(column, 0, columns.length - 1), clamp(row, 0, rows.length - 1)];
      if (mark) for (const [key, value] of Object.entries(corner(...heat.cell))) here.setAttribute(key, value);
      const i = index(...heat.cell);
      readout("heat-readout", [[data.names[one], columns[heat.cell[0]] || "\u2013"], [data.names[other], rows[heat.cell[1]] || "\u2013"],
        ["median", figure(pair.median[i], metric.unit)], ["best", figure(pair.best[i], metric.unit)], ["trials", String(pair.count[i])]]);
    };
    heat.near = ([x, y]) => [Math.floor((x - area.left) / wide), Math.floor((area.bottom - y) / tall)];
    heat.show(chosen[0] ?? 0, chosen[1] ?? 0, false);
    box.dataset.cells = String(columns.length * rows.length);
  }

  const thin = (labels, most) => {
    const step = Math.max(1, Math.ceil(labels.length / Math.max(1, most)));
    return labels.map((_, i) => i).filter((i) => i % step === 0);
  };

  function legend(made, area, [low, high], unit) {
    const y = made.height - 14, texts = [low, high].map((value) => figure(Number.isFinite(value) ? value : null, unit));
    made.add("text", { x: area.left, y: y + 9 }, texts[0]);
    const start = area.left + texts[0].length * 7 + 8;
    for (let i = 0; i < 24; i += 1) made.add("rect", { class: "cell", x: start + i * 4, y, width: 4.5, height: 10 }).style.setProperty("--heat", (i / 23).toFixed(3));
    made.add("text", { x: start + 104, y: y + 9 }, texts[1]);
  }

  /* -- parallel coordinates */
  function drawLines() {
    const box = element("lines");
    if (!box) return;
    const share = Number(element("highlight").value);
    const made = canvas(box, 330), names = [...data.names, data.label];
    const area = { left: 44, right: made.width - 58, top: 34, bottom: 304 };
    const x = (i) => area.left + i / (names.length - 1) * (area.right - area.left);
    const y = (part) => area.bottom - part * (area.bottom - area.top);
    const [low, high] = range(data.lines.map(([, value]) => value));
    const at = (value) => (high > low ? (value - low) / (high - low) : 0.5);
    data.lines.forEach(([rank, value, places], i) => {
      const kind = i === data.lines.length - 1 ? " top" : rank >= 1 - share ? " high" : "";
      made.add("path", { class: "trial" + kind, d: path([...places.map((part, k) => [x(k), y(part)]), [x(names.length - 1), y(at(value))]]) });
    });
    const room = Math.floor((area.right - area.left) / (names.length - 1) / 8);
    names.forEach((name, i) => {
      const last = i === names.length - 1;
      made.add("path", { class: "zero", d: path([[x(i), area.top], [x(i), area.bottom]]) });
      made.add("text", { class: "name", x: x(i), y: 20, "text-anchor": i === 0 ? "start" : last ? "end" : "middle", dx: i === 0 ? -36 : last ? 50 : 0 }, shortened(name, Math.max(6, room)));
      const marks = last ? [[0, figure(low)], [1, figure(high)]] : data.axes[i].ticks;
      for (const [part, text] of marks) {
        made.add("text", { x: last ? x(i) + 6 : x(i) - 6, y: y(part) + 4, class: "on", "text-anchor": last ? "start" : "end" }, shortened(text, last ? 9 : i ? Math.max(4, room - 2) : 6));
      }
    });
    box.dataset.lines = String(data.lines.length);
  }

  /* -- trial history */
  function drawHistory() {
    const box = element("history"), { points, best, low, high, last } = data.history;
    if (low === null) return;
    const made = plot(box, 240, [-0.5, last + 0.5], padded([low, high]), { unitX: "count", titleX: "trial", titleY: data.label });
    const inside = (value) => made.y(clamp(value, ...padded([low, high])));
    made.add("path", { class: "dots", d: dots(points[0].map((number, i) => [made.x(number), inside(points[1][i])])) });
    const steps = [];
    best[0].forEach((number, i) => { if (i) steps.push([made.x(number), inside(best[1][i - 1])]); steps.push([made.x(number), inside(best[1][i])]); });
    steps.push([made.x(last), inside(best[1][best[1].length - 1])]);
    made.add("path", { class: "best", d: path(steps) });
  }

  /* -- two objectives */
  function drawFront() {
    const box = element("front");
    if (!box || !data.front) return;
    const { names, units: kinds, points, front } = data.front;
    const made = plot(box, 300, padded(range([...points[0], ...front[0]])), padded(range([...points[1], ...front[1]])), { unitX: kinds[0], unitY: kinds[1], titleX: names[0], titleY: names[1] });
    const pairs = (columns) => columns[0].map((value, i) => [made.x(value), made.y(columns[1][i])]);
    made.add("path", { class: "dots", d: dots(pairs(points)) });
    made.add("path", { class: "dots marked", d: dots(pairs(front)) });
  }

  /* -- drift */
  function drawDrift() {
    data.drift.forEach(({ ticks: marks, points }, i) => {
      const made = canvas(element(`drift-${i}`), 150);
      const left = 14 + 7 * Math.min(12, Math.max(...marks.map(([, text]) => text.length), 2));
      const area = { left, right: made.width - 18, top: 22, bottom: 124 };
      const x = (k) => (points.length > 1 ? area.left + 10 + k / (points.length - 1) * (area.right - area.left - 10) : (area.left + area.right) / 2);
      const y = (part) => area.bottom - part * (area.bottom - area.top);
      for (const [part, text] of marks) {
        made.add("path", { class: "grid", d: path([[area.left, y(part)], [area.right, y(part)]]) });
        made.add("text", { x: area.left - 6, y: y(part) + 4, "text-anchor": "end" }, shortened(text, 12));
      }
      const known = points.map(([part, text, brief], k) => [part, text, brief, k]).filter(([part]) => part !== null);
      made.add("path", { class: "step", d: path(known.map(([part, , , k]) => [x(k), y(part)])) });
      for (const [part, text, brief, k] of known) {
        const dot = made.add("circle", { class: "chosen", cx: x(k), cy: y(part), r: 4 });
        dot.append(node("title", {}, `window ${k + 1}: ${text}`));
        if (points.length <= 16) made.add("text", { x: x(k), y: y(part) - 8, "text-anchor": "middle" }, shortened(brief, Math.max(4, Math.floor((area.right - area.left) / points.length / 7))));
      }
      thin(points, Math.floor(made.width / 24)).forEach((k) => made.add("text", { x: x(k), y: 144, "text-anchor": "middle" }, String(k + 1)));
    });
  }

  /* -- overfitting */
  function drawLogits() {
    const box = element("logits");
    if (!box) return;
    const { edges, counts } = data.overfitting.logits;
    const made = plot(box, 280, [edges[0], edges[edges.length - 1]], [0, Math.max(...counts) * 1.06 || 1], { unitX: "ratio", unitY: "count" });
    counts.forEach((count, i) => {
      const left = made.x(edges[i]), right = made.x(edges[i + 1]);
      made.add("rect", { class: edges[i + 1] <= 1e-12 ? "under" : "over", x: left, y: made.y(count), width: Math.max(0.5, right - left - 0.6), height: made.area.bottom - made.y(count) });
    });
    if (edges[0] < 0 && edges[edges.length - 1] > 0) made.add("path", { class: "zero", d: path([[made.x(0), made.area.top], [made.x(0), made.area.bottom]]) });
  }

  function drawSplits() {
    const box = element("splits");
    if (!box) return;
    const { in_sample: inside, out_of_sample: outside, degradation, intercept } = data.overfitting;
    const across = padded(range(inside)), up = padded(range([...outside, 0]));
    const made = plot(box, 280, across, up, { unitX: "ratio", unitY: "ratio", titleX: "in sample", titleY: "out of sample" });
    const line = (slope, start) => {
      /* Only the part within the plot. */
      const ends = [across[0], across[1], ...(slope ? [(up[0] - start) / slope, (up[1] - start) / slope] : [])]
        .filter((value) => value >= across[0] - 1e-9 && value <= across[1] + 1e-9 && start + slope * value >= up[0] - 1e-9 && start + slope * value <= up[1] + 1e-9)
        .sort((a, b) => a - b);
      return ends.length > 1 ? path([ends[0], ends[ends.length - 1]].map((value) => [made.x(value), made.y(start + slope * value)])) : "";
    };
    made.add("path", { class: "zero", d: line(0, 0) });
    made.add("path", { class: "equal", d: line(1, 0) });
    made.add("path", { class: "dots", d: dots(inside.map((value, i) => [made.x(value), made.y(outside[i])])) });
    if (degradation !== null && intercept !== null) made.add("path", { class: "best", d: line(degradation, intercept) });
  }

  const drawings = [drawEquity, drawHeat, drawLines, drawHistory, drawFront, drawDrift, drawLogits, drawSplits];
  const draw = () => drawings.forEach((each) => each());

  function listen() {
    const box = element("equity");
    box.addEventListener("pointermove", (event) => equity.show && equity.show(equity.near(pointer(box, event)[0])));
    box.addEventListener("keydown", (event) => {
      const far = event.shiftKey ? 20 : 1;
      const move = { ArrowLeft: -far, ArrowRight: far, Home: -Infinity, End: Infinity }[event.key];
      if (move && equity.show) { equity.show(equity.at + move); event.preventDefault(); }
    });
    const map = element("heat");
    if (!map) return;
    map.addEventListener("pointermove", (event) => heat.show(...heat.near(pointer(map, event))));
    map.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (move) { heat.show(heat.cell[0] + move[0], heat.cell[1] + move[1]); event.preventDefault(); }
    });
    const [across, down] = [element("across"), element("down")];
    [across.value, down.value] = data.heat.first;
    /* Two different parameters: choosing the other one's swaps them. */
    let last = [across.value, down.value];
    const changed = (mine, theirs, place) => () => {
      if (mine.value === theirs.value) theirs.value = last[place];
      last = [across.value, down.value];
      drawHeat();
    };
    across.addEventListener("change", changed(across, down, 0));
    down.addEventListener("change", changed(down, across, 1));
    ["metric", "shown"].forEach((name) => element(name).addEventListener("change", drawHeat));
    element("highlight").addEventListener("change", drawLines);
  }

  listen();
  draw();
  let width = document.body.clientWidth;
  window.addEventListener("resize", () => {
    if (document.body.clientWidth !== width) { width = document.body.clientWidth; draw(); }
  });
  /* Paper has white for its ground, whatever the screen has. */
  const paper = (on) => () => document.documentElement.classList.toggle("on-paper", on);
  window.addEventListener("beforeprint", paper(true));
  window.addEventListener("afterprint", paper(false));
})();
