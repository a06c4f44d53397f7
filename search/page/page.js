"use strict";
// Charts, the choice of a prompt, and the table of rows. Data is only ever put down as text.
const read = (id) => JSON.parse(document.getElementById(id).textContent);

const charts = read("charts-data");
for (const place of document.querySelectorAll("[data-chart]")) {
  const spec = charts[place.dataset.chart];
  if (!spec) continue;
  // `ast`: expressions are interpreted, so that the page may forbid making code of text.
  vegaEmbed(place, spec, { actions: false, ast: true, renderer: "svg" }).catch((error) => {
    place.textContent = `The chart cannot be drawn here: ${error.message}`;
  });
}

const choose = document.getElementById("choose");
if (choose) {
  const panels = [...document.querySelectorAll(".panel")];
  const show = () => {
    for (const panel of panels) {
      panel.hidden = panel.id !== choose.value;
      panel.open = !panel.hidden;
    }
  };
  choose.parentElement.hidden = false;
  choose.addEventListener("change", show);
  show();
}

const table = document.querySelector("#rows tbody");
if (table) {
  const rows = read("rows-data");
  const page = 50;
  const change = document.getElementById("change");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const previous = document.getElementById("previous");
  const next = document.getElementById("next");
  let first = 0;
  let found = rows;

  const cell = (text) => {
    const made = document.createElement("td");
    made.textContent = text;
    return made;
  };
  const textCell = (pairs) => {
    const made = document.createElement("td");
    made.className = "text";
    made.dir = "auto";
    pairs.forEach(([name, text], i) => {
      if (i) made.append(document.createElement("br"));
      if (pairs.length > 1) {
        const label = document.createElement("b");
        label.textContent = `${name} `;
        made.append(label);
      }
      made.append(text);
    });
    return made;
  };
  const draw = () => {
    const shown = found.slice(first, first + page).map(([number, how, inputs, gold, before, after]) => {
      const row = document.createElement("tr");
      row.className = how;
      row.append(
        cell(number),
        cell(how === "same" ? "unchanged" : how),
        textCell(inputs),
        ...[gold, before, after].map((text) => textCell([["", text]])),
      );
      return row;
    });
    table.replaceChildren(...shown);
    const last = Math.min(first + page, found.length);
    count.textContent = found.length ? `${first + 1}–${last} of ${found.length} rows` : "no rows";
    previous.disabled = first === 0;
    next.disabled = last >= found.length;
  };
  const filter = () => {
    const wanted = search.value.toLowerCase();
    const says = (row) => {
      const [, , inputs, ...others] = row;
      return [...inputs.map(([, text]) => text), ...others].some((text) => text.toLowerCase().includes(wanted));
    };
    found = rows.filter((row) => (!change.value || row[1] === change.value) && (!wanted || says(row)));
    first = 0;
    draw();
  };
  const turn = (by) => {
    first = Math.max(0, first + by * page);
    draw();
  };
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  change.addEventListener("change", filter);
  search.addEventListener("input", filter);
  document.querySelector(".filters").hidden = false;
  filter();
}
