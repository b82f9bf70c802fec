//! Which stages are built, in which order, and what they take from one another.

use std::collections::BTreeMap;

use super::dockerfile::{Dockerfile, Instruction, Kind};
use super::fault::{Cause, Fault, Outcome, Place, Within as _};
use super::scope::Scope;

/// A stage that will be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) index: usize,
    pub(crate) name: Option<String>,
    /// What it starts from: an image, `scratch`, or an earlier stage's name.
    pub(crate) base: String,
    /// The earlier stage.
    pub(crate) from: Option<usize>,
    pub(crate) platform: Option<String>,
    pub(crate) instructions: Vec<Instruction>,
    /// Whether it is the one that is asked for.
    pub(crate) last: bool,
    /// Whether a later stage starts from it.
    pub(crate) is_base: bool,
}

/// Decides; `target` is the stage to build, or the last.
pub(crate) fn make(
    dockerfile: &Dockerfile,
    target: Option<&str>,
    scope: &Scope,
) -> Outcome<Vec<Stage>> {
    let last = find_target(dockerfile, target).within(Place::Target)?;
    let mut stages: Vec<Stage> = Vec::new();
    let names: Vec<Option<&str>> = dockerfile
        .stages
        .iter()
        .map(|stage| stage.name.as_deref())
        .collect();
    for (index, stage) in dockerfile.stages.iter().enumerate().take(last + 1) {
        let base = scope.outside(&stage.base)?;
        let lower = base.to_lowercase();
        let from = names
            .iter()
            .take(index)
            .position(|name| *name == Some(lower.as_str()));
        stages.push(Stage {
            index,
            name: stage.name.clone(),
            base,
            from,
            platform: stage.platform.clone(),
            instructions: number_sources(&stage.instructions, &names, index, last + 1)?,
            last: index == last,
            is_base: false,
        });
    }
    Ok(keep_used(stages, last))
}

fn find_target(dockerfile: &Dockerfile, target: Option<&str>) -> Outcome<usize> {
    let count = dockerfile.stages.len();
    let Some(target) = target else {
        return count
            .checked_sub(1)
            .ok_or_else(|| Fault::said("dockerfile must contain at least one FROM instruction"));
    };
    let lower = target.to_lowercase();
    dockerfile
        .stages
        .iter()
        .position(|stage| stage.name.as_deref() == Some(lower.as_str()))
        .ok_or_else(|| Fault::new(Cause::NoTarget(target.to_owned())))
}

/// Writes `COPY --from=name` as the stage's number; a name that is no stage stays an image.
fn number_sources(
    instructions: &[Instruction],
    names: &[Option<&str>],
    stage: usize,
    count: usize,
) -> Outcome<Vec<Instruction>> {
    let mut instructions = instructions.to_vec();
    for instruction in &mut instructions {
        let text = instruction.text.clone();
        let Kind::Copy(copy) = &mut instruction.kind else {
            continue;
        };
        let Some(from) = &mut copy.from else {
            continue;
        };
        let lower = from.to_lowercase();
        let index = names.iter().position(|name| *name == Some(lower.as_str()));
        if let Some(index) = index.filter(|index| *index < count) {
            *from = index.to_string();
        }
        if let Ok(index) = from.parse::<usize>() {
            if index >= count {
                return Err(Fault::said(format!(
                    "stage {stage}: COPY --from={index} refers to a stage that does not exist"
                )));
            }
            if index >= stage {
                return Err(Fault::said(format!(
                    "{text} refers to invalid stage: {index}"
                )));
            }
        }
    }
    Ok(instructions)
}

/// Leaves out the stages that the last one does not need.
fn keep_used(stages: Vec<Stage>, last: usize) -> Vec<Stage> {
    let mut used = vec![last];
    let mut bases = Vec::new();
    for stage in stages.iter().rev() {
        if !used.contains(&stage.index) {
            continue;
        }
        used.extend(stage.from);
        bases.extend(stage.from);
        used.extend(sources(stage).map(|(index, _)| index));
    }
    stages
        .into_iter()
        .filter(|stage| used.contains(&stage.index))
        .map(|mut stage| {
            stage.is_base = bases.contains(&stage.index);
            stage
        })
        .collect()
}

/// What a stage copies out of earlier ones: their numbers, and the paths as written.
pub(crate) fn sources(stage: &Stage) -> impl Iterator<Item = (usize, &[String])> {
    stage.instructions.iter().filter_map(|instruction| {
        let Kind::Copy(copy) = &instruction.kind else {
            return None;
        };
        let index = copy.from.as_ref()?.parse().ok()?;
        Some((index, copy.sources.as_slice()))
    })
}

/// Sorted lists without doubles, by stage.
pub(crate) fn sorted(found: BTreeMap<usize, Vec<String>>) -> Vec<(usize, Vec<String>)> {
    let lists = found.into_iter().map(|(index, mut paths)| {
        paths.sort();
        paths.dedup();
        (index, paths)
    });
    lists.collect()
}

#[cfg(test)]
mod tests {
    use super::super::dockerfile;
    use super::*;

    fn plan(text: &str, target: Option<&str>) -> Outcome<Vec<Stage>> {
        let dockerfile = dockerfile::parse(text).unwrap();
        let scope = Scope::new(&[], Vec::new(), &dockerfile.arguments).unwrap();
        make(&dockerfile, target, &scope)
    }

    const THREE: &str = "ARG V=1\nFROM a:$V AS one\nFROM b AS two\nFROM one AS three\n\
        COPY --from=two /x /y\nFROM three\n";

    #[test]
    fn only_stages_that_are_needed_are_built() {
        let found = plan(THREE, Some("ONE")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].base, "a:1");
        let found = plan(THREE, None).unwrap();
        let numbers: Vec<usize> = found.iter().map(|stage| stage.index).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(found[2].from, Some(0));
        assert!(found[0].is_base && !found[1].is_base);
        assert_eq!(sources(&found[2]).next().unwrap().0, 1);
    }

    #[test]
    fn a_target_that_is_no_stage_is_refused() {
        let fault = plan(THREE, Some("four")).unwrap_err();
        assert_eq!(fault.places, [Place::Target]);
        assert!(matches!(fault.cause, Cause::NoTarget(name) if name == "four"));
    }

    #[test]
    fn a_stage_can_not_copy_from_a_later_one() {
        let fault = plan("FROM a\nCOPY --from=1 /x /\nFROM b\n", None).unwrap_err();
        let Cause::Said(words) = fault.cause else {
            panic!("another fault");
        };
        assert_eq!(words, "COPY --from=1 /x / refers to invalid stage: 1");
    }
}
