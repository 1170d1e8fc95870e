//! The terminal on standard output.

use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

use crate::output;

/// Size and abilities of the terminal on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Number of columns.
    pub(crate) width: usize,
    /// Number of lines.
    pub(crate) height: usize,
    pub(crate) is_coloured: bool,
}

impl Screen {
    /// Returns the terminal; `None` if standard output is a file or a pipe. A terminal that does not know
    /// its size has 80 columns and 24 lines.
    pub(crate) fn of_stdout() -> Option<Self> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let size = tcgetwinsize(&stdout).ok();
        let known = |cells: u16, default: usize| if cells == 0 { default } else { cells.into() };
        let (width, height) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
        Some(Self {
            width: known(width, 80),
            height: known(height, 24),
            is_coloured: output::allows_colours(),
        })
    }
}
