//! Explores the state machine of the protocol and reports the results in Markdown.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use rawsink_proof::{
    authority,
    model::{
        Variant,
        cases::{self, ExplorationSize},
        counter_examples::{self, OutsideAssumption},
        report,
    },
};

/// The lines of the page that enclose the generated text.
const FROM: &str = "<!-- What follows is written by `make model`. -->\n";
const TO: &str = "<!-- Here it ends. -->\n";

/// The lines that enclose the text about authority.
const AUTHORITY: [&str; 2] = [
    "<!-- The results for authority are written by `make model`. -->\n",
    "<!-- Here the results for authority end. -->\n",
];

/// Explore every interleaving of the writers of one run on every kind of server
#[derive(Debug, Parser)]
struct Args {
    /// Explore only what takes seconds
    #[arg(long)]
    small: bool,
    /// Explore only the rows that contain this text, such as "ruining"
    #[arg(long)]
    only: Option<String>,
    /// Print the counter-example of this broken variant, step by step
    #[arg(long, value_parser = variant)]
    variant: Option<Variant>,
    /// Explore only authority over a partition, which takes seconds
    #[arg(long, conflicts_with_all = ["small", "only", "variant"])]
    authority: bool,
    /// Write the results into this page
    #[arg(long, conflicts_with_all = ["small", "only", "variant"])]
    page: Option<PathBuf>,
    /// Number of threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn variant(text: &str) -> Result<Variant, String> {
    let known = || Variant::BROKEN.map(|variant| format!("{variant:?}")).join(", ");
    let variant = Variant::BROKEN.into_iter().find(|variant| format!("{variant:?}") == text);
    variant.ok_or_else(|| format!("expected one of {}", known()))
}

fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    let mut out = PageOutput { text: String::new(), as_expected: true };
    match args.variant {
        Some(variant) => out.counter_example(variant)?,
        None if args.authority => {}
        None => out.all(&args)?,
    }
    if let Some(path) = args.page.as_ref().filter(|_| !args.authority) {
        replace(path, [FROM, TO], &out.text)?;
    }
    if args.variant.is_none() && args.only.is_none() {
        let (section, is_expected) = authority::report::section();
        out.print(&format!("\n{section}"))?;
        out.as_expected &= is_expected;
        if let Some(path) = &args.page {
            replace(path, AUTHORITY, &section)?;
        }
    }
    Ok(if out.as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replaces the text between two lines of a page.
fn replace(path: &Path, [from, to]: [&str; 2], text: &str) -> io::Result<()> {
    let page = fs::read_to_string(path)?;
    let parts = page.split_once(from).and_then(|(head, rest)| {
        let (_, tail) = rest.split_once(to)?;
        Some(format!("{head}{from}\n{text}\n{to}{tail}"))
    });
    let missing = || io::Error::other("the page lacks the lines that enclose the generated text");
    fs::write(path, parts.ok_or_else(missing)?)
}

/// The text so far.
struct PageOutput {
    text: String,
    as_expected: bool,
}

impl PageOutput {
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.text.push_str(text);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn counter_example(&mut self, variant: Variant) -> io::Result<()> {
        let mut broken = counter_examples::broken().into_iter();
        let broken = broken.find(|broken| broken.configuration.variant == variant);
        let broken = broken.ok_or_else(|| io::Error::other("no exploration looks for it"))?;
        self.print(&format!("{}: {}\n\n", variant.description(), broken.property))?;
        let story = report::counter_example(broken.configuration, broken.property);
        self.as_expected = story.is_some();
        self.print(&story.unwrap_or_else(|| "not noticed\n".to_owned()))
    }

    fn all(&mut self, args: &Args) -> io::Result<()> {
        self.print(&format!("### Properties\n\n{}\n", report::properties()))?;
        self.print(&format!("### What was explored\n\n{}", report::head()))?;
        for case in cases::cases() {
            let row = report::key(&case.configuration);
            let wanted = args.only.as_ref().is_none_or(|only| row.contains(only));
            if wanted && (case.size == ExplorationSize::Small || !args.small) {
                self.explore(&case, args.threads)?;
            }
        }
        if args.only.is_some() {
            return Ok(());
        }
        let variants = report::variants(&counter_examples::broken());
        self.print(&format!("\n### Each step is needed\n\n{variants}"))?;
        self.print("\n### Outside the assumptions\n")?;
        for OutsideAssumption { title, configuration, property } in counter_examples::outside() {
            let story = report::counter_example(configuration, property);
            self.as_expected &= story.is_some();
            self.print(&format!("\n{title}. {property}:\n\n{}", story.unwrap_or_default()))?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the time of an exploration is what is measured")]
    fn explore(&mut self, case: &cases::Exploration, threads: usize) -> io::Result<()> {
        let start = Instant::now();
        let found = report::explore(case.configuration.clone(), threads);
        let mut row = report::row(case, &found, start.elapsed());
        if !found.broken.iter().eq(case.breaks) {
            self.as_expected = false;
            writeln!(row, "\nexpected: {:?}\n", case.breaks).map_err(io::Error::other)?;
        }
        self.print(&row)
    }
}
