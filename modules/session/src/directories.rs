//! Where a person's files are.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::StoreError;

/// The directories of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// For what the person writes: the configuration.
    pub config: PathBuf,
    /// For what the program writes: sessions, traces, keys.
    pub data: PathBuf,
}

/// Whose conventions hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// The XDG Base Directory Specification, version 0.8.
    Xdg,
    /// The same where its variables are set, else `~/Library/Application Support`.
    Mac,
    /// The same where its variables are set, else `%APPDATA%` and `%LOCALAPPDATA%`.
    Windows,
}

impl Platform {
    /// That of this program.
    pub const HERE: Platform = if cfg!(target_os = "macos") {
        Platform::Mac
    } else if cfg!(windows) {
        Platform::Windows
    } else {
        Platform::Xdg
    };
}

impl Directories {
    /// The directories that the environment names, which `lookup` reads. Nothing is made yet.
    ///
    /// `XDG_CONFIG_HOME` and `XDG_DATA_HOME` come first, and count only where they hold absolute paths, as
    /// their specification demands; then the platform's convention.
    ///
    /// # Errors
    /// [`StoreError::NoHome`].
    pub fn from_environment(
        platform: Platform,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Directories, StoreError> {
        let path = |name: &str| lookup(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let xdg = |name: &str| path(name).filter(|path| path.is_absolute());
        let beneath =
            |name: &str, way: &[&str]| path(name).map(|home| way.iter().fold(home, |path, step| path.join(step)));
        let (config, data) = match platform {
            Platform::Xdg => (beneath("HOME", &[".config"]), beneath("HOME", &[".local", "share"])),
            Platform::Mac => {
                let support = beneath("HOME", &["Library", "Application Support"]);
                (support.clone(), support)
            }
            Platform::Windows => (
                path("APPDATA").or_else(|| beneath("USERPROFILE", &["AppData", "Roaming"])),
                path("LOCALAPPDATA").or_else(|| beneath("USERPROFILE", &["AppData", "Local"])),
            ),
        };
        let wanted = match platform {
            Platform::Windows => "APPDATA and LOCALAPPDATA",
            Platform::Xdg | Platform::Mac => "HOME, or XDG_CONFIG_HOME and XDG_DATA_HOME",
        };
        match (xdg("XDG_CONFIG_HOME").or(config), xdg("XDG_DATA_HOME").or(data)) {
            (Some(config), Some(data)) => Ok(Directories { config: config.join("aether"), data: data.join("aether") }),
            _ => Err(StoreError::NoHome { wanted }),
        }
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The directory that [`crate::SessionStore`] keeps its files in.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.data.join("sessions")
    }

    /// The directory that [`crate::TraceStore`] keeps its files in.
    #[must_use]
    pub fn traces(&self) -> PathBuf {
        self.data.join("traces")
    }

    /// Where the key of the provider called `name` is kept, if it is kept in a file.
    #[must_use]
    pub fn key_file(&self, name: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        self.data.join("keys").join(name.chars().map(plain).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn check(platform: Platform, variables: &[(&str, &str)], wanted: Option<(&str, &str)>) {
        let lookup =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| OsString::from(text));
        let found = Directories::from_environment(platform, lookup).ok();
        let wanted = wanted.map(|(config, data)| Directories { config: config.into(), data: data.into() });
        assert_eq!(found, wanted, "{platform:?} {variables:?}");
    }

    #[cfg(unix)]
    #[test]
    fn each_platform_has_its_convention_and_xdg_comes_first() {
        use Platform::{Mac, Windows, Xdg};
        check(Xdg, &[("HOME", "/h")], Some(("/h/.config/aether", "/h/.local/share/aether")));
        check(Xdg, &[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], Some(("/h/.config/aether", "/d/aether")));
        check(Xdg, &[("XDG_CONFIG_HOME", "/c"), ("XDG_DATA_HOME", "/d")], Some(("/c/aether", "/d/aether")));
        check(
            Xdg,
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "rel")],
            Some(("/h/.config/aether", "/h/.local/share/aether")),
        );
        check(Xdg, &[("HOME", "")], None);
        check(Xdg, &[("XDG_CONFIG_HOME", "/c")], None);
        let support = "/h/Library/Application Support/aether";
        check(Mac, &[("HOME", "/h")], Some((support, support)));
        check(Mac, &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")], Some(("/c/aether", support)));
        check(Windows, &[("APPDATA", "/r"), ("LOCALAPPDATA", "/l")], Some(("/r/aether", "/l/aether")));
        check(Windows, &[("USERPROFILE", "/u")], Some(("/u/AppData/Roaming/aether", "/u/AppData/Local/aether")));
        check(Windows, &[("HOME", "/h")], None);
    }

    #[test]
    fn a_missing_home_says_what_to_set() {
        let error = Directories::from_environment(Platform::Xdg, |_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nothing says where your files are; set HOME, or XDG_CONFIG_HOME and XDG_DATA_HOME"
        );
    }

    #[test]
    fn a_key_file_stays_in_its_directory() {
        let directories = Directories { config: "/c".into(), data: "/d".into() };
        assert_eq!(directories.key_file("../../etc/x"), Path::new("/d/keys/______etc_x"));
        assert_eq!(directories.key_file("groq"), Path::new("/d/keys/groq"));
    }
}
