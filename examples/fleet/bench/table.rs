//! What was measured, as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Table {
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub scenario: String,
    pub what: String,
    pub unit: &'static str,
    pub chancery: f64,
    /// What it is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// Another figure of the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    /// Whose it is: the floor's, or chancery's own in another scene.
    pub whose: &'static str,
    pub value: f64,
}

impl Beside {
    pub fn floor(value: f64) -> Option<Self> {
        Some(Self { whose: "floor", value })
    }
}

/// What must be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// At most this often what stands beside it.
    Times(f64),
    /// At most this.
    AtMost(f64),
}

impl Row {
    /// Whether what must be is; `None` where nothing must.
    pub fn holds(&self) -> Option<bool> {
        match self.bound? {
            Bound::Times(most) => Some(self.chancery <= most * self.beside.as_ref()?.value),
            Bound::AtMost(most) => Some(self.chancery <= most),
        }
    }
}

impl Table {
    pub fn add(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, what, unit, chancery, beside, bound } = self;
        write!(f, "{scenario:<44} {what:<30} {chancery:>10.2} {unit:<5}")?;
        match beside {
            Some(Beside { whose, value }) => {
                write!(f, " {value:>10.2} {:>6.2}×", chancery / value)?;
                if *whose != "floor" {
                    write!(f, " of {whose}")?;
                }
            }
            None => write!(f, " {:>10} {:>7}", "", "")?,
        }
        match bound {
            Some(Bound::Times(most)) => write!(f, "  ≤ {most}×")?,
            Some(Bound::AtMost(most)) => write!(f, "  ≤ {most} {unit}")?,
            None => {}
        }
        match self.holds() {
            Some(true) => f.write_str("  holds"),
            Some(false) => f.write_str("  BROKEN"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scenario, what, beside, ratio) = ("scenario", "figure", "floor", "ratio");
        writeln!(f, "\n{scenario:<44} {what:<30} {:>10} {:<5} {beside:>10} {ratio:>7}  bound", "chancery", "")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
