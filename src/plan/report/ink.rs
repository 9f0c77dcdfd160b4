//! Colour on a terminal: a handful of styles by what they say, so that a plan without colour has the same words.

/// Whether escape sequences may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// They may.
    Coloured,
    /// They may not.
    Plain,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Head,
    High,
    Medium,
    Low,
    Added,
    Removed,
    Changed,
    Aside,
}

impl Style {
    /// The parameters of the sequence that begins it.
    fn code(self) -> &'static str {
        match self {
            Self::Head => "1",
            Self::High => "1;31",
            Self::Medium | Self::Changed => "33",
            Self::Low => "36",
            Self::Added => "32",
            Self::Removed => "31",
            Self::Aside => "2",
        }
    }
}

impl Ink {
    /// The text in a style. Columns are padded before they are painted: a terminal shows no sequence.
    pub(super) fn paint(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        match self {
            Self::Coloured if !text.is_empty() => format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()),
            Self::Coloured | Self::Plain => text.to_owned(),
        }
    }
}
