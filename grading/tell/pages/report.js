"use strict";
// Everything can be read without this: it only lets columns be sorted and rows be filtered.
for (const table of document.querySelectorAll("table[data-sort]")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.key || row.cells[column].textContent.trim();
      const order = new Intl.Collator(undefined, {numeric: true});
      const number = text => /^-?[\d.]+( %)?$/.test(text) ? parseFloat(text) : NaN;
      const compare = (a, b) => isNaN(number(a)) || isNaN(number(b)) ? order.compare(a, b) : number(a) - number(b);
      const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
      rows.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
      table.tBodies[0].append(...rows.map(pair => pair[1]));
    });
  });
}
for (const table of document.querySelectorAll("table[data-filter]")) {
  const tools = document.createElement("p"), label = document.createElement("label"), field = document.createElement("input");
  tools.className = "tools";
  field.type = "search";
  label.append("Show students with ", field);
  tools.append(label);
  table.parentElement.before(tools);
  field.addEventListener("input", () => {
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(field.value.trim().toLowerCase());
    }
  });
}
