"use strict";
// Charts of the page. Words of models and runs reach Plotly only through plain(), which leaves no markup in them.
const Charts = (() => {
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displaylogo: false, responsive: true, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]] };
  const MOST_BANDS = 3;  // more hide the curves
  const plots = new Map();  // element → what draws it anew

  function plain(text, width = 70) {
    const lines = [];
    for (const line of Page.visible(String(text)).split("\n"))
      for (let i = 0; i === 0 || i < line.length; i += width) lines.push(line.slice(i, i + width));
    return lines.slice(0, 12).join("\n").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
      .replace(/%\{/g, "%\u200b{").replace(/\n/g, "<br>");
  }

  function layout(more) {
    const axis = { gridcolor: css("--grid"), linecolor: css("--line"), zeroline: false, color: css("--faint") };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, uirevision: "kept", hovermode: "closest",
      font: { color: css("--ink"), family: "system-ui, sans-serif", size: 12 }, margin: { l: 48, r: 14, t: 8, b: 36 },
      hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--faint"), activecolor: css("--ink") },
      xaxis: { ...axis, title: { text: "step", standoff: 4 } }, yaxis: axis,
    };
    for (const [name, value] of Object.entries(more)) base[name] = Array.isArray(value) ? value : { ...base[name], ...value };
    return base;
  }

  function put(element, draw) {
    plots.set(element, draw);
    const [traces, more] = draw();
    return Plotly.react(element, traces, layout(more), config);
  }

  const faded = colour => colour + "26";

  const levelWords = (level, data) => (level.run === null ? "" : data.runs[level.run].name + ": ") + level.words;

  function notes(chart, data, hidden) {
    const seen = chart.levels.filter(l => l.run === null || !hidden.has(data.runs[l.run].name));
    return seen.map(level => ({
      xref: "paper", x: 1, xanchor: "right", y: level.value, yanchor: "bottom", showarrow: false, align: "right",
      text: plain(levelWords(level, data), 200), font: { color: css("--ink"), size: 11 }, bgcolor: css("--card") + "c0",
    }));
  }

  function traces(chart, data, hidden) {
    const found = [], seen = i => i === null || !hidden.has(data.runs[i].name);
    const line = (run, dash) => ({ color: run.colour, width: 2, dash: dash || (run.control ? "dash" : "solid") });
    const steps = [...chart.curves, ...chart.beside].flatMap(c => c.x);
    const span = [steps.reduce((a, b) => Math.min(a, b)), steps.reduce((a, b) => Math.max(a, b))];
    const curves = chart.curves.filter(c => seen(c.run));
    for (const curve of curves) {
      const run = data.runs[curve.run], band = curve.band;
      if (band.x.length && curves.length <= MOST_BANDS) found.push({
        type: "scatter", x: [...band.x, ...[...band.x].reverse()], y: [...band.high, ...[...band.low].reverse()],
        fill: "toself", fillcolor: faded(run.colour), line: { width: 0 }, mode: "lines", hoverinfo: "skip",
      });
      found.push({
        type: "scatter", x: curve.x, y: curve.y, mode: curve.x.length < 40 ? "lines+markers" : "lines", line: line(run),
        marker: { size: 5, color: run.colour }, text: curve.x.map(() => plain(run.name)),
        hovertemplate: "%{text}<br>step %{x}: %{y}<extra></extra>",
      });
    }
    for (const curve of chart.beside.filter(c => seen(c.run))) {
      const run = data.runs[curve.run];
      found.push({
        type: "scatter", x: curve.x, y: curve.y, yaxis: "y2", mode: "lines", line: { ...line(run, "dot"), width: 1.5 },
        text: curve.x.map(() => plain(run.name)), hovertemplate: "%{text}, reward<br>step %{x}: %{y}<extra></extra>",
      });
    }
    for (const level of chart.levels.filter(l => seen(l.run))) {
      found.push({
        type: "scatter", x: span, y: [level.value, level.value], mode: "lines",
        line: { color: level.run === null ? css("--ink") : data.runs[level.run].colour, width: 1.5, dash: "dash" },
        hovertemplate: `${plain(levelWords(level, data))}: %{y}<extra></extra>`,
      });
    }
    for (const alarm of data.alarms.filter(a => seen(a.run))) {
      const run = data.runs[alarm.run], words = plain(`${run.name}, step ${alarm.step}: ${alarm.words}`);
      found.push({
        type: "scatter", x: Array(9).fill(alarm.step), y: [0, 1, 2, 3, 4, 5, 6, 7, 8].map(i => i / 8), yaxis: "y3",
        mode: "lines+markers", line: { color: run.colour, width: 1.5, dash: "dashdot" }, name: "alarm",
        marker: { size: [...Array(8).fill(1), 9], symbol: "triangle-down", color: run.colour },
        text: Array(9).fill(words), hovertemplate: "%{text}<extra></extra>",
      });
    }
    return found;
  }

  function draw(data, hidden) {
    const place = document.getElementById("charts");
    const kept = new Set(data.charts.map(chart => chart.key));
    for (const box of [...place.children]) if (!kept.has(box.dataset.key)) {
      plots.delete(box.querySelector(".plot"));
      box.remove();
    }
    for (const chart of data.charts) {
      let box = [...place.children].find(child => child.dataset.key === chart.key);
      if (!box) {
        box = Page.add(place, "div", undefined, "chart" + (/^(accuracy|reward)/.test(chart.key) ? " wide" : ""));
        box.dataset.key = chart.key;
        Page.add(box, "h3", chart.title);
        Page.add(box, "p", chart.note, "faint");
        Page.add(box, "div", undefined, "plot");
      }
      const over = { overlaying: "y", showgrid: false, zeroline: false, tickmode: "auto" };
      const more = () => ({
        yaxis: chart.share ? { range: [-0.03, 1.05] } : {},
        yaxis2: chart.beside.length ? { ...over, side: "right", color: css("--faint"), title: { text: "reward (dotted)" } } : { ...over, visible: false },
        yaxis3: { ...over, visible: false, range: [0, 1.02], fixedrange: true },
        margin: chart.beside.length ? { r: 60 } : {},
      });
      put(box.querySelector(".plot"), () => [traces(chart, data, hidden), { ...more(), annotations: notes(chart, data, hidden) }]);
    }
  }

  const STATES = ["first label, or none before", "as before", "flipped", "no label"];
  const COLOURS = ["--new", "--same", "--flipped", "--none"];

  function grid(element, history) {
    const wide = Math.max(...history.rows.map(row => row.length)), places = [0, 1, 2, 3];
    const filled = fill => history.rows.map(row => Array.from({ length: wide }, (_, i) => i < row.length ? fill(row[i]) : null));
    const said = ([state, step, label, right, ratio, reward]) => plain(
      `step ${step}: ${STATES[state]}\nlabel: ${label ?? "none"}` +
      (right === null ? "" : right ? ", right" : ", wrong") +
      (ratio === null ? "" : `\nmajority ratio ${ratio}`) + (reward === null ? "" : `\nmean reward ${reward}`));
    element.style.height = `${Math.min(90 + 14 * history.rows.length, 700)}px`;
    element.style.maxWidth = `${100 + 70 * wide}px`;  // few visits make no bars across the page
    put(element, () => {
      const steps = places.flatMap(i => [[i / 4, css(COLOURS[i])], [(i + 1) / 4, css(COLOURS[i])]]);
      const text = filled(said), z = filled(visit => visit[0]);
      return [[{
        type: "heatmap", z, text, hoverinfo: "text", colorscale: steps, zmin: -0.5, zmax: 3.5, showscale: false,
        x: Array.from({ length: wide }, (_, i) => i + 1), xgap: wide < 150 ? 1 : 0, ygap: history.rows.length < 60 ? 1 : 0,
      }], {
        xaxis: { title: { text: "visit" }, dtick: wide < 20 ? 1 : undefined, showgrid: false },
        yaxis: { autorange: "reversed", title: { text: "prompt, most visited first" }, showgrid: false, showticklabels: false },
        margin: { l: 30 },
      }];
    });
  }

  dark.addEventListener("change", () => { for (const [element, drawing] of plots) put(element, drawing); });
  return { draw, grid, STATES, COLOURS };
})();
