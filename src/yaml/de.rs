//! A serde deserializer over a document's tree, type-driven, whose errors know the node they are about.

use std::{collections::BTreeSet, fmt};

use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::StrDeserializer,
};

use super::document::{Document, Entry, Kind, NodeId, Span};

/// Reads the value at a node.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'a> {
    document: &'a Document,
    /// Nodes that are read as if they were not there.
    set_aside: &'a BTreeSet<NodeId>,
    id: NodeId,
}

/// What is wrong, and with which node.
#[derive(Debug)]
pub(super) struct Error {
    pub kind: ErrorKind,
    /// What to point at.
    pub span: Option<Span>,
    /// What to set aside so that the rest can be read.
    pub culprit: Option<NodeId>,
    /// Path segments, the innermost first.
    path: Vec<String>,
}

#[derive(Debug)]
pub(super) enum ErrorKind {
    UnknownField { found: String, expected: &'static [&'static str] },
    UnknownVariant { found: String, expected: &'static [&'static str] },
    MissingField(&'static str),
    Type { found: String, expected: String },
    Custom(String),
}

impl Error {
    fn new(kind: ErrorKind) -> Self {
        Self { kind, span: None, culprit: None, path: Vec::new() }
    }

    /// The path of the field, from the document's root.
    pub fn path(&self) -> String {
        let mut path: String = self.path.iter().rev().map(String::as_str).collect();
        if let ErrorKind::MissingField(name) = self.kind {
            path.push_str(&key_segment(name));
        }
        path.trim_start_matches('.').to_owned()
    }

    pub fn is_missing_field(&self) -> bool {
        matches!(self.kind, ErrorKind::MissingField(_))
    }

    /// Says where, unless that was said further in.
    fn at(mut self, span: Span, culprit: NodeId) -> Self {
        self.span.get_or_insert(span);
        self.culprit.get_or_insert(culprit);
        self
    }

    fn below(mut self, segment: String) -> Self {
        self.path.push(segment);
        self
    }
}

fn key_segment(key: &str) -> String {
    if key.contains(['.', '[', '"']) { format!("[\"{key}\"]") } else { format!(".{key}") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorKind::Custom(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = match expected.to_string() {
            nonzero if nonzero.starts_with("a nonzero") => "a whole number above 0".to_owned(),
            expected => expected,
        };
        Self::new(ErrorKind::Type { found: found.to_string(), expected })
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Self {
        Self::new(ErrorKind::UnknownField { found: found.to_owned(), expected })
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        Self::new(ErrorKind::UnknownVariant { found: found.to_owned(), expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::MissingField(field))
    }
}

impl<'a> NodeReader<'a> {
    pub fn new(document: &'a Document, set_aside: &'a BTreeSet<NodeId>) -> Self {
        Self { document, set_aside, id: document.root }
    }

    fn kind(self) -> &'a Kind {
        &self.document.node(self.id).kind
    }

    fn located<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at(self.document.node(self.id).span, self.id))
    }

    fn is_null(self) -> bool {
        matches!(self.kind(), Kind::Scalar { text, plain: true } if is_null(text))
    }

    fn describe(self) -> String {
        match self.kind() {
            Kind::Scalar { .. } if self.is_null() => "nothing".to_owned(),
            Kind::Scalar { text, .. } => format!("`{text}`"),
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a map".to_owned(),
        }
    }

    fn wrong_type<T>(self, expected: impl fmt::Display) -> Result<T, Error> {
        let kind = ErrorKind::Type { found: self.describe(), expected: expected.to_string() };
        self.located(Err(Error::new(kind)))
    }

    /// A number, written plainly.
    fn number<T: std::str::FromStr>(self, expected: &str) -> Result<T, Error> {
        let number = match self.kind() {
            Kind::Scalar { text, plain: true } => text.parse().ok(),
            Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Mapping(_) => None,
        };
        number.map_or_else(|| self.wrong_type(expected), Ok)
    }

    fn any<'de, V: Visitor<'de>>(self, text: &str, plain: bool, visitor: V) -> Result<V::Value, Error> {
        if !plain {
            return visitor.visit_str(text);
        }
        match text {
            text if is_null(text) => visitor.visit_unit(),
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => match (text.parse::<u64>(), text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _, _) => visitor.visit_u64(number),
                (_, Ok(number), _) => visitor.visit_i64(number),
                (_, _, Ok(number)) if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                    visitor.visit_f64(number)
                }
                _ => visitor.visit_str(text),
            },
        }
    }
}

