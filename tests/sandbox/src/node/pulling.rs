//! How a container gets its image, or waits for it.

use std::time::Duration;

use tokio::time::Instant;

use super::image::{self, Pull};
use super::json::text;
use super::pod::Worker;
use super::start::RESYNC;

/// What every pull brings: one small image.
const IMAGE_BYTES: u64 = 2_156_519;

impl Worker {
    /// Brings the image; false while it is not there.
    pub(super) fn pull(&mut self, index: usize) -> bool {
        let Some(slot) = self.slots.get_mut(index) else {
            return false;
        };
        let (image, policy) = (
            text(&slot.spec, "/image").to_owned(),
            text(&slot.spec, "/imagePullPolicy").to_owned(),
        );
        let field = slot.field();
        let now = Instant::now();
        if let Some((end, took)) = slot.pull_ends {
            if end > now {
                return false;
            }
            slot.pull_ends = None;
            let took = format!("{:.3}s", took.as_secs_f64());
            self.event(&field, false, "Pulled", &format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {IMAGE_BYTES} bytes."
            ));
            return true;
        }
        match image::decide(&image, &policy) {
            Pull::Present => {
                self.event(&field, false, "Pulled", &format!(
                    "Container image \"{image}\" already present on machine and can be accessed by the pod"
                ));
                true
            }
            Pull::Fetch(takes) => {
                slot.pull_ends = Some((now + takes, takes.max(Duration::from_millis(3))));
                slot.due = Some(now + takes);
                self.event(
                    &field,
                    false,
                    "Pulling",
                    &format!("Pulling image \"{image}\""),
                );
                takes.is_zero() && self.pull(index)
            }
            Pull::Invalid(message) => {
                slot.wait_because("InvalidImageName", &message, RESYNC);
                self.event(&field, true, "InspectFailed", &message);
                self.event(&field, true, "Failed", "Error: InvalidImageName");
                false
            }
            Pull::Never => {
                let message =
                    format!("Container image \"{image}\" is not present with pull policy of Never");
                slot.wait_because("ErrImageNeverPull", &message, RESYNC);
                self.event(&field, true, "ErrImageNeverPull", &message);
                self.event(&field, true, "Failed", "Error: ErrImageNeverPull");
                false
            }
            Pull::Fails(message) => {
                self.pull_failed(index, &image, &field, &message);
                false
            }
        }
    }

    fn pull_failed(&mut self, index: usize, image: &str, field: &str, message: &str) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let now = Instant::now();
        if let Some(again) = slot.pull_again.filter(|again| *again > now) {
            let text = format!("Back-off pulling image \"{image}\": ErrImagePull: {message}");
            slot.wait_because(
                "ImagePullBackOff",
                &text,
                again.saturating_duration_since(now).min(RESYNC),
            );
            self.event(
                field,
                false,
                "BackOff",
                &format!("Back-off pulling image \"{image}\""),
            );
            self.event(field, true, "Failed", "Error: ImagePullBackOff");
            return;
        }
        slot.pull_back_off.note_try();
        slot.pull_again = slot.pull_back_off.current().map(|delay| now + delay);
        slot.wait_because("ErrImagePull", message, Duration::from_millis(1500));
        self.event(
            field,
            false,
            "Pulling",
            &format!("Pulling image \"{image}\""),
        );
        self.event(
            field,
            true,
            "Failed",
            &format!("Failed to pull image \"{image}\": {message}"),
        );
        self.event(field, true, "Failed", "Error: ErrImagePull");
    }
}
