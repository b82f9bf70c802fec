//! A value that must not be seen: hidden in every print, wiped when dropped.
//!
//! This room only wraps. It does not know where a secret comes from or what it opens, and it
//! implements neither `Serialize` nor `Deserialize`, so that a secret can't slip into a row,
//! a manifest or a log line by way of a derive.

use std::fmt;

use zeroize::Zeroize;

/// What stands in the place of a secret wherever a value is printed.
const MASK: &str = "[hidden]";

/// A value that prints as `[hidden]` and whose memory is overwritten when it is dropped.
///
/// The only way to the value is [`Secret::expose`], so that a search for that word finds every
/// place where a secret is used.
///
/// ```
/// use berth_core::secret::Secret;
///
/// let token = Secret::new(String::from("hunter2"));
/// assert_eq!(format!("{token} {token:?}"), "[hidden] [hidden]");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value. Copies that were made of it before are not wiped.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Keep the borrow short and pass it on to nothing that prints.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Witness(Arc<AtomicBool>);

    impl Zeroize for Witness {
        fn zeroize(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn prints_are_masked_also_inside_other_values() {
        let secret = Some(Secret::new(String::from("hunter2")));
        assert_eq!(format!("{secret:?}"), "Some([hidden])");
        assert_eq!(format!("{secret:#?}"), "Some(\n    [hidden],\n)");
    }

    #[test]
    fn dropping_wipes_the_value() {
        let wiped = Arc::new(AtomicBool::new(false));
        drop(Secret::new(Witness(Arc::clone(&wiped))));
        assert!(wiped.load(Ordering::SeqCst));
    }
}