/// Whether a plain scalar is nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.number::<$type>($expected)?;
            self.located(visitor.$visit(number))
        })*
    };
}

impl<'de> de::Deserializer<'de> for NodeReader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Scalar { text, plain } => self.located(self.any(text, *plain, visitor)),
            Kind::Sequence(_) => self.deserialize_seq(visitor),
            Kind::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Scalar { text, plain: true } if matches!(&**text, "true" | "false") => {
                self.located(visitor.visit_bool(**text == *"true"))
            }
            Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Mapping(_) => self.wrong_type("true or false"),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number that is not negative";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Scalar { text, .. } if !self.is_null() => self.located(visitor.visit_str(text)),
            Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Mapping(_) => self.wrong_type("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { self.located(visitor.visit_some(self)) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_unit() } else { self.wrong_type("nothing") }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.located(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Sequence(items) => self.located(visitor.visit_seq(Items { reader: self, items, next: 0 })),
            Kind::Scalar { .. } | Kind::Mapping(_) => self.wrong_type("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Mapping(entries) => self.located(visitor.visit_map(Entries { reader: self, entries, value: None })),
            // `metadata:` with nothing below it is an empty map to the person who wrote it.
            Kind::Scalar { .. } if self.is_null() => {
                self.located(visitor.visit_map(Entries { reader: self, entries: &[], value: None }))
            }
            Kind::Scalar { .. } | Kind::Sequence(_) => self.wrong_type("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Scalar { text, .. } if !self.is_null() => {
                let variant: StrDeserializer<'_, Error> = (**text).into_deserializer();
                self.located(visitor.visit_enum(variant))
            }
            Kind::Mapping(entries) if entries.len() == 1 => {
                self.located(visitor.visit_enum(Variant { reader: self, entry: &entries[0] }))
            }
            Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Mapping(_) => {
                self.wrong_type("one word, or a map with one key")
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf unit_struct tuple tuple_struct identifier }
}

struct Items<'a> {
    reader: NodeReader<'a>,
    items: &'a [NodeId],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        while let Some(&id) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if !self.reader.set_aside.contains(&id) {
                let item = seed.deserialize(NodeReader { id, ..self.reader });
                return item.map(Some).map_err(|error| error.below(format!("[{index}]")));
            }
        }
        Ok(None)
    }
}

struct Entries<'a> {
    reader: NodeReader<'a>,
    entries: &'a [Entry],
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        while let [entry, rest @ ..] = self.entries {
            self.entries = rest;
            if self.reader.set_aside.contains(&entry.value) {
                continue;
            }
            self.value = Some(entry);
            let key: StrDeserializer<'_, Error> = (*entry.key).into_deserializer();
            let at_key = |error: Error| error.at(entry.key_span, entry.value).below(key_segment(&entry.key));
            return seed.deserialize(key).map(Some).map_err(at_key);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self.value.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(NodeReader { id: entry.value, ..self.reader })
            .map_err(|error| error.below(key_segment(&entry.key)))
    }
}

struct Variant<'a> {
    reader: NodeReader<'a>,
    entry: &'a Entry,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = NodeReader<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, NodeReader<'a>), Error> {
        let Self { reader, entry } = self;
        let key: StrDeserializer<'_, Error> = (*entry.key).into_deserializer();
        let variant = seed.deserialize(key).map_err(|error: Error| error.at(entry.key_span, entry.value))?;
        Ok((variant, NodeReader { id: entry.value, ..reader }))
    }
}

impl<'de> VariantAccess<'de> for NodeReader<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.is_null() { Ok(()) } else { self.wrong_type("nothing") }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_map(self, visitor)
    }
}
