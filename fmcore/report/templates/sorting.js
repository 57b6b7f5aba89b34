"use strict";
// Sorts a table by the column whose head is clicked, and shows below a chart the description of the
// point under the pointer.  Without this script tables keep their order, and browsers show the
// descriptions as tooltips.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = /^[-+]?(\d|\.\d|inf)/.test(text) ? parseFloat(text.replace("inf", "Infinity")) : NaN;
    return { text, number };
  };
  const compare = (a, b) => {
    if (isNaN(a.number) !== isNaN(b.number)) return isNaN(a.number) ? 1 : -1;
    return isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort((a, b) => (falling ? -1 : 1) * compare(a[0], b[0]));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}
for (const figure of document.querySelectorAll("figure.chart")) {
  const caption = figure.querySelector(".point");
  if (!caption) continue;
  const show = (event) => {
    const point = event.target.closest(".tip");
    if (point) caption.textContent = point.querySelector("title").textContent;
  };
  figure.addEventListener("pointerover", show);
  figure.addEventListener("click", show);
}
