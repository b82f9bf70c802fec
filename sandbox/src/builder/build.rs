//! A whole build: the Dockerfile, its stages one after the other, the image at the end.

use std::collections::BTreeMap;
use std::fs;

use super::base::Bases;
use super::cache::Key;
use super::dockerfile::{self};
use super::fault::{Calling as _, Cause, Fault, Outcome, Place, Within as _};
use super::image::Image;
use super::metadata::{self, State};
use super::plan;
use super::platform::Platform;
use super::report::Event;
use super::scope::Scope;
use super::snapshot::Snapshot;
use super::stage::Stage;
use super::tree::Tree;
use super::{DEFAULT_PATH, Deps, Setting, kept, now};

/// What earlier stages left for later ones.
#[derive(Default)]
struct Left {
    images: BTreeMap<usize, Image>,
    scopes: BTreeMap<usize, Scope>,
    keys: BTreeMap<usize, Key>,
    deps: Deps,
}

/// Builds the image.
pub(crate) fn image(setting: &Setting<'_>, bases: &Bases<'_>) -> Outcome<Image> {
    let options = setting.options;
    let text = fs::read_to_string(&options.dockerfile).calling("open", &options.dockerfile)?;
    let dockerfile = dockerfile::parse(&text)
        .map_err(complain)
        .within(Place::Parsing)?;
    let target = options.target.as_deref();
    let known = options.platform.arguments(target.unwrap_or("default"));
    let scope = Scope::new(&options.arguments, known, &dockerfile.arguments)?;
    let mut plan = plan::make(&dockerfile, target, &scope)?;
    for stage in plan.iter().rev() {
        if let Some(name) = &stage.name {
            setting.report.tell(&Event::Resolved {
                stage: name,
                base: &stage.base,
            });
        }
    }
    add_triggers(setting, bases, &mut plan)?;
    let wanted = kept::wanted(setting, bases, &plan, &scope)?;
    setting.report.tell(&Event::Dependencies(&wanted));
    let mut left = Left::default();
    kept::images(setting, bases, &plan, &mut left.deps)?;
    let mut done = None;
    for stage in &plan {
        let paths = wanted
            .iter()
            .find(|(index, _)| *index == stage.index)
            .map_or(&[] as &[String], |(_, paths)| paths);
        let image = one(setting, bases, stage, (&scope, paths), &mut left)?;
        if stage.last {
            done = Some(image);
            break;
        }
        left.images.insert(stage.index, image);
    }
    done.ok_or_else(|| Fault::said("no stage was built"))
}

fn complain(complaint: dockerfile::Complaint) -> Fault {
    Fault::new(Cause::Dockerfile {
        line: complaint.line,
        message: complaint.message,
    })
}

/// What a stage starts from. With a cache, images are looked for twice: there first.
pub(crate) fn base(
    setting: &Setting<'_>,
    bases: &Bases<'_>,
    stage: &plan::Stage,
    times: usize,
) -> Outcome<Image> {
    let platform = platform(setting, stage)?;
    if stage.base == "scratch" {
        setting.report.tell(&Event::NoBase);
        return Ok(Image::empty(&platform.os, &platform.architecture));
    }
    let mut found = bases.image(&stage.base, &platform)?;
    for _ in 1..times {
        found = bases.image(&stage.base, &platform)?;
    }
    Ok(found)
}

fn platform(setting: &Setting<'_>, stage: &plan::Stage) -> Outcome<Platform> {
    match stage.platform.as_deref() {
        // Kaniko builds for one platform only, whatever a stage wishes.
        Some(words) if !words.contains('$') => {
            Platform::parse(words).map_err(Fault::said)?;
            Ok(setting.options.platform.clone())
        }
        _ => Ok(setting.options.platform.clone()),
    }
}

pub(crate) fn lookups(setting: &Setting<'_>) -> usize {
    if setting.options.snapshot_everything {
        2
    } else {
        1
    }
}

