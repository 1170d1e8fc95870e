"use strict";

// The data of the page: rows, their letters, and the filters.

// The worst first.
const STANDINGS = {
  l: { name: "Lost", says: "This run has authority and cannot be read: its files are gone or differ from those that were validated." },
  f: { name: "Failed", says: "Sealed, and its last validation failed." },
  m: { name: "Missing", says: "No run exists." },
  u: { name: "Unsealed", says: "A payload without a seal: its writer is active, or has crashed." },
  s: { name: "Sealed only", says: "Sealed, and needs a verdict: not validated yet." },
  w: { name: "Withdrawn", says: "An operator withdrew every run." },
  n: { name: "Unreadable", says: "The storage cannot be listed there: nothing is known." },
  v: { name: "Validated", says: "Sealed, and this run has authority." },
};
const LETTERS = Object.keys(STANDINGS);
const EMPTY = "o";
const MARKED = "x";
// More kinds of cells that a button selects.
const KINDS = {
  [EMPTY]: { name: "Empty", says: "Validated, without any row." },
  [MARKED]: { name: "Drift", says: "State and storage contradict each other: another run needs a verdict, or a run of the future keeps it from authority." },
};

// Returns the letter of a standing. A validated cell without rows has its own letter, and a cell with drift
// has an upper-case letter.
function standingOf(letter) {
  const small = letter.toLowerCase();
  return small === EMPTY ? "v" : small;
}

class Model {
  constructor(data) {
    this.data = data;
    this.days = data.days;
    this.rows = data.rows.map(([source, customer, query, letters, unusual, rowCounts], number) => {
      const counts = { v: 0, s: 0, u: 0, f: 0, m: 0, l: 0, w: 0, n: 0, x: 0, o: 0 };
      for (let i = 0; i < letters.length; i++) {
        const letter = letters[i].toLowerCase();
        counts[letter] += 1;
        if (letter !== letters[i]) counts[MARKED] += 1;
      }
      counts.v += counts[EMPTY];
      return { source, customer, query, letters, unusual, rowCounts, counts, number };
    });
    data.worst.forEach((number, rank) => { this.rows[number].rank = rank; });
    this.shown = [...this.rows];
    this.wanted = new Set();
    this.sort("worst");
    this.total = this.count();
  }

  // Number of cells of each kind in the shown rows.
  count() {
    const total = { v: 0, s: 0, u: 0, f: 0, m: 0, l: 0, w: 0, n: 0, x: 0, o: 0, all: 0 };
    for (const row of this.shown) {
      for (const letter in row.counts) total[letter] += row.counts[letter];
      total.all += row.letters.length;
    }
    return total;
  }

  // Shows the rows that pass the filters; no wanted standing accepts all.
  filter({ source, customer, query, wanted, order }) {
    const text = customer.trim().toLowerCase();
    this.wanted = wanted;
    this.shown = this.rows.filter((row) =>
      (!source || row.source === source) &&
      (!query || row.query === query) &&
      (!text || row.customer.toLowerCase().includes(text)) &&
      (wanted.size === 0 || [...wanted].some((letter) => row.counts[letter] > 0)));
    this.sort(order);
    this.gaps = null;
  }

  // Rows of a customer are only grouped if they follow each other.
  sort(order) {
    this.grouped = order !== "worst";
    if (!this.grouped) this.shown.sort((a, b) => a.rank - b.rank);
  }

  // Number of cells of a row that need work: neither validated nor withdrawn.
  static open(row) {
    return row.letters.length - row.counts.v - row.counts.w;
  }

  // For each day the share of the shown rows that needs work.
  openShares() {
    if (!this.gaps) {
      const open = new Uint32Array(this.days.length);
      for (const { letters } of this.shown) {
        for (let day = 0; day < letters.length; day++) {
          if (!"vVoOwW".includes(letters[day])) open[day] += 1;
        }
      }
      this.gaps = Array.from(open, (count) => count / Math.max(1, this.shown.length));
    }
    return this.gaps;
  }

  isWanted(letter) {
    if (this.wanted.size === 0) return true;
    const small = letter.toLowerCase();
    return this.wanted.has(standingOf(letter)) || this.wanted.has(small) || (small !== letter && this.wanted.has(MARKED));
  }

  values(name) {
    return [...new Set(this.rows.map((row) => row[name]))].sort();
  }

  // Returns the facts of one cell.
  cell(rowNumber, day) {
    const row = this.shown[rowNumber];
    const letter = standingOf(row.letters[day]);
    const listed = row.unusual.find((numbers) => numbers[0] === day);
    const usual = "mwn".includes(letter) ? 0 : this.data.usual[day];
    const [, run = 0, unknown = 0, reason = 0, step = 0, named = 0] =
      listed ?? [day, usual, letter === "s" ? usual : 0, 0, this.data.usual_steps[row.letters[day]]];
    const id = (number) => this.data.runs[number - 1];
    const partition = `query_name=${row.query}/logical_date=${this.days[day]}`;
    return {
      row, letter, day: this.days[day],
      path: `${row.source}/customer_id=${row.customer}/${partition}`,
      run: id(run), unknown: id(unknown), blocks: letter === "v" && named > 0,
      reason: this.data.reasons[reason - 1],
      rows: this.rowCount(row, day),
      command: this.command(row, day, step, { run, unknown, named }),
    };
  }

  // Returns the number of rows of a validated or lost cell; null if it is unknown.
  rowCount(row, day) {
    if (!"vl".includes(standingOf(row.letters[day]))) return null;
    const listed = row.rowCounts.split(",");
    let at = -1;
    for (let before = 0; before <= day; before++) {
      if ("vl".includes(standingOf(row.letters[before]))) at += 1;
    }
    if (listed[at] === "?") return null;
    while (listed[at] === "" || listed[at] === "?") at -= 1;
    return Number(listed[at]);
  }

  // Returns the commands of a cell's next step, one a line; empty if there is none.
  command(row, day, step, runs) {
    const path = this.data.quoted_rows[row.number] ?? `${row.source}/customer_id=${row.customer}/query_name=${row.query}`;
    const partition = `${path}/logical_date=${this.days[day]}`;
    const id = (number) => this.data.quoted_runs[number] ?? this.data.runs[number - 1];
    const text = this.data.steps[step - 1] ?? "";
    return text.replace(/\{(\w+)\}/g, (_, name) =>
      name === "partition" ? partition : `${partition}/run_id=${id(runs[name])}`);
  }

  // Returns the commands of all cells of a row, one a line.
  commands(rowNumber) {
    const commands = this.days.map((_, day) => this.cell(rowNumber, day).command);
    return commands.filter(Boolean).join("\n");
  }

  // Returns the next cell, row by row, that passes the filter: without one, that needs work or has drift. Null
  // if there is none.
  nextOpen(rowNumber, day) {
    const rows = this.shown.length;
    const matches = (letter) => (this.wanted.size > 0 ? this.isWanted(letter) : !"vow".includes(letter));
    for (let step = 0; step <= rows; step++) {
      const at = (rowNumber + step) % rows;
      const { letters } = this.shown[at];
      const from = step === 0 ? day + 1 : 0;
      for (let next = from; next < letters.length; next++) {
        if (matches(letters[next])) return { row: at, day: next };
      }
    }
    return null;
  }
}
