// Controls and event handlers.

const element = (id) => document.getElementById(id);
const model = new Model(JSON.parse(element("data").textContent));
const grid = new Grid(model, element("view"), element("space"), element("grid"));
const number = (count) => count.toLocaleString("en");
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

function describe() {
  const { total, days, data } = model;
  const of = (name) => model.values(name).length;
  const span = days.length === 0 ? "no days" : days.length === 1 ? days[0] :
    `${plural(days.length, "day", "days")}, ${days[0]} to ${days[days.length - 1]}`;
  const parts = [
    model.values("source").join(", "), plural(of("customer"), "customer", "customers"),
    plural(of("query"), "query", "queries"), span,
  ].filter(Boolean).map((text, at, all) => {
    const part = document.createElement("span");
    part.textContent = at < all.length - 1 ? `${text} ·` : text;
    return part;
  });
  element("extent").append(...parts.flatMap((part) => [part, " "]));
  element("lost").hidden = total.l === 0;
  element("lost").firstElementChild.textContent =
    `${plural(total.l, "partition is", "partitions are")} lost: consumers get an error instead of the rows that were validated.`;
  element("faults").hidden = data.faults === 0;
  element("faults").textContent = `${plural(data.faults, "state record is", "state records are")} malformed. ` +
    "The affected cells show storage only.";
  element("unread").hidden = data.hidden.length === 0;
  element("unread").textContent = `The storage cannot be listed at ${data.hidden.join(", ")}. Nothing is known of these cells.`;
  element("odd").hidden = data.odd.length === 0;
  element("odd").textContent = "Not shown, far from all other days: " + data.odd.map(([first, last, partitions]) =>
    `${first === last ? first : `${first} to ${last}`} (${plural(partitions, "partition", "partitions")})`).join(", ") + ".";
  // Rounded down, so that only full coverage shows 100 %.
  const share = total.all === 0 ? "–" : `${Math.floor((total.v / total.all) * 1000) / 10} %`;
  element("share").textContent = share;
  document.title = `Coverage: ${share} validated`;
  element("made").textContent = `${data.place}, compared ${data.made.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC")}`;
  // The share of validated cells comes first.
  for (const letter of [...LETTERS].reverse()) {
    if (total[letter] === 0) continue;
    const part = document.createElement("i");
    part.className = letter;
    part.style.flexGrow = total[letter];
    element("bar").append(part);
  }
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function fillControls() {
  const queries = model.values("query");
  element("query").append(option("", "All queries"), ...queries.map((name) => option(name, name)));
  const sources = model.values("source");
  element("source").append(option("", "All sources"), ...sources.map((name) => option(name, name)));
  element("source").hidden = sources.length < 2;
  for (const letter of [...LETTERS, EMPTY, MARKED]) {
    const { name, says } = STANDINGS[letter] ?? KINDS[letter];
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.letter = letter;
    button.setAttribute("aria-pressed", "false");
    button.disabled = model.total[letter] === 0;
    const count = document.createElement("b");
    count.textContent = number(model.total[letter]);
    button.append(signCanvas(letter, grid.colours), name, count);
    button.title = says;
    element("standings").append(button);
  }
}

function refilter() {
  const pressed = document.querySelectorAll('#standings [aria-pressed="true"]');
  model.filter({
    source: element("source").value,
    customer: element("customer").value,
    query: element("query").value,
    order: element("order").value,
    wanted: new Set([...pressed].map((button) => button.dataset.letter)),
  });
  point(null);
  element("view").scrollTop = 0;
  grid.resize();
  showRowCount();
}

function showRowCount() {
  const [shown, all] = [model.shown.length, model.rows.length];
  element("shown").textContent = shown === all ? plural(all, "row", "rows") : `${number(shown)} of ${plural(all, "row", "rows")}`;
  element("empty").hidden = shown > 0;
  element("empty").textContent = all === 0 ? "No partition exists, and none is expected." : "No row matches these filters.";
}


const MOVES = {
  ArrowLeft: ({ row, day }) => ({ row, day: day - 1 }),
  ArrowRight: ({ row, day }) => ({ row, day: day + 1 }),
  ArrowUp: ({ row, day }) => ({ row: row - 1, day }),
  ArrowDown: ({ row, day }) => ({ row: row + 1, day }),
  Home: ({ row }) => ({ row, day: 0 }),
  End: ({ row }) => ({ row, day: Infinity }),
  PageUp: ({ row, day }) => ({ row: row - 10, day }),
  PageDown: ({ row, day }) => ({ row: row + 10, day }),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || model.shown.length === 0) return;
  const days = model.days.length;
  const seen = grid.visible();
  const from = grid.cursor;
  let to = null;
  if (event.key === "Escape") return release();
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    return from && pin(from);
  }
  if (event.key === "c" || event.key === "C") return from && copyCell();
  if (event.key === "n" || event.key === "N") {
    to = model.nextOpen(from?.row ?? 0, from?.day ?? -1);
    if (!to) return;
  } else if (MOVES[event.key]) {
    to = from ? MOVES[event.key](from) : { row: seen.firstRow, day: seen.lastDay - 1 };
  } else {
    return;
  }
  event.preventDefault();
  const within = (value, count) => Math.max(0, Math.min(count - 1, value));
  to = { row: within(to.row, model.shown.length), day: within(to.day, days) };
  grid.reveal(to);
  point(to);
  announce(model.cell(to.row, to.day));
}

