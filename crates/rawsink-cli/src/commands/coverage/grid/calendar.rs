//! The shown days, their weeks, and the ruler above them.

use jiff::civil::{Date, Weekday};
use rawsink::LogicalDate;

/// The days that fit, the newest of all, with a space before each week.
pub(super) struct Calendar {
    days: Vec<Date>,
    /// Columns of the terminal for the days.
    room: usize,
    /// Number of earlier days that do not fit.
    pub(super) hidden: usize,
}

impl Calendar {
    /// Returns as many days as fit; `None` if not even one does.
    pub(super) fn of(days: &[LogicalDate], room: usize) -> Option<Self> {
        let days = dates(days);
        let mut used = 0;
        let fitting = days.iter().rev().enumerate().take_while(|(before, day)| {
            // A newer day may begin the week after this one.
            let gap = *before > 0 && day.weekday() == Weekday::Sunday;
            used += 1 + usize::from(gap);
            used <= room
        });
        let fitting = fitting.count();
        let hidden = days.len() - fitting;
        (fitting > 0).then(|| Self { days: days[hidden..].to_vec(), room, hidden })
    }

    /// Returns the number of columns that all these days need.
    pub(super) fn width_of(days: &[LogicalDate]) -> usize {
        let days = dates(days);
        let mondays = days.iter().skip(1).filter(|day| day.weekday() == Weekday::Monday);
        days.len() + mondays.count()
    }

    /// Returns for each day whether a space separates it from the week before.
    pub(super) fn week_begins(&self) -> impl Iterator<Item = bool> {
        self.days.iter().enumerate().map(|(at, day)| at > 0 && day.weekday() == Weekday::Monday)
    }

    /// Returns two lines: the months, and the day of the month at the beginning of each week.
    pub(super) fn ruler(&self) -> [String; 2] {
        let (mut months, mut days) = (Vec::new(), Vec::new());
        let mut column = 0;
        for (day, begins_week) in self.days.iter().zip(self.week_begins()) {
            column += usize::from(begins_week);
            if column == 0 || begins_week {
                days.push((column, vec![day.day().to_string()]));
            }
            if column == 0 || day.day() == 1 {
                let texts = ["%b %Y", "%b"].map(|form| day.strftime(form).to_string());
                months.push((column, texts.to_vec()));
            }
            column += 1;
        }
        [line(&months, self.room), line(&days, self.room)]
    }
}

fn dates(days: &[LogicalDate]) -> Vec<Date> {
    let date = |day: &LogicalDate| day.to_string().parse::<Date>().expect("a day is a date");
    days.iter().map(date).collect()
}

/// Writes labels at their columns: of each the first text that fits before the next label.
fn line(labels: &[(usize, Vec<String>)], room: usize) -> String {
    let mut line = String::new();
    for (at, (column, texts)) in labels.iter().enumerate() {
        let end = labels.get(at + 1).map_or(room, |(next, _)| next - 1);
        if let Some(text) = texts.iter().find(|text| column + text.len() <= end) {
            line.push_str(&" ".repeat(column - line.len()));
            line.push_str(text);
        }
    }
    line
}
