// The grid on a canvas that stays in place while its content scrolls. It draws only visible cells,
// for any number of rows.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August",
  "September", "October", "November", "December"];
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

// The same limit as the style sheet's.
const NARROW = matchMedia("(max-width: 640px)");

// Draws the sign of one cell. Colour and shape each identify the standing.
function sign(ctx, letter, x, y, w, h, colours) {
  const small = letter.toLowerCase();
  const side = Math.min(w, h);
  const line = Math.max(1.25, side * 0.12);
  const box = (inset) => {
    ctx.beginPath();
    ctx.roundRect(x + inset, y + inset, w - 2 * inset, h - 2 * inset, Math.max(1, side * 0.16));
  };
  const centre = [x + w / 2, y + h / 2];
  ctx.lineWidth = line;
  ctx.lineCap = "round";
  if ("vsfl".includes(small)) {
    ctx.fillStyle = colours[small];
    box(0);
    ctx.fill();
  }
  if (small === EMPTY) {
    // Nothing but the ground: no row.
    const high = Math.max(2, h * 0.24);
    ctx.fillStyle = colours.v;
    ctx.beginPath();
    ctx.roundRect(x, y + h - high, w, high, Math.min(high / 2, side * 0.16));
    ctx.fill();
  }
  ctx.fillStyle = ctx.strokeStyle = colours.on;
  if (small === "s") {
    ctx.beginPath();
    ctx.arc(...centre, side * 0.18, 0, 2 * Math.PI);
    ctx.fill();
  } else if (small === "f") {
    const arm = side * 0.21;
    ctx.beginPath();
    for (const turn of [1, -1]) {
      ctx.moveTo(centre[0] - arm, centre[1] - arm * turn);
      ctx.lineTo(centre[0] + arm, centre[1] + arm * turn);
    }
    ctx.stroke();
  } else if (small === "l") {
    // An exclamation mark.
    const [middle, centreY] = centre;
    ctx.beginPath();
    ctx.moveTo(middle, centreY - side * 0.3);
    ctx.lineTo(middle, centreY + side * 0.06);
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(middle, centreY + side * 0.28, line * 0.6, 0, 2 * Math.PI);
    ctx.fill();
  } else if ("umwn".includes(small)) {
    ctx.strokeStyle = ctx.fillStyle = colours[small];
    if (small === "w") {
      ctx.beginPath();
      ctx.moveTo(centre[0] - side * 0.22, centre[1]);
      ctx.lineTo(centre[0] + side * 0.22, centre[1]);
      ctx.stroke();
    }
    if (small === "u") {
      ctx.save();
      box(line / 2);
      ctx.clip();
      ctx.beginPath();
      ctx.moveTo(x, y + h);
      ctx.lineTo(x + w, y + h);
      ctx.lineTo(x + w, y);
      ctx.fill();
      ctx.restore();
    }
    if (small === "n") ctx.setLineDash([side * 0.2, side * 0.16]);
    box(line / 2);
    ctx.stroke();
    ctx.setLineDash([]);
  }
  if (small !== letter || letter === MARKED) {
    // A corner with an outline.
    const corner = side * 0.62;
    ctx.beginPath();
    ctx.moveTo(x + w - corner, y);
    ctx.lineTo(x + w, y);
    ctx.lineTo(x + w, y + corner);
    ctx.closePath();
    ctx.fillStyle = colours.ink;
    ctx.strokeStyle = colours.panel;
    ctx.lineWidth = line * 0.8;
    ctx.stroke();
    ctx.fill();
  }
}

// Returns the current colours of the style sheet.
function palette() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    v: named("validated"), s: named("sealed"), u: named("unsealed"), f: named("failed"),
    m: named("missing"), l: named("lost"), w: named("withdrawn"), n: named("unreadable"), on: named("on"), ink: named("ink"), muted: named("muted"),
    line: named("line"), soft: named("soft"), panel: named("panel"), focus: named("focus"),
  };
}

// Draws a sign alone, for a legend.
function signCanvas(letter, colours, side = 16) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side * 2;
  const ctx = canvas.getContext("2d");
  ctx.scale(2, 2);
  sign(ctx, letter, 1, 1, side - 2, side - 2, colours);
  return canvas;
}

