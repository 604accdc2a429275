//! Tests of the driver against a scripted world: what is started is joined, every wait ends, nothing is lost.

#[cfg(test)]
mod ends;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod scene;
