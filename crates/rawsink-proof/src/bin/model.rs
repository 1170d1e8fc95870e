//! Explores the protocol's state machine and says what was found, in Markdown.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use rawsink_proof::model::{
    Variant,
    cases::{self, Outside, Size},
    report,
};

/// The lines of the page between which the rest is written.
const FROM: &str = "<!-- What follows is written by `make model`. -->\n";
const TO: &str = "<!-- Here it ends. -->\n";

/// Explore every interleaving of writers of one run, on stores of every kind
#[derive(Debug, Parser)]
struct Args {
    /// Only what takes seconds
    #[arg(long)]
    small: bool,
    /// Only explorations whose row has this text, such as "ruining"
    #[arg(long)]
    only: Option<String>,
    /// Only the counter-example of this broken variant, step by step
    #[arg(long, value_parser = variant)]
    variant: Option<Variant>,
    /// Write what was found into this page
    #[arg(long, conflicts_with_all = ["small", "only", "variant"])]
    page: Option<PathBuf>,
    /// How many threads explore
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn variant(text: &str) -> Result<Variant, String> {
    let known = || Variant::BROKEN.map(|variant| format!("{variant:?}")).join(", ");
    let variant = Variant::BROKEN.into_iter().find(|variant| format!("{variant:?}") == text);
    variant.ok_or_else(|| format!("is none of {}", known()))
}

fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    let mut out = Output { told: String::new(), as_expected: true };
    match args.variant {
        Some(variant) => out.counter_example(variant)?,
        None => out.all(&args)?,
    }
    if let Some(path) = &args.page {
        let page = fs::read_to_string(path)?;
        let parts = page.split_once(FROM).and_then(|(head, rest)| {
            let (_, tail) = rest.split_once(TO)?;
            Some(format!("{head}{FROM}\n{}\n{TO}{tail}", out.told))
        });
        fs::write(path, parts.ok_or_else(|| io::Error::other("the page has no place for it"))?)?;
    }
    Ok(if out.as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was said so far.
struct Output {
    told: String,
    as_expected: bool,
}

impl Output {
    fn tell(&mut self, text: &str) -> io::Result<()> {
        self.told.push_str(text);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn counter_example(&mut self, variant: Variant) -> io::Result<()> {
        let mut broken = cases::broken().into_iter();
        let broken = broken.find(|broken| broken.configuration.variant == variant);
        let broken = broken.ok_or_else(|| io::Error::other("nothing looks for it"))?;
        self.tell(&format!("{}: {}\n\n", variant.description(), broken.property))?;
        let story = report::counter_example(broken.configuration, broken.property);
        self.as_expected = story.is_some();
        self.tell(&story.unwrap_or_else(|| "is not noticed\n".to_owned()))
    }

    fn all(&mut self, args: &Args) -> io::Result<()> {
        self.tell(&format!("### Properties\n\n{}\n", report::properties()))?;
        self.tell(&format!("### What was explored\n\n{}", report::head()))?;
        for case in cases::cases() {
            let row = report::key(&case.configuration);
            let wanted = args.only.as_ref().is_none_or(|only| row.contains(only));
            if wanted && (case.size == Size::Small || !args.small) {
                self.explore(&case, args.threads)?;
            }
        }
        if args.only.is_some() {
            return Ok(());
        }
        let variants = report::variants(&cases::broken());
        self.tell(&format!("\n### Each step is needed\n\n{variants}"))?;
        self.tell("\n### Outside the assumptions\n")?;
        for Outside { title, configuration, property } in cases::outside() {
            let story = report::counter_example(configuration, property);
            self.as_expected &= story.is_some();
            self.tell(&format!("\n{title}. {property}:\n\n{}", story.unwrap_or_default()))?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the time of an exploration is what is measured")]
    fn explore(&mut self, case: &cases::Case, threads: usize) -> io::Result<()> {
        let start = Instant::now();
        let found = report::explore(case.configuration.clone(), threads);
        let mut row = report::row(case, &found, start.elapsed());
        if !found.broken.iter().eq(case.breaks) {
            self.as_expected = false;
            writeln!(row, "\nexpected: {:?}\n", case.breaks).map_err(io::Error::other)?;
        }
        self.tell(&row)
    }
}
