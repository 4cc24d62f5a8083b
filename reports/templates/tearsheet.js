"use strict";
/* Draws the charts from the page's own data and makes the trades table sortable. Loads nothing. */
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const library = window.LightweightCharts;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const written = (options) => {
    const numbers = new Intl.NumberFormat("en-US", options);
    return { format: (value) => numbers.format(value).replace("-", "\u2212") };
  };
  const plain = (digits) => written({ minimumFractionDigits: digits, maximumFractionDigits: digits });
  const money = plain(0), percent = plain(1), size = written({ maximumFractionDigits: 8 });
  const panes = [];
  let current = 0;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const moment = (seconds) => {
    const text = new Date(seconds * 1000).toISOString();
    return data.intraday ? text.slice(0, 16).replace("T", " ") : text.slice(0, 10);
  };
  const points = (values) => data.times.map((time, i) => (values[i] === null ? { time } : { time, value: values[i] }));

  const colours = () => ({
    layout: { background: { color: colour("paper") }, textColor: colour("muted") },
    grid: { vertLines: { color: colour("line") }, horzLines: { color: colour("line") } },
    rightPriceScale: { borderColor: colour("line") },
    timeScale: { borderColor: colour("line") },
  });

  const behaviour = () => ({
    layout: { fontSize: 12, fontFamily: getComputedStyle(document.body).fontFamily },
    rightPriceScale: { minimumWidth: 76, scaleMargins: { top: 0.1, bottom: 0.08 } },
    timeScale: { timeVisible: data.intraday, secondsVisible: false, minBarSpacing: 0.01, rightOffset: 2 },
    crosshair: { mode: library.CrosshairMode.Normal },
    localization: { locale: "en-GB", timeFormatter: moment },
    handleScroll: { mouseWheel: false, vertTouchDrag: false },
    handleScale: { mouseWheel: false },
    autoSize: true,
  });

  function pane(id, add, paint) {
    const box = document.getElementById(id);
    if (!box) return null;
    const chart = library.createChart(box, behaviour());
    chart.applyOptions(colours());
    const made = { id, box, chart, series: add(chart), paint };
    made.series.applyOptions(paint());
    panes.push(made);
    return made;
  }

  const candleColours = () => ({
    upColor: colour("rise"), downColor: colour("fall"), borderVisible: false,
    wickUpColor: colour("rise"), wickDownColor: colour("fall"),
  });

  function decimals(values) {
    const top = Math.max(...values.map((value) => Math.abs(value || 0)), 1e-9);
    return top >= 10 ? 2 : Math.min(8, 4 - Math.floor(Math.log10(top)));
  }

  function markers(symbol) {
    return symbol.markers.map(([group, units, , opens]) => ({
      time: data.times[group],
      position: units > 0 ? "belowBar" : "aboveBar",
      shape: units > 0 ? "arrowUp" : "arrowDown",
      color: colour(opens ? "accent" : "closes"),
    }));
  }

  function showSymbol(price) {
    const symbol = data.symbols[current];
    const digits = decimals(symbol.close);
    price.series.applyOptions({ priceFormat: { type: "custom", minMove: 10 ** -digits, formatter: plain(digits).format } });
    price.series.setData(data.times.map((time, i) => (symbol.close[i] === null ? { time } : {
      time, open: symbol.open[i], high: symbol.high[i], low: symbol.low[i], close: symbol.close[i],
    })));
    price.series.setMarkers(markers(symbol));
    price.box.dataset.markers = String(price.series.markers().length);
  }

  function readout(i) {
    const parts = [["", moment(data.times[i])]];
    const symbol = data.symbols[current];
    if (symbol && symbol.close[i] !== null) {
      const format = plain(decimals(symbol.close)).format;
      for (const [name, key] of [["O", "open"], ["H", "high"], ["L", "low"], ["C", "close"]]) parts.push([name, format(symbol[key][i])]);
    }
    if (data.equity[i] !== null) parts.push(["equity", money.format(data.equity[i])]);
    if (data.held.length && data.held[i] !== null) parts.push(["held", money.format(data.held[i])]);
    if (data.drawdown[i] !== null) parts.push(["drawdown", percent.format(data.drawdown[i] * 100) + "%"]);
    for (const [group, units, price] of symbol ? symbol.markers : []) {
      if (group === i) parts.push([units > 0 ? "bought" : "sold", size.format(Math.abs(units)) + " at " + size.format(price)]);
    }
    const line = document.getElementById("readout");
    line.replaceChildren(...parts.flatMap(([name, text]) => {
      const value = document.createElement("b");
      value.textContent = text;
      return [name ? name + " " : "", value, "  "];
    }));
  }

  function link() {
    let busy = false;
    const alone = (act) => { if (!busy) { busy = true; try { act(); } finally { busy = false; } } };
    /* A chart reports a change later, when it draws: without this, charts would answer each other for ever. */
    const shows = (other, range) => {
      const shown = other.chart.timeScale().getVisibleLogicalRange();
      return shown && Math.abs(shown.from - range.from) + Math.abs(shown.to - range.to) < 0.01;
    };
    const placeOf = new Map(data.times.map((time, i) => [time, i]));
    for (const made of panes) {
      made.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => range && alone(() => {
        for (const other of panes) if (other !== made && !shows(other, range)) other.chart.timeScale().setVisibleLogicalRange(range);
      }));
      made.chart.subscribeCrosshairMove((event) => alone(() => {
        const i = placeOf.get(event.time);
        if (i === undefined) { for (const other of panes) if (other !== made) other.chart.clearCrosshairPosition(); return; }
        readout(i);
        const at = { price: data.symbols[current] && data.symbols[current].close[i], equity: data.equity[i], drawdown: data.drawdown[i] };
        for (const other of panes) {
          if (other === made) continue;
          if (at[other.id] === null) other.chart.clearCrosshairPosition();
          else other.chart.setCrosshairPosition(at[other.id], event.time, other.series);
        }
      }));
      made.box.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: [-0.1, -0.1], ArrowRight: [0.1, 0.1], "+": [0.1, -0.1], "-": [-0.1, 0.1] }[event.key];
        if (move) { shift(move); event.preventDefault(); }
      });
    }
  }

  /* Move both ends of the visible period by fractions of its length. */
  function shift([from, to]) {
    const scale = panes[0].chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const length = range.to - range.from;
    if (length + (to - from) * length < 5) return;
    scale.setVisibleLogicalRange({ from: range.from + from * length, to: range.to + to * length });
  }

  function showLast(seconds) {
    const n = data.times.length, end = data.times[n - 1];
    const first = seconds ? data.times.findIndex((time) => time >= end - seconds) : 0;
    panes[0].chart.timeScale().setVisibleLogicalRange({ from: first - 0.5, to: n - 0.5 + Math.max(1, (n - first) * 0.01) });
  }

  function controls() {
    const day = 86400, length = data.times[data.times.length - 1] - data.times[0];
    const spans = [["All", "whole period", 0], ["3Y", "last 3 years", 1096 * day], ["1Y", "last year", 366 * day], ["3M", "last 3 months", 92 * day],
      ["1M", "last month", 31 * day], ["1W", "last week", 7 * day], ["1D", "last day", day]]
      .filter(([, , span], i) => i === 0 || (span < length && length / span < 60)).slice(0, 5);
    const actions = spans.map(([name, what, span]) => [name, "Show the " + what, () => showLast(span)]);
    actions.push(["−", "Zoom out", () => shift([-0.25, 0.25])], ["+", "Zoom in", () => shift([0.2, -0.2])]);
    document.getElementById("ranges").append(...actions.map(([name, title, act]) => {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = name; button.title = title;
      button.setAttribute("aria-label", title);
      button.addEventListener("click", act);
      return button;
    }));
  }

  function repaint(price) {
    for (const made of panes) { made.chart.applyOptions(colours()); made.series.applyOptions(made.paint()); if (made.held) made.held.applyOptions({ color: colour("muted") }); }
    if (price) price.series.setMarkers(markers(data.symbols[current]));
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const key = (row, i) => {
      const cell = row.cells[i];
      return cell.dataset.key === undefined ? cell.textContent : cell.dataset.key === "nan" ? -Infinity : Number(cell.dataset.key);
    };
    heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = key(a, i), y = key(b, i);
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      });
      table.tBodies[0].append(...rows);
    }));
  }

  function start() {
    const price = pane("price", (chart) => chart.addCandlestickSeries({ priceLineVisible: false }), candleColours);
    if (price) showSymbol(price);
    const equity = pane("equity", (chart) => chart.addLineSeries({ lineWidth: 2, priceLineVisible: false,
      priceFormat: { type: "custom", minMove: 1, formatter: money.format } }), () => ({ color: colour("accent") }));
    equity.series.setData(points(data.equity));
    if (data.held.length) {
      equity.held = equity.chart.addLineSeries({ lineWidth: 1, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false,
        color: colour("muted"), priceFormat: { type: "custom", minMove: 1, formatter: money.format } });
      equity.held.setData(points(data.held));
    }
    const drawdown = pane("drawdown", (chart) => chart.addBaselineSeries({ lineWidth: 2, priceLineVisible: false, baseValue: { type: "price", price: 0 },
      priceFormat: { type: "custom", minMove: 0.0001, formatter: (value) => percent.format(value * 100) + "%" } }),
      () => ({ topLineColor: colour("loss"), bottomLineColor: colour("loss"), topFillColor1: "transparent", topFillColor2: "transparent",
        bottomFillColor1: "rgba(200, 70, 60, 0.25)", bottomFillColor2: "rgba(200, 70, 60, 0.25)" }));
    drawdown.series.setData(points(data.drawdown));
    link();
    controls();
    showLast(0);
    readout(data.times.length - 1);
    const select = document.getElementById("symbol");
    if (select) select.addEventListener("change", () => { current = Number(select.value); showSymbol(price); });
    dark.addEventListener("change", () => repaint(price));
    /* Paper has its own colours and width: print pictures of the charts. */
    const paper = (on) => { document.documentElement.classList.toggle("on-paper", on); repaint(price); };
    window.addEventListener("beforeprint", () => {
      paper(true);
      for (const made of panes) {
        const picture = made.chart.takeScreenshot();
        picture.className = "printed";
        made.box.append(picture);
      }
    });
    window.addEventListener("afterprint", () => {
      document.querySelectorAll("canvas.printed").forEach((picture) => picture.remove());
      paper(false);
    });
    window.tearsheet = { panes };
  }

  const table = document.getElementById("trades");
  if (table) sortable(table);
  if (data.times.length) start();
})();
