//! The trust store of a program whose credentials the broker adds: the system's, and the broker's certificate.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aether_jail::{Access, Bind, Execute, Plan};

/// Where programs of the jail find it.
const INSIDE: &str = "/etc/ssl/aether.pem";

/// Where systems keep the certificates that they trust, in one file.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Variables by which programs are told of a trust store: OpenSSL, curl, git, Python's requests, Node.js.
const VARIABLES: &[&str] =
    &["SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// A file that only its owner reads, removed with this.
pub(crate) struct Bundle(PathBuf);

impl Bundle {
    /// Writes the system's certificates and this one.
    pub(crate) fn write(own: &str) -> io::Result<Bundle> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().canonicalize()?.join(format!("aether-{}-{number}.pem", std::process::id()));
        // A name that somebody else took is refused, not followed.
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let bundle = Bundle(path);
        for known in SYSTEM.iter().map(Path::new).filter(|path| path.is_file()).take(1) {
            io::copy(&mut std::fs::File::open(known)?, &mut file)?;
        }
        file.write_all(b"\n")?;
        file.write_all(own.as_bytes())?;
        Ok(bundle)
    }

    /// Makes it the trust store of a plan.
    pub(crate) fn enter(&self, plan: &mut Plan) {
        plan.binds.push(Bind {
            source: self.0.clone(),
            target: INSIDE.into(),
            access: Access::Read,
            execute: Execute::Denied,
        });
        plan.command.env.extend(VARIABLES.iter().map(|name| ((*name).into(), INSIDE.into())));
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // It is in a directory for temporary files; what cannot be removed there is removed with the others.
        let _removed = std::fs::remove_file(&self.0);
    }
}
