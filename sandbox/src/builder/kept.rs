//! What stages leave for later ones: the files that `COPY --from` takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::base::Bases;
use super::copying::{self, Wish};
use super::dockerfile::Kind;
use super::fault::{Calling as _, Fault, Outcome};
use super::image::Run;
use super::metadata::State;
use super::report::Event;
use super::scope::Scope;
use super::tree::{Tree, clean};
use super::{Deps, Setting, build, plan, unpack};

/// Which paths later stages copy out of each stage.
pub(crate) fn wanted(
    setting: &Setting<'_>,
    bases: &Bases<'_>,
    plan: &[plan::Stage],
    scope: &Scope,
) -> Outcome<Vec<(usize, Vec<String>)>> {
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for stage in plan {
        let mut state = State {
            run: Run::default(),
            scope: scope.clone(),
        };
        if stage.from.is_none() {
            state.run = build::base(setting, bases, stage, build::lookups(setting))?
                .config
                .run;
        }
        for instruction in &stage.instructions {
            match &instruction.kind {
                Kind::Env(_) | Kind::Arg(_) => state.apply(instruction, &super::Silent)?,
                Kind::Copy(copy) => {
                    let Some(from) = copy.from.as_ref().and_then(|from| from.parse().ok()) else {
                        continue;
                    };
                    for source in &copy.sources {
                        let source = state.expand(source)?;
                        let slash = if source.ends_with('/') { "/" } else { "" };
                        let source = clean(Path::new(&source));
                        let source = format!("{}{slash}", source.display());
                        found.entry(from).or_default().push(source);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(plan::sorted(found))
}

/// `COPY --from=IMAGE`: lays such images out beside.
pub(crate) fn images(
    setting: &Setting<'_>,
    bases: &Bases<'_>,
    plan: &[plan::Stage],
    deps: &mut Deps,
) -> Outcome<()> {
    let instructions = plan.iter().flat_map(|stage| &stage.instructions);
    for instruction in instructions {
        let Kind::Copy(copy) = &instruction.kind else {
            continue;
        };
        let Some(from) = copy
            .from
            .as_ref()
            .filter(|from| from.parse::<usize>().is_err())
        else {
            continue;
        };
        if deps.contains_key(from) {
            continue;
        }
        let image = bases.image(from, &setting.options.platform)?;
        let root = setting.options.work.join("deps").join(from);
        let mut tree = Tree::new(&root, &[]).calling("mkdir", &root)?;
        for layer in &image.layers {
            let path = setting
                .client
                .layer(layer, &setting.layers)
                .map_err(|refusal| Fault::said(refusal.to_string()))?;
            unpack::layer(&mut tree, &path).calling("extract", &path)?;
        }
        deps.insert(from.clone(), tree);
    }
    Ok(())
}

/// Keeps the files of a stage that later ones copy, with what links among them lead to.
pub(crate) fn keep(
    setting: &Setting<'_>,
    tree: &Tree,
    stage: &plan::Stage,
    wanted: &[String],
    deps: &mut Deps,
) -> Outcome<()> {
    let name = stage.index.to_string();
    if stage.is_base {
        let path = setting.options.work.join("stages").join(&name);
        setting.report.tell(&Event::Detail(format!(
            "Storing source image from stage {name} at path {}",
            path.display()
        )));
    }
    let root = setting.options.work.join("deps").join(&name);
    let mut kept = Tree::new(&root, &[]).calling("mkdir", &root)?;
    let origin = copying::Origin {
        root: tree.root(),
        ignore: &setting.everything,
        owners: Some(tree),
    };
    for path in paths_to_keep(tree, wanted)? {
        let inside = path.strip_prefix("/").unwrap_or(&path);
        setting.report.tell(&Event::Kept(inside));
        origin.copy(&mut kept, &inside.to_string_lossy(), &path, Wish::default())?;
    }
    deps.insert(name, kept);
    setting.report.tell(&Event::Cleared);
    Ok(())
}

fn paths_to_keep(tree: &Tree, wanted: &[String]) -> Outcome<Vec<PathBuf>> {
    let root = Path::new("/");
    let all = tree.walk(root).calling("lstat", root)?;
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in wanted {
        let pattern = format!("/{}", pattern.trim_matches('/'));
        for path in &all {
            if super::glob::matches(&pattern, &path.to_string_lossy(), false) {
                found.push(tree.resolve(path, true));
                found.push(tree.resolve(path, false));
            }
        }
        // A path through a link is none of those that were walked.
        let direct = tree.resolve(Path::new(&pattern), true);
        if tree.real(&direct, false).exists() {
            found.push(direct);
            found.push(PathBuf::from(&pattern));
        }
    }
    found.retain(|path| path != root && tree.real(path, false).symlink_metadata().is_ok());
    found.sort();
    found.dedup();
    Ok(found)
}
