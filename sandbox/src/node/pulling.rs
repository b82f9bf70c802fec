//! How a container gets its image, or waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::image::{self, Pull};
use super::images::{self, Image, Images};
use super::json::text;
use super::pod::{Message, Worker};
use super::slot::{Fetch, Slot};
use super::start::RESYNC;

/// A container that waits for its image.
struct Wish {
    index: usize,
    /// The part of the pod that events name.
    field: String,
    image: String,
    policy: String,
}

impl Worker {
    /// Brings the image; false while it is not there.
    pub(super) fn pull(&mut self, index: usize) -> bool {
        let Some(slot) = self.slots.get_mut(index) else {
            return false;
        };
        let wish = Wish {
            index,
            field: slot.field(),
            image: text(&slot.spec, "/image").to_owned(),
            policy: text(&slot.spec, "/imagePullPolicy").to_owned(),
        };
        let now = Instant::now();
        if let Some((end, took)) = slot.pull_ends {
            if end > now {
                return false;
            }
            slot.pull_ends = None;
            return self.got(&wish, Arc::new(Images::made_up(&wish.image)), Some(took));
        }
        let is_pushed = self.node.images.is_pushed(&wish.image);
        match image::decide(&wish.image, &wish.policy, is_pushed) {
            Pull::Present => self.got(&wish, Arc::new(Images::made_up(&wish.image)), None),
            Pull::Fetch(takes) => {
                slot.pull_ends = Some((now + takes, takes.max(Duration::from_millis(3))));
                slot.due = Some(now + takes);
                self.say_pulling(&wish);
                takes.is_zero() && self.pull(index)
            }
            Pull::Ask => self.pull_from_registry(&wish),
            Pull::Invalid(message) => {
                self.wait_for_image(&wish, "InvalidImageName", "InspectFailed", &message)
            }
            Pull::Never => self.never(&wish),
            Pull::Fails(message) => {
                if !self.backs_off(&wish, &message) {
                    self.say_pulling(&wish);
                    self.pull_failed(&wish, &message);
                }
                false
            }
        }
    }

    /// Brings an image of the sandbox's registry.
    fn pull_from_registry(&mut self, wish: &Wish) -> bool {
        let known = self.node.images.find(&wish.image);
        let Some(slot) = self.slots.get_mut(wish.index) else {
            return false;
        };
        match std::mem::replace(&mut slot.fetch, Fetch::Idle) {
            Fetch::UnderWay => {
                slot.fetch = Fetch::UnderWay;
                return false;
            }
            Fetch::Ended(Ok(image), took) => return self.got(wish, image, Some(took)),
            Fetch::Ended(Err(message), _) => {
                slot.fetch = Fetch::Failed(message.clone());
                self.pull_failed(wish, &message);
                return false;
            }
            Fetch::Failed(message) => {
                slot.fetch = Fetch::Failed(message.clone());
                if self.backs_off(wish, &message) {
                    return false;
                }
            }
            Fetch::Idle => {}
        }
        match (wish.policy.as_str(), known) {
            ("Never" | "IfNotPresent", Some(image)) => self.got(wish, image, None),
            ("Never", None) => self.never(wish),
            _ => {
                self.begin_fetch(wish);
                false
            }
        }
    }

    fn begin_fetch(&mut self, wish: &Wish) {
        self.say_pulling(wish);
        let (logins, missing) = images::logins(&self.node.store, &self.pod, &wish.image);
        if !missing.is_empty() {
            let message = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.event("", true, "FailedToRetrieveImagePullSecret", &message);
        }
        if let Some(slot) = self.slots.get_mut(wish.index) {
            slot.fetch = Fetch::UnderWay;
            slot.due = None;
        }
        let (node, messages) = (Arc::clone(&self.node), self.messages.clone());
        let (slot, image) = (wish.index, wish.image.clone());
        tokio::spawn(async move {
            let begun = Instant::now();
            let outcome = node.images.pull(&image, &logins).await;
            let took = begun.elapsed();
            // A pod that is gone by now has no use for it.
            let _ = messages.send(Message::Fetched {
                slot,
                outcome,
                took,
            });
        });
    }

    /// A fetch has ended.
    pub(super) fn fetched(
        &mut self,
        index: usize,
        outcome: Result<Arc<Image>, String>,
        took: Duration,
    ) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.fetch = Fetch::Ended(outcome, took);
            slot.due = None;
        }
    }

    /// The image is there: `took` says how long that took, if it was not there before.
    fn got(&mut self, wish: &Wish, image: Arc<Image>, took: Option<Duration>) -> bool {
        let name = &wish.image;
        let message = match took {
            Some(took) => {
                let took = format!("{:.3}s", took.as_secs_f64());
                format!(
                    "Successfully pulled image \"{name}\" in {took} ({took} including waiting). Image size: {} bytes.",
                    image.bytes
                )
            }
            None => format!(
                "Container image \"{name}\" already present on machine and can be accessed by the pod"
            ),
        };
        self.event(&wish.field, false, "Pulled", &message);
        if let Some(slot) = self.slots.get_mut(wish.index) {
            slot.image = Some(image);
        }
        true
    }

    fn never(&mut self, wish: &Wish) -> bool {
        let message = format!(
            "Container image \"{}\" is not present with pull policy of Never",
            wish.image
        );
        self.wait_for_image(wish, "ErrImageNeverPull", "ErrImageNeverPull", &message)
    }

    /// Waits with a reason that pulling again can't mend.
    fn wait_for_image(&mut self, wish: &Wish, reason: &str, event: &str, message: &str) -> bool {
        if let Some(slot) = self.slots.get_mut(wish.index) {
            slot.wait_because(reason, message, RESYNC);
        }
        self.event(&wish.field, true, event, message);
        self.event(&wish.field, true, "Failed", &format!("Error: {reason}"));
        false
    }

    fn say_pulling(&self, wish: &Wish) {
        let message = format!("Pulling image \"{}\"", wish.image);
        self.event(&wish.field, false, "Pulling", &message);
    }

    /// Whether the next pull has to wait because the last one failed.
    fn backs_off(&mut self, wish: &Wish, message: &str) -> bool {
        let (now, image) = (Instant::now(), &wish.image);
        let again = |slot: &Slot| slot.pull_again.filter(|again| *again > now);
        let Some(slot) = self.slots.get_mut(wish.index) else {
            return false;
        };
        let Some(again) = again(slot) else {
            return false;
        };
        slot.wait_because(
            "ImagePullBackOff",
            &format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"),
            again.saturating_duration_since(now).min(RESYNC),
        );
        let message = format!("Back-off pulling image \"{image}\"");
        self.event(&wish.field, false, "BackOff", &message);
        self.event(&wish.field, true, "Failed", "Error: ImagePullBackOff");
        true
    }

    fn pull_failed(&mut self, wish: &Wish, message: &str) {
        let Some(slot) = self.slots.get_mut(wish.index) else {
            return;
        };
        slot.pull_back_off.note_try();
        slot.pull_again = slot
            .pull_back_off
            .current()
            .map(|delay| Instant::now() + delay);
        slot.wait_because("ErrImagePull", message, Duration::from_millis(1500));
        let told = format!("Failed to pull image \"{}\": {message}", wish.image);
        self.event(&wish.field, true, "Failed", &told);
        self.event(&wish.field, true, "Failed", "Error: ErrImagePull");
    }
}
