"use strict";
// Puts the page together. `Page` is used by the scripts before, once they run.
const Page = {
  // without what is not seen or turns the order of letters
  visible: text => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "\ufffd"),
  add(parent, tag, text, kind) {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = Page.visible(String(text));
    if (kind) node.className = kind;
    parent.append(node);
    return node;
  },
  table(place, head, rows) {
    const table = document.createElement("table"), top = Page.add(table, "tr");
    for (const name of head) Page.add(top, "th", name);
    for (const cells of rows) {
      const row = Page.add(table, "tr");
      for (const cell of cells) Page.add(row, "td", cell);
    }
    place.replaceChildren(table);
  },
};

(() => {
  const at = id => document.getElementById(id), hidden = new Set(), EVERY = 3000;
  let data;

  function legend() {
    at("legend").replaceChildren();
    for (const run of data.runs) {
      const label = Page.add(at("legend"), "label"), box = Page.add(label, "input");
      box.type = "checkbox";
      box.checked = !hidden.has(run.name);
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(run.name); else hidden.add(run.name);
        Charts.draw(data, hidden);
      });
      Page.add(label, "span", undefined, run.control ? "swatch control" : "swatch").style.borderTopColor = run.colour;
      Page.add(label, "span", run.name + (run.control ? " (control)" : ""));
    }
  }

  function alarms() {
    at("alarms").hidden = data.alarms.length === 0;
    Page.table(at("alarms").querySelector(".scroll"), ["run", "step", "what happened", "since step", "rule", "figures", "action"],
      data.alarms.map(a => [data.runs[a.run].name, a.step, a.words, a.since ?? "", a.rule, a.figures, a.action]));
  }

  function ends() {
    at("ends").hidden = data.ends.rows.length === 0;
    Page.table(at("ends").querySelector(".scroll"), data.ends.head, data.ends.rows);
    at("unpaired").textContent = data.paired.rows.length ? "In points, of runs with the same seed." : data.paired.none;
    if (data.paired.rows.length) Page.table(at("paired"), data.paired.head, data.paired.rows);
    else at("paired").replaceChildren();
  }

  function grids() {
    const choice = at("gridrun"), before = choice.value;
    at("grids").hidden = data.grids.length === 0;
    choice.replaceChildren();
    for (const grid of data.grids) Page.add(choice, "option", data.runs[grid.run].name).value = grid.run;
    if (data.grids.some(grid => String(grid.run) === before)) choice.value = before;
    grid();
  }

  function grid() {
    const found = data.grids.find(g => String(g.run) === at("gridrun").value);
    if (!found) return;
    at("gridnote").textContent = found.note;
    at("gridnote").hidden = !found.note;
    Charts.grid(at("grid"), found);
  }

  function about() {
    const place = at("about"), open = new Set([...place.querySelectorAll("details[open]")].map(d => d.dataset.run));
    for (const old of place.querySelectorAll("details")) old.remove();
    for (const run of data.runs) {
      const box = Page.add(place, "details");
      box.dataset.run = run.name;
      box.open = open.has(run.name) || data.runs.length === 1;
      const facts = run.facts, cost = [facts.tokens && `${facts.tokens} tokens`, facts["seconds in steps"] && `${facts["seconds in steps"]} s`];
      Page.add(box, "summary", [run.name + (run.control ? " (control)" : ""), run.rewards, `${facts.steps} steps`, ...cost].filter(Boolean).join(" · "));
      const inside = Page.add(box, "div", undefined, "scroll");
      Page.table(inside, ["", ""], Object.entries(facts));
      if (run.recipe) Page.add(box, "pre", run.recipe);
    }
  }

  function show(newest) {
    data = newest;
    at("made").textContent = `made ${data.made}`;
    legend();
    alarms();
    Charts.draw(data, hidden);
    ends();
    grids();
    Table.update(data.completions, data.runs);
    about();
  }

  at("gridrun").addEventListener("change", grid);
  Charts.STATES.forEach((words, i) => {
    const key = Page.add(at("gridkeys"), "span");
    Page.add(key, "span", undefined, "box").style.background = `var(${Charts.COLOURS[i]})`;
    key.append(words);
  });
  show(JSON.parse(at("data").textContent));

  async function ask(tag) {
    let newest = tag;
    try {
      const answer = await fetch("./data.json", { headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.status === 200) {
        show(await answer.json());
        newest = answer.headers.get("ETag");
      }
    } catch { at("made").textContent = `made ${data.made}; the server has ended`; }
    setTimeout(() => ask(newest), EVERY);
  }
  if (document.body.dataset.live === "yes") setTimeout(() => ask(null), EVERY);
})();
