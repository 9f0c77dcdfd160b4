//! The numbers in the documentation: a table between two marks, rewritten by a run of everything.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::table::{Beside, Bound, Row, Table};

const BEGIN: &str = "<!-- numbers: written by `make bench` -->";
const END: &str = "<!-- end of numbers -->";

/// Puts the table where the page has its marks.
pub fn rewrite(page: &Path, table: &Table, machine: &str) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let marks = || Some((text.find(BEGIN)? + BEGIN.len(), text.find(END)?));
    let (begin, end) = marks().with_context(|| format!("{} has no marks for the numbers", page.display()))?;
    let text = format!("{}\n\n{machine}\n\n{}\n{}", &text[..begin], markdown(table), &text[end..]);
    Ok(fs::write(page, text)?)
}

fn markdown(table: &Table) -> String {
    let mut text =
        "| scenario | figure | chancery | beside it | ratio | must be | |\n|---|---|--:|--:|--:|---|---|\n".to_owned();
    table.rows.iter().filter(|row| !row.what.starts_with("sweep")).for_each(|row| text.push_str(&line(row)));
    text
}

fn line(row: &Row) -> String {
    let Row { scenario, what, unit, chancery, beside, bound } = row;
    let (beside, ratio) = match beside {
        Some(Beside { whose, value }) => (format!("{value:.2} {unit} ({whose})"), format!("{:.2}", chancery / value)),
        None => (String::new(), String::new()),
    };
    let bound = match bound {
        Some(Bound::Times(most)) => format!("≤ {most}×"),
        Some(Bound::AtMost(most)) => format!("≤ {most:.0} {unit}"),
        None => String::new(),
    };
    let verdict = match row.holds() {
        Some(true) => "holds",
        Some(false) => "**does not hold**",
        None => "",
    };
    format!("| {scenario} | {what} | {chancery:.2} {unit} | {beside} | {ratio} | {bound} | {verdict} |\n")
}

/// What it was measured on.
pub fn machine() -> String {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.rsplit(':').next().unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = first("/proc/cpuinfo", "model name");
    format!("Measured on {cores} cores ({model}), Linux {}.", kernel.trim())
}
