//! The client against real servers on loopback.

#[cfg(test)]
mod ground;
#[cfg(test)]
mod http1;
#[cfg(all(test, feature = "http2"))]
mod http2;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod tls;