class Grid {
  constructor(model, view, space, canvas) {
    Object.assign(this, { model, view, space, canvas });
    this.ctx = canvas.getContext("2d");
    this.cursor = null;
    this.fitted = new Map();
    this.restyle();
  }

  restyle() {
    this.colours = palette();
    this.font = getComputedStyle(document.body).fontFamily;
    this.signs = new Map();
    this.layOut();
  }

  // Computes all sizes. The first layout scrolls to the newest days.
  layOut() {
    const { clientWidth: width, clientHeight: height } = this.view;
    const days = this.model.days.length;
    this.narrow = NARROW.matches;
    this.top = 62;
    this.rowHeight = this.narrow ? 32 : 20;
    const least = this.narrow ? 128 : 250;
    const room = (width - least - 10) / Math.max(1, days);
    this.cellWidth = Math.min(26, Math.max(this.narrow ? 14 : 11, Math.floor(room)));
    // The names get the rest of the width.
    this.left = Math.min(this.narrow ? 128 : 380, Math.max(least, width - 10 - days * this.cellWidth));
    this.queryAt = this.narrow ? 10 : Math.max(112, Math.round(this.left * 0.36));
    this.width = width;
    this.height = height;
    const scale = window.devicePixelRatio || 1;
    if (scale !== this.scale) this.signs.clear();
    this.scale = scale;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.signs.clear();
    this.fitted.clear();
    this.resize();
  }

  // Fits the scrolled space to the shown rows.
  resize() {
    const across = this.left + this.model.days.length * this.cellWidth + 10;
    const down = this.top + this.model.shown.length * this.rowHeight + 6;
    this.space.style.width = `${Math.max(across, this.width)}px`;
    this.space.style.height = `${Math.max(down, this.height)}px`;
    if (!this.placed && this.width > 0) {
      this.view.scrollLeft = across;
      this.placed = true;
    }
    this.draw();
  }

  scheduleDraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  visible() {
    const { scrollLeft: x, scrollTop: y } = this.view;
    const rows = this.model.shown.length;
    const days = this.model.days.length;
    const firstRow = Math.max(0, Math.floor(y / this.rowHeight));
    const lastRow = Math.min(rows, Math.ceil((y + this.height - this.top) / this.rowHeight));
    const firstDay = Math.max(0, Math.floor(x / this.cellWidth));
    const lastDay = Math.min(days, Math.ceil((x + this.width - this.left) / this.cellWidth));
    return { x, y, firstRow, lastRow, firstDay, lastDay };
  }

  draw() {
    const { ctx, colours } = this;
    const seen = this.visible();
    ctx.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    ctx.fillStyle = colours.panel;
    ctx.fillRect(0, 0, this.width, this.height);
    this.drawCells(seen);
    this.drawLabels(seen);
    this.drawDays(seen);
  }

  drawCells(seen) {
    const { ctx, colours, cursor, cellWidth, rowHeight } = this;
    if (cursor) {
      ctx.fillStyle = colours.soft;
      const [x, y] = this.at(cursor.row, cursor.day, seen);
      ctx.fillRect(this.left, y, this.width, rowHeight);
      ctx.fillRect(x, this.top, cellWidth, this.height);
    }
    const gap = cellWidth > 16 ? 2 : 1;
    for (let row = seen.firstRow; row < seen.lastRow; row++) {
      const { letters } = this.model.shown[row];
      for (let day = seen.firstDay; day < seen.lastDay; day++) {
        const [x, y] = this.at(row, day, seen);
        ctx.globalAlpha = this.model.isWanted(letters[day]) ? 1 : 0.16;
        // A lost cell is larger than all others.
        const [across, down] = standingOf(letters[day]) === "l" ? [0, 1] : [gap, 2];
        ctx.drawImage(this.sign(letters[day], cellWidth - 2 * across, rowHeight - 2 * down),
          x + across, y + down, cellWidth - 2 * across, rowHeight - 2 * down);
      }
    }
    ctx.globalAlpha = 1;
    if (cursor) {
      const [x, y] = this.at(cursor.row, cursor.day, seen);
      ctx.strokeStyle = colours.focus;
      ctx.lineWidth = 2;
      ctx.strokeRect(x - 0.5, y + 0.5, cellWidth + 1, rowHeight - 1);
    }
  }

