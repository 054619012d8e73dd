"use strict";
// Every header of a sortable table becomes a button; without JavaScript the table is as it was printed.
const keyOf = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const number = Number(text);
  return text === "–" ? null : Number.isNaN(number) ? text : number;
};
const compare = (a, b) => (typeof a === typeof b && typeof a === "number" ? a - b
  : String(a).localeCompare(String(b), "en", { numeric: true }));
for (const header of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => {
    const last = header.getAttribute("aria-sort") ?? (header.className === "number" ? "ascending" : "");
    const sign = last === "ascending" ? -1 : 1;
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const body = header.closest("table").tBodies[0];
    const keyed = Array.from(body.rows, (row) => [keyOf(row, header.cellIndex), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
    body.append(...keyed.map(([, row]) => row));
  });
}
