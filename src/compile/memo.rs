//! Units that were compiled, so that no group compiles what another one has.
//!
//! A unit is found by the service's name and, among the few forms it has in different groups, by equal inputs. A unit
//! that no group holds any more is forgotten.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use super::{
    Work, grpc,
    unit::{Assignments, AssignmentsInput, Definition, DefinitionInput},
};
use crate::model::ServiceName;

#[derive(Debug, Default)]
pub(super) struct Memo {
    definitions: Forms<DefinitionInput, Definition>,
    assignments: Forms<AssignmentsInput, Assignments>,
    grpc_definitions: Forms<grpc::DefinitionInput, grpc::Definition>,
    grpc_assignments: Forms<AssignmentsInput, grpc::Assignments>,
    pub work: Work,
}

impl Memo {
    pub fn definition(&mut self, input: DefinitionInput) -> Arc<Definition> {
        let name = input.service.name.clone();
        self.definitions.get_or_compile(name, input, Definition::compile, |unit| unit.resources(), &mut self.work)
    }

    pub fn assignments(&mut self, input: AssignmentsInput) -> Arc<Assignments> {
        let name = input.service.name.clone();
        self.assignments.get_or_compile(name, input, Assignments::compile, |unit| unit.resources(), &mut self.work)
    }

    pub fn grpc_definition(&mut self, input: grpc::DefinitionInput) -> Arc<grpc::Definition> {
        let (name, forms) = (input.service.name.clone(), &mut self.grpc_definitions);
        forms.get_or_compile(name, input, grpc::Definition::compile, |unit| unit.resources(), &mut self.work)
    }

    pub fn grpc_assignments(&mut self, input: AssignmentsInput) -> Arc<grpc::Assignments> {
        let (name, forms) = (input.service.name.clone(), &mut self.grpc_assignments);
        forms.get_or_compile(name, input, grpc::Assignments::compile, |unit| unit.resources(), &mut self.work)
    }

    /// Forgets the forms of a service that nobody holds any more.
    pub fn forget_unused(&mut self, name: &ServiceName) {
        self.definitions.forget_unused(name);
        self.assignments.forget_unused(name);
        self.grpc_definitions.forget_unused(name);
        self.grpc_assignments.forget_unused(name);
    }
}

/// The forms of each service's unit.
#[derive(Debug)]
struct Forms<I, U>(HashMap<ServiceName, Vec<(I, Weak<U>)>>);

impl<I, U> Default for Forms<I, U> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: PartialEq, U> Forms<I, U> {
    fn get_or_compile(
        &mut self,
        name: ServiceName,
        input: I,
        compile: impl FnOnce(&I) -> U,
        resources: impl FnOnce(&U) -> u64,
        work: &mut Work,
    ) -> Arc<U> {
        let forms = self.0.entry(name).or_default();
        let known = forms.iter().find(|(of, _)| *of == input).and_then(|(_, unit)| unit.upgrade());
        known.unwrap_or_else(|| {
            let unit = Arc::new(compile(&input));
            work.units_compiled += 1;
            work.resources_encoded += resources(&unit);
            forms.retain(|(of, unit)| *of != input && unit.strong_count() > 0);
            forms.push((input, Arc::downgrade(&unit)));
            unit
        })
    }

    fn forget_unused(&mut self, name: &ServiceName) {
        if let Some(forms) = self.0.get_mut(name) {
            forms.retain(|(_, unit)| unit.strong_count() > 0);
            if forms.is_empty() {
                self.0.remove(name);
            }
        }
    }
}
