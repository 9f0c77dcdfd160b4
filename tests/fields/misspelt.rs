//! A misspelt field is never a policy that silently does not apply: every field of every kind at every depth, with one
//! letter changed, is refused, and the right name is among those suggested.

use chancery::{
    diagnostic::{Diagnostic, Level},
    schema::{
        self, Kind,
        fields::{Step, fields, properties, resolved},
    },
};
use serde_json::Value;

use super::sample::{holding, read};

/// One letter changed: replaced, left out, swapped with the next, doubled. Which letter it is goes through the word as
/// `turn` goes up, so that over all fields every position has its turn.
fn misspellings(name: &str, turn: usize) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let at = turn % letters.len();
    let with = |change: &dyn Fn(&mut Vec<char>)| {
        let mut changed = letters.clone();
        change(&mut changed);
        changed.into_iter().collect::<String>()
    };
    let mut all = vec![
        with(&|letters| letters[at] = if letters[at] == 'q' { 'w' } else { 'q' }),
        with(&|letters| letters.insert(at, letters[at])),
    ];
    if letters.len() > 1 {
        let before = at.min(letters.len() - 2);
        all.push(with(&|letters| {
            letters.remove(at);
        }));
        all.push(with(&|letters| letters.swap(before, before + 1)));
    }
    all.retain(|misspelt| misspelt != name);
    all
}

/// The names that may stand where a field stands.
fn siblings(schema: &Value, steps: &[Step]) -> Vec<String> {
    let mut inner = resolved(schema, schema);
    for step in steps {
        inner = match step {
            Step::Field(name) => resolved(&properties(&inner, schema)[name], schema),
            Step::Item => resolved(&inner["items"], schema),
            Step::Key => resolved(&inner["additionalProperties"], schema),
        };
    }
    properties(&inner, schema).keys().cloned().collect()
}

fn says(problems: &[Diagnostic], wrong: &str, right: &str) -> bool {
    problems.iter().any(|problem| {
        let is_about_it = problem.id == "unknown-field" && problem.message.contains(&format!("`{wrong}`"));
        let remedy = problem.remedy.as_deref().unwrap_or_default();
        let suggested = remedy.contains(&format!("`{right}`"));
        problem.level == Level::Error && is_about_it && suggested
    })
}

#[test]
fn one_letter_changed_is_refused_and_the_right_name_suggested() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for kind in Kind::all() {
        let schema = schema::of(kind);
        let fields = fields(&schema);
        assert!(fields.len() >= 10, "{} has {} fields: the schema is not walked", kind.name(), fields.len());
        for (turn, field) in fields.iter().enumerate() {
            let owner = field.steps.iter().rposition(|step| matches!(step, Step::Field(_))).unwrap();
            let siblings = siblings(&schema, &field.steps[..owner]);
            for misspelt in misspellings(field.name(), turn) {
                // Another field's name is no misspelling that anyone could see.
                if siblings.contains(&misspelt) {
                    continue;
                }
                tried += 1;
                let document = holding(&schema, &schema, &field.steps, &misspelt);
                let problems = read(kind, &document);
                if !says(&problems, &misspelt, field.name()) {
                    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    let place = format!("{}: {} written `{misspelt}`", kind.name(), field.path());
                    wrong.push(format!("{place}: {document} is answered with: {}", said.join("; ")));
                }
            }
        }
    }
    assert!(tried > 3_000, "only {tried} documents were tried");
    assert!(
        wrong.is_empty(),
        "{} of {tried} misspellings are not refused with the right name. The struct that holds the field needs \
         `#[serde(deny_unknown_fields)]`; one that is read by hand must report `unknown_field` with its names. If the \
         document is not what you would write, give the field an `- example: ` in its doc comment:\n{}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// Without this the documents could be refused for other reasons, and examples be wrong.
#[test]
fn the_same_documents_spelt_right_have_the_right_shape() {
    let mut wrong = Vec::new();
    for kind in Kind::all() {
        let schema = schema::of(kind);
        for field in fields(&schema).iter().filter(|field| !field.is_refused()) {
            let document = holding(&schema, &schema, &field.steps, field.name());
            let shape = ["unknown-field", "missing-field", "wrong-type", "unknown-kind"];
            let found = read(kind, &document).into_iter().find(|problem| shape.contains(&problem.id));
            if let Some(problem) = found {
                wrong.push(format!("{} {}: {document}: {problem}", kind.name(), field.path()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these follow the schema and do not read. Give the field (or a field that it needs) an `- example: ` in its doc \
         comment, or correct its schema:\n{}",
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}
