//! Regular expressions that Envoy takes: RE2's.
//!
//! Envoy refuses a whole RouteConfiguration for one pattern that does not compile, so what RE2 would refuse is refused
//! here, with its place. The pattern is parsed by Rust's syntax, which is RE2's with a few things more; those are
//! refused as well.

use regex_syntax::ast::{self, Ast, ClassSetItem, Flag, FlagsItemKind, LiteralKind, RepetitionKind, RepetitionRange};
use serde::{Deserialize, Deserializer, Serialize};

use crate::yaml::{invalid, scalar_schema};

/// A pattern that compiles. Istio's `*` alone is let through: of a header it asks whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Regex(pub String);

scalar_schema!(Regex, { "type": "string" });

/// What is no pattern, and asks of a header whether it is there.
pub const ANYTHING: &str = "*";

/// RE2 takes no larger number in `{…}`.
const MOST_REPETITIONS: u32 = 1000;

impl<'de> Deserialize<'de> for Regex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match check(&text) {
            _ if text == ANYTHING => Ok(Self(text)),
            Ok(()) => Ok(Self(text)),
            Err(reason) => {
                let sentence = format_args!("`{text}` is no regular expression: {reason}").to_string();
                Err(invalid(sentence, "write it in RE2's syntax"))
            }
        }
    }
}

/// Why Envoy would not take a pattern.
pub fn check(pattern: &str) -> Result<(), String> {
    let ast = ast::parse::Parser::new().parse(pattern).map_err(|error| error.kind().to_string())?;
    ast::visit(&ast, OnlyRe2)
}

struct OnlyRe2;

impl ast::Visitor for OnlyRe2 {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Flags(flags) => only_re2_flags(&flags.flags),
            Ast::Group(group) => group.flags().map_or(Ok(()), only_re2_flags),
            Ast::Repetition(repetition) => {
                let most = match repetition.op.kind {
                    RepetitionKind::Range(RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n)) => n,
                    RepetitionKind::Range(RepetitionRange::Bounded(_, n)) => n,
                    RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 0,
                };
                let message = format!("more than {MOST_REPETITIONS} repetitions");
                if most > MOST_REPETITIONS { Err(message) } else { Ok(()) }
            }
            Ast::Literal(literal) => only_re2_literal(literal),
            Ast::Assertion(assertion) => match assertion.kind {
                ast::AssertionKind::StartLine
                | ast::AssertionKind::EndLine
                | ast::AssertionKind::StartText
                | ast::AssertionKind::EndText
                | ast::AssertionKind::WordBoundary
                | ast::AssertionKind::NotWordBoundary => Ok(()),
                _ => Err("of boundaries there are `\\b` and `\\B`".into()),
            },
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Bracketed(_) => Err("a class within a class".into()),
            ClassSetItem::Literal(literal) => only_re2_literal(literal),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err("classes are not combined with `&&`, `--` or `~~`".into())
    }
}

fn only_re2_flags(flags: &ast::Flags) -> Result<(), String> {
    let unknown = |item: &ast::FlagsItem| match item.kind {
        FlagsItemKind::Flag(flag) => match flag {
            Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed => false,
            Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace => true,
        },
        FlagsItemKind::Negation => false,
    };
    if flags.items.iter().any(unknown) { Err("of flags there are i, m, s and U".into()) } else { Ok(()) }
}

fn only_re2_literal(literal: &ast::Literal) -> Result<(), String> {
    match literal.kind {
        LiteralKind::HexFixed(ast::HexLiteralKind::UnicodeShort | ast::HexLiteralKind::UnicodeLong)
        | LiteralKind::HexBrace(ast::HexLiteralKind::UnicodeShort | ast::HexLiteralKind::UnicodeLong) => {
            Err("a code point is written `\\x{…}`".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_re2_takes_is_taken_and_what_it_refuses_refused() {
        for right in
            ["", "^/api/v[12]/.*$", "(?i)a|b", r"\d+\.\w*", "(?P<name>x)", r"[[:alpha:]_\-]", r"\pN", "a{2,3}?"]
        {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for wrong in [
            "(",
            "a{1001}",
            "[a&&b]",
            "[[a]b]",
            r"\u{41}",
            "(?x)a",
            r"\b{start}",
            "*",
            "a(?=b)",
            r"(a)\1",
            "[z-a]",
            r"\q",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
