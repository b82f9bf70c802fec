//! What follows from the answers of probes.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::json::integer;
use super::pod::{Message, Worker};
use super::probe::{Target, Timing, ask};
use super::slot::Probe;

impl Worker {
    /// A probe has answered.
    pub(super) fn probed(
        &mut self,
        index: usize,
        id: &str,
        probe: Probe,
        answer: Result<(), String>,
    ) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let stale = slot.id.as_deref() != Some(id) || !slot.is_running() || slot.kill_at.is_some();
        // Until it has started, a container is asked nothing but that.
        let early = probe != Probe::Startup && !slot.started;
        if stale || early || (probe == Probe::Startup && slot.started) {
            return;
        }
        let timing = Timing::of(slot.spec.get(probe.field()).unwrap_or(&Value::Null));
        let fine = answer.is_ok();
        let Some(streak) = slot.streak.get_mut(probe as usize) else {
            return;
        };
        *streak = if streak.1 == fine {
            (streak.0 + 1, fine)
        } else {
            (1, fine)
        };
        let reached = streak.0
            >= if fine {
                timing.success_threshold
            } else {
                timing.failure_threshold
            };
        let (field, container) = (slot.field(), slot.name.clone());
        match (probe, fine) {
            (Probe::Startup, true) if reached => {
                slot.started = true;
                slot.ready = slot.spec.get("readinessProbe").is_none();
            }
            (Probe::Readiness, _) if reached => slot.ready = fine,
            _ => {}
        }
        if let Err(output) = answer {
            let word = probe.word();
            self.event(
                &field,
                true,
                "Unhealthy",
                &format!("{word} probe failed: {output}"),
            );
        }
        if !fine && reached && probe != Probe::Readiness {
            let kind = probe.word().to_lowercase();
            let message = format!("Container {container} failed {kind} probe, will be restarted");
            self.event(&field, false, "Killing", &message);
            let grace = integer(&self.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
            let Some(slot) = self.slots.get_mut(index) else {
                return;
            };
            slot.ready = false;
            slot.kill_at =
                Some(Instant::now() + Duration::from_secs(u64::try_from(grace).unwrap_or(0)));
            if let Some(running) = &slot.running {
                running.signal(slot.stop_signal());
            }
        }
    }
}

/// Asks a probe's question at its times, for as long as the run lasts.
pub(super) async fn keep_asking(
    target: Target,
    description: Value,
    probe: Probe,
    slot: usize,
    id: String,
    messages: tokio::sync::mpsc::UnboundedSender<Message>,
) {
    let timing = Timing::of(&description);
    tokio::time::sleep(timing.initial_delay).await;
    loop {
        let answer = ask(&target, &description).await;
        if messages
            .send(Message::Probed {
                slot,
                id: id.clone(),
                probe,
                answer,
            })
            .is_err()
        {
            return;
        }
        tokio::time::sleep(timing.period).await;
    }
}
