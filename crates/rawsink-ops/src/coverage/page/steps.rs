//! The next steps of a page's cells, each written once.

use std::collections::{BTreeMap, HashMap};

use super::MISSING;
use crate::coverage::{
    Cell, Coverage,
    backfill::{Action, actions},
};
use rawsink::partition::RunId;

/// The distinct steps of a page.
pub(super) struct Steps<'a> {
    newest: &'a RunId,
    texts: Vec<String>,
    known: HashMap<String, u32>,
    /// The step of the first cell with a letter.
    usual: BTreeMap<char, u32>,
}

impl<'a> Steps<'a> {
    /// Starts with the step of a cell without any data, which no row lists.
    pub(super) fn of(coverage: &Coverage, newest: &'a RunId) -> Self {
        let (texts, known, usual) = (Vec::new(), HashMap::new(), BTreeMap::new());
        let mut steps = Self { newest, texts, known, usual };
        if let Some(day) = coverage.days.first() {
            let (step, _) = steps.of_cell(&coverage.cell(*day, None));
            steps.usual.insert(MISSING, step);
        }
        steps
    }

    /// Returns the number of a cell's step, from 1, and whether it withdraws a run; 0 for no step.
    pub(super) fn of_cell(&mut self, cell: &Cell<'_>) -> (u32, bool) {
        let actions = actions(cell, self.newest);
        if actions.is_empty() {
            return (0, false);
        }
        let withdraws =
            actions.iter().any(|action| matches!(action, Action::Release(_) | Action::Withdraw(_)));
        let lines: Vec<String> = actions.into_iter().map(template).collect();
        let text = lines.join("\n");
        let number = self.known.get(&text).copied().unwrap_or_else(|| {
            self.texts.push(text.clone());
            let number = u32::try_from(self.texts.len()).unwrap_or(0);
            self.known.insert(text, number);
            number
        });
        (number, withdraws)
    }

    /// Returns the usual step of a letter: that of its first cell.
    pub(super) fn usual(&mut self, letter: char, step: u32) -> u32 {
        *self.usual.entry(letter).or_insert(step)
    }

    /// Returns the commands, from number 1 on. `{partition}`, `{run}`, `{unknown}` and `{named}` are paths.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Returns the usual step of each letter.
    pub(super) fn by_letter(&self) -> &BTreeMap<char, u32> {
        &self.usual
    }
}

/// Returns the command of an action, with the name of its path in braces.
fn template(action: Action<'_>) -> String {
    let path = match action {
        Action::Land => "{partition}",
        Action::Restart(_) => "{run}",
        Action::Validate(_) => "{unknown}",
        Action::Release(_) | Action::Withdraw(_) => "{named}",
    };
    action.command(path, None)
}