/// Puts the bases' `ONBUILD` instructions in front.
fn add_triggers(setting: &Setting<'_>, bases: &Bases<'_>, plan: &mut [plan::Stage]) -> Outcome<()> {
    for stage in plan.iter_mut().rev() {
        if stage.from.is_some() || stage.base == "scratch" {
            continue;
        }
        let found = base(setting, bases, stage, lookups(setting))?;
        let triggers = found.config.run.on_build.unwrap_or_default();
        let parsed = triggers
            .iter()
            .map(|trigger| dockerfile::parse_trigger(trigger).map_err(complain))
            .collect::<Outcome<Vec<_>>>()?;
        stage.instructions.splice(0..0, parsed);
    }
    Ok(())
}

/// Builds one stage.
fn one(
    setting: &Setting<'_>,
    bases: &Bases<'_>,
    stage: &plan::Stage,
    (outer, wanted): (&Scope, &[String]),
    left: &mut Left,
) -> Outcome<Image> {
    let mut image = match stage.from.and_then(|from| left.images.get(&from)) {
        Some(earlier) => earlier.clone(),
        None => base(setting, bases, stage, lookups(setting))?,
    };
    setting.report.tell(&Event::Stage(stage));
    image.config.run.on_build = None;
    let mut run = image.config.run.clone();
    run.env.get_or_insert_with(|| vec![DEFAULT_PATH.to_owned()]);
    if stage.last && !setting.options.labels.is_empty() {
        let labels = setting.options.labels.iter().cloned();
        run.labels.get_or_insert_default().extend(labels);
    }
    let from = stage.from.unwrap_or(usize::MAX);
    let scope = left.scopes.get(&from).unwrap_or(outer).clone();
    let first = Key::new(&image.manifest().digest);
    let root = setting.options.work.join("rootfs");
    let mut building = Stage {
        setting,
        deps: &left.deps,
        instructions: &stage.instructions,
        tree: Tree::new(&root, &setting.options.ignored).calling("mkdir", &root)?,
        snapshot: Snapshot::default(),
        state: State { run, scope },
        key: left.keys.get(&from).cloned().unwrap_or(first),
        image,
        cached: Vec::new(),
        fresh: Vec::new(),
    };
    building.optimize().within(Place::Optimizing)?;
    building.lay_out(!wanted.is_empty()).within(Place::Stage)?;
    building.build().within(Place::Stage)?;
    push_fresh(setting, &building);
    let Stage {
        tree,
        mut state,
        mut image,
        key,
        ..
    } = building;
    metadata::review(&mut state.run, &stage.instructions);
    image.config.run = state.run;
    image.config.os.clone_from(&setting.options.platform.os);
    image
        .config
        .architecture
        .clone_from(&setting.options.platform.architecture);
    image
        .config
        .variant
        .clone_from(&setting.options.platform.variant);
    left.scopes.insert(stage.index, state.scope);
    left.keys.insert(stage.index, key);
    if stage.last {
        date(&mut image, setting.options.reproducible);
    } else {
        kept::keep(setting, &tree, stage, wanted, &mut left.deps)?;
    }
    Ok(image)
}

fn date(image: &mut Image, reproducible: bool) {
    image.config.created = Some(if reproducible {
        "0001-01-01T00:00:00Z".to_owned()
    } else {
        now()
    });
}

/// Sends a stage's layers to the cache. That one of them can't be sent fails no build.
fn push_fresh(setting: &Setting<'_>, stage: &Stage<'_>) {
    let Some(cache) = &setting.options.cache else {
        return;
    };
    for (key, layer, text) in &stage.fresh {
        let name = cache.name(key);
        setting.report.tell(&Event::CachePushing(&name));
        setting.report.tell(&Event::Credentials);
        setting.report.tell(&Event::Pushing(&name));
        let kept = cache.keep(setting.client, key, (layer.clone(), text), &setting.layers);
        match kept {
            Ok((image, digest)) => setting.report.tell(&Event::Pushed {
                image: &image,
                digest: &digest,
            }),
            Err(refusal) => setting.report.tell(&Event::Warning(format!(
                "Error uploading layer to cache: failed to push to destination {name}: {refusal}"
            ))),
        }
    }
}