  // Returns a cached sign.
  sign(letter, width, height) {
    let drawn = this.signs.get(letter);
    if (!drawn) {
      drawn = document.createElement("canvas");
      drawn.width = Math.round(width * this.scale);
      drawn.height = Math.round(height * this.scale);
      const ctx = drawn.getContext("2d");
      ctx.scale(drawn.width / width, drawn.height / height);
      sign(ctx, letter, 0, 0, width, height, this.colours);
      this.signs.set(letter, drawn);
    }
    return drawn;
  }

  at(row, day, { x, y }) {
    return [this.left + day * this.cellWidth - x, this.top + row * this.rowHeight - y];
  }

  drawLabels(seen) {
    const { ctx, colours, rowHeight } = this;
    ctx.fillStyle = colours.panel;
    ctx.fillRect(0, 0, this.left - 4, this.height);
    ctx.textBaseline = "middle";
    for (let row = seen.firstRow; row < seen.lastRow; row++) {
      const [, y] = this.at(row, 0, seen);
      const { customer, query, source } = this.model.shown[row];
      const above = this.model.shown[row - 1];
      const begins = !above || above.customer !== customer || above.source !== source;
      if (this.cursor?.row === row) {
        ctx.fillStyle = colours.soft;
        ctx.fillRect(0, y, this.left - 4, rowHeight);
      }
      if (begins && row > 0 && this.model.grouped) {
        ctx.fillStyle = colours.line;
        ctx.fillRect(0, Math.round(y) - 0.5, this.width, 1);
      }
      this.drawLabel(customer, query, begins || row === seen.firstRow, row, y);
    }
    ctx.fillStyle = colours.line;
    ctx.fillRect(this.left - 4, 0, 1, this.height);
  }

  drawLabel(customer, query, begins, row, y) {
    const { ctx, colours, rowHeight, left, queryAt } = this;
    const open = Model.open(this.model.shown[row]);
    const lost = this.model.shown[row].counts.l > 0;
    const middle = y + rowHeight / 2 + 0.5;
    const text = (shown, x, at, room, font, colour) => {
      ctx.font = font;
      ctx.fillStyle = colour;
      ctx.fillText(this.fit(shown, room), x, at);
    };
    const bold = `600 12px ${this.font}`;
    const plain = `12px ${this.font}`;
    if (this.narrow) {
      text(customer, 10, y + 9.5, left - 22, bold, colours.ink);
      text(query, 10, y + 23, left - 30 - (open > 0 ? 8 * String(open).length : 0), `11px ${this.font}`, colours.muted);
    } else {
      if (begins) text(customer, 12, middle, queryAt - 18, bold, colours.ink);
      text(query, queryAt, middle, left - 44 - queryAt, plain, colours.muted);
    }
    if (open > 0) {
      ctx.textAlign = "right";
      const font = `${lost ? "700 " : ""}${this.narrow ? 11 : 12}px ${this.font}`;
      text(lost ? `! ${open}` : String(open), left - 12, this.narrow ? y + 23 : middle, 40, font, lost ? colours.l : colours.ink);
      ctx.textAlign = "left";
    }
  }

  // Returns the text, shortened in the middle to the available width.
  fit(text, room) {
    const key = `${this.ctx.font}|${room}|${text}`;
    let fitted = this.fitted.get(key);
    if (fitted === undefined) {
      const measure = (part) => this.ctx.measureText(part).width;
      fitted = text;
      if (measure(text) > room) {
        const letters = [...text];
        const cut = (kept) => letters.slice(0, Math.ceil(kept / 2)).join("") + "…" + letters.slice(letters.length - Math.floor(kept / 2)).join("");
        let kept = letters.length - 1;
        while (kept > 1 && measure(cut(kept)) > room) kept -= 1;
        fitted = cut(kept);
      }
      this.fitted.set(key, fitted);
    }
    return fitted;
  }

