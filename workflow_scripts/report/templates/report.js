"use strict";
// Buttons that sort each table by a column, and a field that filters its rows. Without JavaScript
// the tables are plain.

const SMALLEST_FILTERED = 6;

const textIn = (row, column) => row.cells[column].textContent.trim();

// the number that a cell begins with, such as 12345 of "12,345", 0.001 of "< 0.001"
function numberIn(text) {
  const found = text.match(/^[<≥]?\s*([+\-−]?\d[\d,]*(?:\.\d+)?)(?![\d\w-])/);
  return found ? Number(found[1].replace("−", "-").replaceAll(",", "")) : NaN;
}

// rows by a column: by number where each cell begins with one, empty cells last
function ordered(rows, column, sign) {
  const cells = new Map(rows.map((row) => [row, textIn(row, column)]));
  const filled = rows.filter((row) => cells.get(row));
  const empty = rows.filter((row) => !cells.get(row));
  const isNumeric = filled.every((row) => !Number.isNaN(numberIn(cells.get(row))));
  const compare = (one, other) =>
    isNumeric ? numberIn(one) - numberIn(other) : one.localeCompare(other, "en", { numeric: true });
  filled.sort((one, other) => sign * compare(cells.get(one), cells.get(other)));
  return [...filled, ...empty];
}

function addSorting(table, rows) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.ariaSort];
      const order = next === undefined ? "ascending" : next;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      table.tBodies[0].append(...(order ? ordered(rows, column, sign) : rows));
    });
  });
}

function addFilter(table, rows) {
  const bar = document.createElement("div");
  bar.className = "filter";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "filter rows";
  field.setAttribute("aria-label", `Filter the rows of: ${table.caption.textContent}`);
  const found = document.createElement("output");
  bar.append(field, " ", found);
  table.closest(".scroll").before(bar);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const left = rows.filter((row) => !row.hidden).length;
    found.value = words.length ? `${left} of ${rows.length} rows` : "";
  });
}

for (const table of document.querySelectorAll("table")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length > 1) addSorting(table, rows);
  if (rows.length >= SMALLEST_FILTERED) addFilter(table, rows);
}
