//! Controls that can be switched off one by one, where the feature `unplug` was built in, to show what each one stops.

/// What can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Only granted names have an address.
    DnsRule,
    /// TLS names the host it is for.
    SniRule,
    /// HTTP names the host it is for.
    HttpRule,
    /// Only public addresses are connected to, and numbers only where they are granted.
    AddressRule,
    /// Only granted ports.
    PortRule,
    /// Only so much.
    Quota,
    /// No secret comes back.
    Scrub,
    /// A secret goes to its own host only.
    Audience,
}

/// Whether the control is in force.
#[cfg(not(feature = "unplug"))]
pub(crate) const fn holds(_: Control) -> bool {
    true
}

/// Whether the control is in force: `AETHER_UNPLUG` does not list its name.
#[cfg(feature = "unplug")]
pub(crate) fn holds(control: Control) -> bool {
    static UNPLUGGED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let unplugged = UNPLUGGED.get_or_init(|| std::env::var("AETHER_UNPLUG").unwrap_or_default());
    let name = match control {
        Control::DnsRule => "dns_rule",
        Control::SniRule => "sni_rule",
        Control::HttpRule => "http_rule",
        Control::AddressRule => "address_rule",
        Control::PortRule => "port_rule",
        Control::Quota => "quota",
        Control::Scrub => "scrub",
        Control::Audience => "audience",
    };
    !unplugged.split(',').any(|one| one.trim() == name)
}
