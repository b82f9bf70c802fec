//! `berth list`

use std::process::ExitCode;

use super::{
    args::{Global, ListArgs},
    printer::{Printer, table},
    settings,
    view::PodView,
};
use crate::error::Error;

pub(super) async fn run(
    args: ListArgs,
    global: &Global,
    printer: &Printer,
) -> Result<ExitCode, Error> {
    let status = args.status.as_deref().map(str::parse).transpose()?;
    let manager = settings::manager(global).await?;
    let pods: Vec<PodView> = manager
        .list(status)
        .await?
        .iter()
        .map(PodView::of_record)
        .collect();
    printer.value(&pods, || {
        let rows: Vec<Vec<String>> = pods.iter().map(PodView::to_row).collect();
        table(&PodView::HEADLINE, &rows)
    });
    if pods.is_empty() && printer.is_for_people() && !global.quiet {
        printer.note("no pods are recorded; `berth create --project-id ID` makes one");
    }
    Ok(ExitCode::SUCCESS)
}
