"use strict";

// The data of the page: rows, their letters, and the filters.

const STANDINGS = {
  v: { name: "Validated", says: "Sealed, and this run has authority." },
  s: { name: "Sealed only", says: "Sealed, and needs a verdict: not validated yet." },
  u: { name: "Unsealed", says: "A payload without a seal: its writer is active, or has crashed." },
  f: { name: "Failed", says: "Sealed, and its last validation failed." },
  m: { name: "Missing", says: "No run exists." },
  l: { name: "Lost", says: "This run has authority and cannot be read: its files are gone or differ from those that were validated." },
  w: { name: "Withdrawn", says: "An operator withdrew every run." },
};
const LETTERS = Object.keys(STANDINGS);
const MARKED = "x";
const MARKED_NAME = "Drift";

class Model {
  constructor(data) {
    this.data = data;
    this.days = data.days;
    this.rows = data.rows.map(([source, customer, query, letters, unusual]) => {
      const counts = { v: 0, s: 0, u: 0, f: 0, m: 0, l: 0, w: 0, x: 0 };
      for (let i = 0; i < letters.length; i++) {
        const letter = letters[i].toLowerCase();
        counts[letter] += 1;
        if (letter !== letters[i]) counts[MARKED] += 1;
      }
      return { source, customer, query, letters, unusual, counts };
    });
    this.shown = this.rows;
    this.grouped = true;
    this.wanted = new Set();
    this.total = this.count();
  }

  // Number of cells of each kind in the shown rows.
  count() {
    const total = { v: 0, s: 0, u: 0, f: 0, m: 0, l: 0, w: 0, x: 0, all: 0 };
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
    this.grouped = order !== "worst";
    if (!this.grouped) {
      this.shown.sort((a, b) => b.counts.l - a.counts.l || Model.open(b) - Model.open(a) || b.counts.x - a.counts.x);
    }
    this.gaps = null;
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
          if (!"vVwW".includes(letters[day])) open[day] += 1;
        }
      }
      this.gaps = Array.from(open, (count) => count / Math.max(1, this.shown.length));
    }
    return this.gaps;
  }

  isWanted(letter) {
    if (this.wanted.size === 0) return true;
    const small = letter.toLowerCase();
    return this.wanted.has(small) || (small !== letter && this.wanted.has(MARKED));
  }

  values(name) {
    return [...new Set(this.rows.map((row) => row[name]))].sort();
  }

  // Returns the facts of one cell.
  cell(rowNumber, day) {
    const row = this.shown[rowNumber];
    const letter = row.letters[day].toLowerCase();
    const listed = row.unusual.find((numbers) => numbers[0] === day);
    const usual = letter === "m" || letter === "w" ? 0 : this.data.usual[day];
    const [, run = 0, unknown = 0, reason = 0] = listed ?? [day, usual, letter === "s" ? usual : 0, 0];
    const named = (number) => this.data.runs[number - 1];
    const path = `${row.source}/customer_id=${row.customer}/query_name=${row.query}/logical_date=${this.days[day]}`;
    return {
      row, letter, day: this.days[day], path,
      run: named(run), unknown: named(unknown),
      reason: this.data.reasons[reason - 1],
    };
  }

  // Returns the next cell, row by row, that needs work or has drift; null if there is none.
  nextOpen(rowNumber, day) {
    const rows = this.shown.length;
    for (let step = 0; step <= rows; step++) {
      const at = (rowNumber + step) % rows;
      const { letters } = this.shown[at];
      const from = step === 0 ? day + 1 : 0;
      for (let next = from; next < letters.length; next++) {
        if (!"vw".includes(letters[next]) && this.isWanted(letters[next])) return { row: at, day: next };
      }
    }
    return null;
  }
}
