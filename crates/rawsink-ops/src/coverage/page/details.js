// The details of one cell, and the copy buttons. Details follow the pointer until a click, a tap or Enter pins
// them: then they have buttons.

const isPinned = () => element("details").dataset.pinned !== undefined;

// Moves the cursor to a cell, or to none, and shows its details.
function point(cell) {
  grid.cursor = cell;
  const details = element("details");
  delete details.dataset.pinned;
  details.hidden = !cell;
  element("told").textContent = "";
  if (cell) {
    details.replaceChildren(...describeCell(model.cell(cell.row, cell.day)));
    place();
  }
  grid.scheduleDraw();
}

// Keeps the details of a cell open. The focus moves to their first button, or stays in the grid.
function pin(cell, focus = "move") {
  point(cell);
  const details = element("details");
  details.dataset.pinned = "";
  details.append(makeButtons(cell));
  place();
  if (focus === "move") details.querySelector("button").focus();
  else grid.canvas.focus({ preventScroll: true });
}

// Closes the details.
function release() {
  const within = element("details").contains(document.activeElement);
  point(null);
  if (within) grid.canvas.focus({ preventScroll: true });
}

// Puts the details beside their cell; on a narrow screen at the edge that is farther from it.
function place() {
  const details = element("details");
  if (!grid.cursor || details.hidden) return;
  const { x, y, width, height } = grid.rectangle(grid.cursor);
  const { offsetWidth, offsetHeight } = details;
  details.classList.toggle("above", grid.narrow && y + height > innerHeight - offsetHeight - 8);
  if (grid.narrow) {
    details.style.transform = "";
    return;
  }
  const left = Math.max(12, Math.min(x + width / 2 - offsetWidth / 2, innerWidth - offsetWidth - 12));
  const below = y + height + 10;
  const top = below + offsetHeight < innerHeight - 8 ? below : Math.max(8, y - offsetHeight - 10);
  details.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

const written = (day) => {
  const date = new Date(`${day}T00:00:00Z`);
  return `${WEEKDAYS[date.getUTCDay()]}, ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
};
const isUnknown = (cell) => cell.unknown && cell.letter !== "s" && `${cell.unknown} is sealed and needs a verdict`;
const isBlocking = (cell) => cell.blocks && "its id is in the future: no run of today gets authority";
const rowsOf = (cell) => cell.rows !== null && plural(cell.rows, "row", "rows");

// Announces a cell to screen readers.
function announce(cell) {
  const facts = [STANDINGS[cell.letter].name, rowsOf(cell), written(cell.day), `customer ${cell.row.customer}`,
    `query ${cell.row.query}`, cell.reason, isUnknown(cell), isBlocking(cell)];
  element("told").textContent = facts.filter(Boolean).join("; ");
}

function make(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function describeCell(cell) {
  const heading = make("h2", "");
  heading.append(signCanvas(cell.rows === 0 && cell.letter === "v" ? EMPTY : cell.letter, grid.colours), STANDINGS[cell.letter].name);
  const facts = document.createElement("dl");
  const fact = (name, value, kind) => value && facts.append(make("dt", name), make("dd", value, kind));
  fact("Rows", cell.rows !== null && number(cell.rows));
  fact("Day", written(cell.day));
  fact("Customer", cell.row.customer);
  fact("Query", cell.row.query);
  fact("Run", cell.run, "run");
  fact("Reason", cell.reason);
  fact("Unknown", isUnknown(cell));
  fact("Blocks", isBlocking(cell));
  const parts = [heading, make("p", STANDINGS[cell.letter].says), facts];
  if (cell.command) parts.push(make("h3", "Next step"));
  // A command or path may wrap after its slashes.
  const text = document.createElement("pre");
  const code = document.createElement("code");
  for (const part of textOf(cell).split(/(?<=\/)/)) code.append(part, document.createElement("wbr"));
  text.append(code);
  parts.push(text);
  if (cell.command.includes("EXTRACT")) parts.push(make("p", "In place of EXTRACT: the command that prints the rows.", "note"));
  return parts;
}

// Returns what the copy button copies: the next step, or the path if there is none.
const textOf = (cell) => cell.command || cell.path;

function makeButtons({ row, day }) {
  const buttons = make("div", "", "buttons");
  const button = (text, name, action) => {
    const made = make("button", text, name);
    made.type = "button";
    made.addEventListener("click", action);
    buttons.append(made);
    return made;
  };
  const cell = model.cell(row, day);
  const copyButton = button(cell.command ? "Copy command" : "Copy path", "copy", () => copyCell(copyButton));
  const all = model.commands(row);
  const steps = all ? all.split("\n").length : 0;
  if (all && all !== cell.command) {
    const rowButton = button(`Copy all ${number(steps)} of this row`, "copy-row", () => copy(all, rowButton));
  }
  button("Close", "close", release);
  return buttons;
}

// Copies the step of the cell under the cursor.
function copyCell(button) {
  copy(textOf(model.cell(grid.cursor.row, grid.cursor.day)), button);
}

// Copies text and says so. A browser that gives local files no clipboard may still copy a selection.
async function copy(text, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    done = copySelection(text);
  }
  const says = done ? "Copied" : "Press Ctrl+C to copy";
  if (!done) getSelection().selectAllChildren(document.querySelector("#details pre"));
  element("told").textContent = says;
  if (!button) {
    element("details").append(make("p", says, "note"));
    return;
  }
  const before = button.textContent;
  button.textContent = says;
  setTimeout(() => { button.textContent = before; }, 2000);
}

function copySelection(text) {
  const active = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.focus({ preventScroll: true });
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  active?.focus({ preventScroll: true });
  return done;
}

function wireDetails() {
  const details = element("details");
  details.addEventListener("keydown", (event) => event.key === "Escape" && release());
}
