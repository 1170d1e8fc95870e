// The printed grid: the shown rows, in pieces that each repeat the days.

const PIECE_ROWS = 25;
// Limits memory.
const PIECES = 20;

function putOnPaper() {
  document.documentElement.dataset.paper = "";
  recolour();
  const { days, shown } = model;
  const pieces = [];
  for (let row = 0; row < shown.length && pieces.length < PIECES; row += PIECE_ROWS) {
    const piece = { ...model, shown: shown.slice(row, row + PIECE_ROWS), gaps: model.openShares() };
    const canvas = document.createElement("canvas");
    const view = { scrollLeft: 0, scrollTop: 0, clientWidth: 1000, clientHeight: 0 };
    // The first layout measures the grid, the second has room for all of it.
    const drawn = new Grid(Object.setPrototypeOf(piece, Model.prototype), view, document.createElement("div"), canvas);
    view.clientWidth = drawn.left + days.length * drawn.cellWidth + 10;
    view.clientHeight = drawn.top + piece.shown.length * drawn.rowHeight + 6;
    view.scrollLeft = 0;
    drawn.layOut();
    pieces.push(canvas);
  }
  const left = shown.length - PIECES * PIECE_ROWS;
  if (left > 0) pieces.push(`${number(left)} more rows are not printed: filter them.`);
  element("paper").replaceChildren(...pieces);
}

function takeOffPaper() {
  delete document.documentElement.dataset.paper;
  element("paper").replaceChildren();
  recolour();
}