function cellAt(event) {
  const box = grid.canvas.getBoundingClientRect();
  return grid.hit(event.clientX - box.left, event.clientY - box.top);
}

const isCursor = (cell) => cell && grid.cursor && cell.row === grid.cursor.row && cell.day === grid.cursor.day;

function onHover(event) {
  if (event.pointerType !== "mouse" || isPinned()) return;
  const cell = cellAt(event);
  if (!isCursor(cell) && (cell || grid.cursor)) point(cell);
}

// Opens the cell, or closes it if it is open.
function onClick(event) {
  const cell = cellAt(event);
  if (!cell || (isPinned() && isCursor(cell))) release();
  else pin(cell, "stay");
}

// Rereads the colours of the style sheet.
function recolour() {
  grid.restyle();
  for (const button of document.querySelectorAll("#standings button")) {
    button.querySelector("canvas").replaceWith(signCanvas(button.dataset.letter, grid.colours));
  }
}

function wire() {
  const form = element("filters");
  form.addEventListener("input", refilter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    document.querySelectorAll("#standings button").forEach((button) => button.setAttribute("aria-pressed", "false"));
    setTimeout(refilter);
  });
  element("standings").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    refilter();
  });
  const { canvas, view } = grid;
  canvas.addEventListener("keydown", onKey);
  canvas.addEventListener("pointermove", onHover);
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !isPinned() && point(null));
  canvas.addEventListener("click", onClick);
  canvas.addEventListener("blur", (event) => !isPinned() && !event.relatedTarget?.matches(".unseen") && point(null));
  wireDetails();
  element("lost").addEventListener("click", (event) => {
    if (event.target.closest("button")) document.querySelector('#standings [data-letter="l"][aria-pressed="false"]')?.click();
  });
  view.addEventListener("scroll", () => {
    if (grid.cursor) {
      element("details").hidden = !grid.sees(grid.cursor);
      place();
    }
    grid.scheduleDraw();
  }, { passive: true });
  new ResizeObserver(() => {
    grid.layOut();
    place();
  }).observe(view);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  addEventListener("beforeprint", putOnPaper);
  addEventListener("afterprint", takeOffPaper);
}

describe();
fillControls();
showRowCount();
wire();
// For measurements: milliseconds from the start of loading until the grid is drawn.
requestAnimationFrame(() => { document.documentElement.dataset.drawn = Math.round(performance.now()); });