  drawDays(seen) {
    const { ctx, colours, cellWidth, left, top } = this;
    ctx.save();
    ctx.fillStyle = colours.panel;
    ctx.fillRect(0, 0, this.width, top - 2);
    ctx.font = `600 12px ${this.font}`;
    ctx.fillStyle = colours.ink;
    if (!this.narrow) ctx.fillText("Customer", 12, 26);
    ctx.font = `12px ${this.font}`;
    ctx.fillStyle = colours.muted;
    ctx.fillText(this.narrow ? "not validated" : "Query", this.queryAt, this.narrow ? 48 : 26);
    if (!this.narrow) {
      ctx.textAlign = "right";
      ctx.fillText("not validated", left - 12, 48);
      ctx.textAlign = "left";
    }
    ctx.beginPath();
    ctx.rect(left - 3, 0, this.width, top);
    ctx.clip();
    const shares = this.model.openShares();
    this.drawMonths(seen);
    for (let day = seen.firstDay; day < seen.lastDay; day++) {
      const [x] = this.at(0, day, seen);
      this.drawDate(day, x);
      const share = shares[day];
      const high = share > 0 ? Math.max(2, share * 18) : 1;
      ctx.fillStyle = share > 0 ? colours.muted : colours.line;
      ctx.fillRect(x + 1, top - 6 - high, cellWidth - 2, high);
    }
    ctx.restore();
    ctx.fillStyle = colours.line;
    ctx.fillRect(0, top - 3, this.width, 1);
  }

  // Draws the name of each month above its first visible day, if it fits.
  drawMonths(seen) {
    const { ctx, colours, left, width } = this;
    const { days } = this.model;
    ctx.font = `600 12px ${this.font}`;
    ctx.fillStyle = colours.ink;
    for (let day = seen.firstDay, next; day < seen.lastDay; day = next) {
      const [year, month] = days[day].split("-").map(Number);
      next = day + 1;
      while (next < seen.lastDay && Number(days[next].slice(5, 7)) === month) next += 1;
      const x = Math.max(this.at(0, day, seen)[0], left) + 1;
      const end = next < seen.lastDay ? this.at(0, next, seen)[0] - 6 : width;
      const name = MONTHS[month - 1];
      const short = name.slice(0, 3);
      const names = [`${name} ${year}`, `${short} ${year}`, short];
      const fitting = names.find((text) => x + ctx.measureText(text).width <= end);
      if (fitting) ctx.fillText(fitting, x, 11);
    }
  }

  drawDate(day, x) {
    const { ctx, colours, cellWidth } = this;
    const date = Number(this.model.days[day].slice(8));
    const every = cellWidth >= 20 ? 1 : 7;
    const current = this.cursor?.day === day;
    const regular = every === 1 || (date % every === 1 && date <= 29);
    // There is no room for a date beside the current day.
    const crowded = every > 1 && this.cursor && Math.abs(this.cursor.day - day) < 2;
    if (current || (regular && !crowded)) {
      ctx.font = current ? `600 11px ${this.font}` : `11px ${this.font}`;
      ctx.fillStyle = current ? colours.ink : colours.muted;
      ctx.textAlign = "center";
      ctx.fillText(String(date), x + cellWidth / 2, 27);
      ctx.textAlign = "left";
    }
  }

  // Returns the cell at a point of the canvas; null if there is none.
  hit(x, y) {
    const day = Math.floor((x - this.left + this.view.scrollLeft) / this.cellWidth);
    const row = Math.floor((y - this.top + this.view.scrollTop) / this.rowHeight);
    const inside = x >= this.left && y >= this.top && day < this.model.days.length &&
      row < this.model.shown.length;
    return inside ? { row, day } : null;
  }

  // Returns the position of a cell in the window.
  rectangle({ row, day }) {
    const [x, y] = this.at(row, day, this.visible());
    const box = this.canvas.getBoundingClientRect();
    return { x: box.left + x, y: box.top + y, width: this.cellWidth, height: this.rowHeight };
  }

  sees({ row, day }) {
    const [x, y] = this.at(row, day, this.visible());
    return x >= this.left && x < this.width && y >= this.top && y < this.height;
  }

  // Scrolls by the minimum that makes a cell visible.
  reveal({ row, day }) {
    const x = day * this.cellWidth;
    const y = row * this.rowHeight;
    const across = this.width - this.left - this.cellWidth - 10;
    const down = this.height - this.top - this.rowHeight - 6;
    const { view } = this;
    view.scrollLeft = Math.min(x, Math.max(view.scrollLeft, x - across));
    view.scrollTop = Math.min(y, Math.max(view.scrollTop, y - down));
  }
}
