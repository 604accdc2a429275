//! The controls that hold a jail, one name each. All of them are on, and that is a constant: only with the feature
//! `unplug`, which no binary that ships has, can a test switch one off to show what it is good for.

/// Names the controls once.
macro_rules! controls {
    ($($name:ident $text:literal,)*) => {
        /// One thing that holds a jail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Control { $(#[doc = $text] $name,)* }
        impl Control {
            /// Every control.
            pub const ALL: &'static [Control] = &[$(Control::$name,)*];
            /// Its name in `AETHER_UNPLUG`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Control::$name => $text,)* }
            }
        }
    };
}

controls! {
    Mounts "mounts",
    UsernsUid "userns_uid",
    Pidns "pidns",
    Ipcns "ipcns",
    Utsns "utsns",
    Netns "netns",
    Landlock "landlock",
    Seccomp "seccomp",
    Capabilities "capabilities",
    NoNewPrivs "no_new_privs",
    CloseFds "close_fds",
    Environment "environment",
    LimitsMemory "limits_memory",
    LimitsCpu "limits_cpu",
    LimitsTime "limits_time",
    LimitsProcesses "limits_processes",
    LimitsFiles "limits_files",
    Setsid "setsid",
    Pdeathsig "pdeathsig",
    Nosuid "nosuid",
    Nodev "nodev",
    Noexec "noexec",
    Readonly "readonly",
    Protected "protected",
    Proc "proc",
}

/// The variable that names what is switched off, with commas between.
#[cfg(feature = "unplug")]
pub const UNPLUG: &str = "AETHER_UNPLUG";

/// Whether a control is on.
#[cfg(all(target_os = "linux", not(feature = "unplug")))]
#[inline]
#[must_use]
pub(crate) const fn is_on(_: Control) -> bool {
    true
}

/// Whether a control is on: unless [`UNPLUG`] names it.
#[cfg(all(target_os = "linux", feature = "unplug"))]
#[must_use]
pub(crate) fn is_on(control: Control) -> bool {
    let off = std::env::var(UNPLUG).unwrap_or_default();
    !off.split(',').any(|name| name.trim() == control.name())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Control, is_on};

    #[test]
    fn j5_every_control_is_on() {
        assert!(Control::ALL.iter().all(|control| is_on(*control)));
        assert_eq!(Control::ALL.len(), 25);
    }
}
