"use strict";
// The table of completions: only the rows in sight are in the page. Texts are set by textContent alone.
const Table = (() => {
  const HEIGHT = 28, SPARE = 10;
  const COLUMNS = ["step", "run", "prompt", "completion", "key", "label", "reward", "advantage"];
  const NUMBERS = new Set(["step", "reward", "advantage"]);
  const at = id => document.getElementById(id);
  let data = null, runs = [], order = [], hay = null, sorted = { column: null, down: false }, chosen = null;

  const value = (column, i) => column === "run" ? runs[data.run[i]].name
    : column === "prompt" ? data.prompts[data.prompt[i]] : data[column][i];

  function number(text) {
    return text === null ? "" : String(Math.round(text * 1e4) / 1e4);
  }

  function found() {
    const words = at("words").value.trim().toLowerCase();
    const all = Array.from(data.step, (_, i) => i);
    if (!words) return all;
    hay ??= all.map(i => ["run", "prompt", "completion", "key", "label"].map(c => value(c, i) ?? "").join("\n").toLowerCase());
    return all.filter(i => hay[i].includes(words));
  }

  function arrange() {
    order = found();
    const { column, down } = sorted, sign = down ? -1 : 1;
    if (column !== null) {
      const values = order.map(i => value(column, i)), places = order.map((_, k) => k);
      const compare = NUMBERS.has(column) ? (a, b) => a - b : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
      places.sort((a, b) => values[a] === null || values[b] === null  // what is not known stands last, either way
        ? (values[a] === null) - (values[b] === null) : sign * compare(values[a], values[b]));
      order = places.map(k => order[k]);
    }
    at("count").textContent = `${order.length.toLocaleString("en")} of ${data.step.length.toLocaleString("en")} rows`;
    at("rows").style.height = `${order.length * HEIGHT}px`;
    for (const button of at("head").children)
      button.textContent = button.dataset.column + (button.dataset.column === column ? (down ? " ▼" : " ▲") : "");
    show();
  }

  function show() {
    const box = at("scroller"), first = Math.max(Math.floor(box.scrollTop / HEIGHT) - SPARE, 0);
    const last = Math.min(Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + SPARE, order.length);
    const rows = [];
    for (let place = first; place < last; place++) {
      const i = order[place], row = document.createElement("div");
      row.className = i === chosen ? "row chosen" : "row";
      row.style.top = `${place * HEIGHT}px`;
      row.tabIndex = 0;
      row.dataset.place = i;
      for (const column of COLUMNS) {
        const text = value(column, i);
        Page.add(row, "span", NUMBERS.has(column) ? number(text) : (text ?? "–").slice(0, 300));
      }
      rows.push(row);
    }
    at("rows").replaceChildren(...rows);
  }

  function choose(event) {
    const row = event.target.closest("#rows .row");
    if (!row || (event.type === "keydown" && event.key !== "Enter")) return;
    chosen = Number(row.dataset.place);
    for (const other of at("rows").children) other.classList.toggle("chosen", other === row);
    detail();
  }

  function detail() {
    const box = at("chosen");
    box.replaceChildren();
    if (chosen === null) return;
    const facts = ["step", "run", "key", "label", "reward", "advantage"].map(c => `${c} ${value(c, chosen) ?? "–"}`);
    Page.add(box, "p", facts.join(" · "), "faint");
    for (const place of data.shown_pictures[chosen] ?? [])
      if (data.pictures[place].startsWith("data:image/png;base64,")) Page.add(box, "img").src = data.pictures[place];
    for (const column of ["prompt", "completion"]) {
      Page.add(box, "h3", column);
      Page.add(box, "pre", value(column, chosen));
    }
  }

  function start() {
    for (const column of COLUMNS) {
      const button = Page.add(at("head"), "button", column);
      button.dataset.column = column;
      button.addEventListener("click", () => {
        sorted = { column, down: sorted.column === column && !sorted.down };
        arrange();
      });
    }
    let waiting = 0;
    at("words").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { at("scroller").scrollTop = 0; arrange(); }, 150);
    });
    at("scroller").addEventListener("scroll", show);
    at("rows").addEventListener("click", choose);
    at("rows").addEventListener("keydown", choose);
  }

  function update(completions, allRuns) {
    if (data === null) start();
    [data, runs, hay, chosen] = [completions, allRuns, null, null];
    at("completions").hidden = data.step.length === 0;
    at("tablenote").textContent = data.note;
    arrange();
  }

  return { update };
})();
