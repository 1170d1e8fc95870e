//! Writes the steps of a plan as commands of the program.

use super::{
    backfill::{Action, PlanStep},
    template::CommandTemplate,
};
use crate::shell::{path_argument, quoted};
use rawsink::{PartitionKey, layout::Place, partition::RunId};

/// How new rows are extracted.
#[derive(Debug, Clone, Copy)]
pub struct Extraction<'a> {
    /// The command that prints the rows of a partition.
    pub command: &'a CommandTemplate,
    /// The run of all new extracts.
    pub run: &'a RunId,
    /// Metadata of all new extracts: `KEY=VALUE` or `KEY:=JSON`, as for `rawsink write --set`.
    pub metadata: &'a [String],
}

impl Extraction<'_> {
    /// Returns the arguments of `rawsink write` behind the path.
    fn arguments(self, key: &PartitionKey) -> String {
        let options = self.metadata.iter().map(|setting| format!("--set {} ", quoted(setting)));
        format!("{}-- {}", options.collect::<String>(), self.command.of(key))
    }
}

impl PlanStep<'_> {
    /// Returns the step as a line of shell. A line that a person must complete, because no command
    /// extracts the rows, is a comment; so is a withdrawal that has to wait for it.
    pub fn command(&self, extraction: Option<Extraction<'_>>) -> String {
        let key = self.key();
        let run = match self.action {
            Action::Land => extraction.map(|extraction| extraction.run),
            Action::Restart(run)
            | Action::Validate(run)
            | Action::Release(run)
            | Action::Withdraw(run) => Some(run),
        };
        let place = run.map_or_else(|| Place::of_partition(&key), |run| Place::of_run(&key, run));
        let extract = extraction.map(|extraction| extraction.arguments(&key));
        self.action.command(&path_argument(&place), extract.as_deref())
    }
}

impl Action<'_> {
    /// Returns the name of the action in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Land => "land",
            Self::Restart(_) => "restart",
            Self::Validate(_) => "validate",
            Self::Release(_) | Self::Withdraw(_) => "withdraw",
        }
    }

    /// Returns the command for a quoted path and the arguments that extract its rows.
    pub(super) fn command(self, path: &str, extract: Option<&str>) -> String {
        let withdraw =
            format!("rawsink state withdraw {path} --reason 'its id sorts after new runs'");
        match (self, extract) {
            (Self::Land | Self::Restart(_), Some(extract)) => {
                format!("rawsink write {path} {extract}")
            }
            (Self::Land | Self::Restart(_), None) => format!("# rawsink write {path} -- EXTRACT"),
            (Self::Validate(_), _) => format!("rawsink validate {path}"),
            (Self::Release(_), _) | (Self::Withdraw(_), Some(_)) => withdraw,
            (Self::Withdraw(_), None) => format!("# {withdraw}"),
        }
    }
}
